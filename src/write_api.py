"""Write the API reference from docstrings.

Example:
    python src/write_api.py --out docs/api.md
"""

import inspect
import re
from importlib import import_module
from pathlib import Path

import stage.arguments

from valleyscope.artifacts import write_atomically

PUBLIC = {  # module -> what of it is meant for others, in the order of a reader's needs
    "probing": ["probe", "ProbeResult"],
    "tracing": ["trace_path", "PathResult"],
    "hessian": ["HessianOperator"],
    "engine.gauss_newton": ["GaussNewtonOperator", "FisherOperator"],
    "engine.noise": ["GradientCovariance", "scores"],
    "eigen": ["top_eigenpairs", "converged_eigenpairs", "EigenResult"],
    "traces": ["traces", "spectrum"],
    "criteria": ["IncrementModel", "FullSpaceModel", "LandscapeBounds", "spectral_moment", "valid_range"],
    "landscape.increments": ["IncrementOperator", "increment_model", "direct_increments"],
    "landscape.estimators": ["Grid", "estimate_criteria"],
    "paths": ["Path", "Projection"],
    "connectivity.finders": ["Descent", "NebSettings", "CurveSettings", "relax", "autoneb", "train_curve"],
    "connectivity.profile": ["loss_profile", "curvature_profile", "profile_path"],
    "dynamics": ["SgdSettings", "projected_sgd"],
    "drift": ["DriftSettings", "drift", "predicted_drift"],
}
MODULES = re.compile(r"(?<![.\w])(?:[a-z_]\w*\.)+(?=[A-Z])")  # in front of the names of types


def reference() -> str:
    """The whole reference in Markdown."""
    parts = [
        "# API reference\n\nMade from docstrings by `make texts`. Losses are in the units of the loss "
        "function; weights are flat vectors (N,) in the order of `model.named_parameters()` that require "
        "grad. Start with [probing.md](probing.md)."
    ]
    for name, members in PUBLIC.items():
        module = import_module(f"valleyscope.{name}")
        first = inspect.getdoc(module).split("\n\n")[0].replace("\n", " ")
        parts.append(f"## valleyscope.{name}\n\n{first}")
        parts += [_entry(getattr(module, member)) for member in members]
    return "\n\n".join(parts) + "\n"


def _entry(member) -> str:
    """Name, signature and docstring; of a class also its public methods."""
    parts = [
        f"### {member.__name__}\n\n{_code(member.__name__, member)}\n\n```text\n{inspect.getdoc(member)}\n```"
    ]
    if inspect.isclass(member):
        for name, method in vars(member).items():
            told = inspect.getdoc(method) if not name.startswith("_") else None
            if told and inspect.isfunction(method):
                parts.append(f"{_code(f'.{name}', method)}\n\n```text\n{told}\n```")
    return "\n\n".join(parts)


def _code(name: str, member) -> str:
    """The signature with types by their own names and defaults that are functions left out."""
    signature = re.sub(r"<function \S+ at \w+>", "...", str(inspect.signature(member)))
    signature = MODULES.sub("", signature)
    return f"```python\n{name}{signature}\n```"


def main(args):
    with write_atomically(args.out) as temporary:
        temporary.write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    parser = stage.arguments.parser(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="Markdown to write")
    stage.arguments.run(main, parser)
