"""Fit how the criteria fall with k, and after how many sequences one more changes less than ε.

Example:
    python src/fit_decay.py --criteria criteria.csv --points points.csv --fixed-weights fixed_weights.csv \\
        --epsilons 1e-2 1e-3 --slopes slopes.csv --sequences sequences.csv
"""

from pathlib import Path

import stage.arguments

import pandas as pd

from valleyscope.artifacts import read_table, write_table
from valleyscope.readings.decay import KEYS, fit_slopes, sequences_table, slopes_of_points


def main(args):
    criteria = read_table(args.criteria, [*KEYS, "seed", "k", "estimate"])
    points = read_table(args.points, ["regime", "seed", "k", "next_square", "next_variance"])
    control = read_table(
        args.fixed_weights, ["regime", "seed", "k", "next", "criterion", "sigma", "estimate"]
    )
    control = control.assign(dim=0, estimator="direct")
    slopes = pd.concat(
        [
            fit_slopes(criteria),
            fit_slopes(control),
            slopes_of_points(points, ["next_square", "next_variance"]),
        ],
        ignore_index=True,
    )
    sizes = {regime: sorted(table["k"].unique()) for regime, table in points.groupby("regime")}
    meta = stage.arguments.meta(args, args.criteria, args.points, args.fixed_weights)
    write_table(slopes, args.slopes, meta)
    write_table(sequences_table(slopes, sizes, args.epsilons), args.sequences, meta, may_be_empty=["k"])


if __name__ == "__main__":
    parser = stage.arguments.parser(__doc__)
    parser.add_argument("--criteria", type=Path, required=True, help="table of that name")
    parser.add_argument("--points", type=Path, required=True, help="table of that name")
    parser.add_argument("--fixed-weights", type=Path, required=True, help="table of that name")
    parser.add_argument("--epsilons", type=float, nargs="+", required=True, help="nats")
    parser.add_argument("--slopes", type=Path, required=True, help="CSV to write")
    parser.add_argument("--sequences", type=Path, required=True, help="CSV to write")
    stage.arguments.run(main, parser)
