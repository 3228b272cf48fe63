"""Losses and curvature along the lines between two children, and between checkpoints of one run.

Example:
    python src/compare_children.py --tokens corpus/tokens.safetensors --model '{…}' --sequences 64 \\
        --data-seed 0 --held-out-sequences 256 --family family.safetensors --parent 0 \\
        --branches 0 50 100 200 400 --points 21 --curvature-points 5 --probes 8 --tolerance 1e-2 --seed 0 \\
        --losses children.csv --curvature children_curvature.csv
"""

from pathlib import Path

import numpy as np
import pandas as pd

import stage.arguments
import stage.problem
from valleyscope.artifacts import load_tensors, write_table
from valleyscope.connectivity.profile import curvature_profile, loss_profile
from valleyscope.errors import InputError
from valleyscope.models.model import sequence_losses
from valleyscope.paths import straight_line


def main(args):
    data, held_out = stage.problem.data(args)
    model = stage.problem.model(args)
    family = load_tensors(args.family, ["children", "checkpoints"])
    children, checkpoints = (family[name].to(args.device) for name in ("children", "checkpoints"))
    if len(children) != len(args.branches):
        raise InputError(
            f"{args.family} holds {len(children)} branches, --branches names {len(args.branches)}"
        )
    positions = np.linspace(0, 1, args.points).tolist()
    few = np.linspace(0, 1, args.curvature_points).tolist()
    losses, curvature = [], []
    with stage.arguments.progress(len(args.branches), f"children of {args.parent}", "branch") as bar:
        for index, branch in enumerate(args.branches):
            lines = {
                "children": straight_line(*children[index]),
                "checkpoint": straight_line(checkpoints[index], checkpoints[-1]),
            }
            for name, line in lines.items():
                table = loss_profile(model, sequence_losses, data, held_out, line, positions)
                losses.append(_named(table, args.parent, branch).assign(line=name))
            table = curvature_profile(
                model,
                sequence_losses,
                data,
                lines["children"],
                few,
                probes=args.probes,
                tol=args.tolerance,
                seed=args.seed,
                memory_budget=args.memory_budget,
            )
            curvature.append(_named(table, args.parent, branch))
            bar.update()
    meta = stage.arguments.meta(args, args.tokens, args.family)
    write_table(pd.concat(losses, ignore_index=True), args.losses, meta)
    write_table(pd.concat(curvature, ignore_index=True), args.curvature, meta)


def _named(table: pd.DataFrame, parent: int, branch: int) -> pd.DataFrame:
    table.insert(0, "parent", parent)
    table.insert(1, "branch", branch)
    return table


if __name__ == "__main__":
    parser = stage.problem.curvature_parser(__doc__)
    parser.add_argument("--family", type=Path, required=True, help="safetensors: children, checkpoints")
    parser.add_argument("--parent", type=int, required=True, help="seed of the parent")
    parser.add_argument("--branches", type=int, nargs="+", required=True, help="steps, in the file's order")
    parser.add_argument("--points", type=int, required=True, help="positions with losses")
    parser.add_argument("--curvature-points", type=int, required=True, help="positions with curvature")
    parser.add_argument("--probes", type=int, required=True, help="random vectors of a trace")
    parser.add_argument("--tolerance", type=float, required=True, help="residual over λ_max")
    parser.add_argument("--seed", type=int, required=True, help="of the random vectors")
    parser.add_argument("--losses", type=Path, required=True, help="CSV to write")
    parser.add_argument("--curvature", type=Path, required=True, help="CSV to write")
    stage.arguments.run(main, parser)
