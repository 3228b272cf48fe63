"""Probes of loss landscapes: curvature-aligned increments and entropic barriers along paths.

>>> from valleyscope import probe, trace_path
"""

from importlib import import_module

__version__ = "0.1.0"

_FUNCTIONS = {"probe": "probing", "trace_path": "tracing"}


def __getattr__(name: str):
    """`probe` and `trace_path` on first use: stages that need neither load neither."""
    if name not in _FUNCTIONS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_FUNCTIONS[name]}"), name)
