"""Losses and curvature along the lines between two children, and between checkpoints of one run.

Example:
    python src/compare_children.py --tokens corpus/tokens.safetensors --model '{…}' --sequences 64 \\
        --data-seed 0 --held-out-sequences 256 --family family.safetensors --parent 0 \\
        --branches 0 50 100 200 400 --points 21 --curvature-points 5 --probes 8 --tolerance 1e-2 --seed 0 \\
        --losses children.csv --curvature children_curvature.csv
"""

import stage.arguments
import stage.family
import stage.problem

import numpy as np
import pandas as pd

from valleyscope.artifacts import write_table
from valleyscope.connectivity.profile import curvature_profile, loss_profile
from valleyscope.models.model import sequence_losses
from valleyscope.paths import straight_line


def main(args):
    data, held_out = stage.problem.data(args)
    model = stage.problem.model(args)
    children, checkpoints = stage.family.load(args)
    positions = np.linspace(0, 1, args.points).tolist()
    few = np.linspace(0, 1, args.curvature_points).tolist()
    options = {"probes": args.probes, "tol": args.tolerance, "seed": args.seed}
    options["memory_budget"] = args.memory_budget
    losses, curvature = [], []
    with stage.arguments.progress(len(args.branches), f"children of {args.parent}", "branch") as bar:
        for branch, pair, checkpoint in zip(args.branches, children, checkpoints[:-1], strict=True):
            lines = {
                "children": straight_line(*pair),
                "checkpoint": straight_line(checkpoint, checkpoints[-1]),
            }
            for name, line in lines.items():
                table = loss_profile(model, sequence_losses, data, held_out, line, positions)
                losses.append(_named(table, args.parent, branch).assign(line=name))
            table = curvature_profile(model, sequence_losses, data, lines["children"], few, **options)
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
    stage.family.add(parser)
    parser.add_argument("--points", type=int, required=True, help="positions with losses")
    parser.add_argument("--curvature-points", type=int, required=True, help="positions with curvature")
    stage.arguments.add(parser, "probes", "tolerance", "seed")
    stage.arguments.add_files(
        parser, losses="CSV, a row a line and position", curvature="CSV, a row a branch and position"
    )
    stage.arguments.run(main, parser)
