"""Probes of loss landscapes: curvature-aligned increments and entropic barriers along paths."""

__version__ = "0.1.0"
