"""Measure the drift along a path that minibatch noise makes, at several rates, batches and periods.

Example:
    python src/measure_drift.py --tokens corpus/tokens.safetensors --model '{…}' --sequences 64 \\
        --data-seed 0 --held-out-sequences 256 --path path.safetensors --variant adamw --kind autoneb \\
        --pair 0-1 --positions 14 --seed 0 --followed 8 \\
        --grid '[{"learning_rate": 0.01, "batch": 4, "steps": 15, "replicas": 64}]' --out drift.csv
"""

import json

import stage.arguments
import stage.path
import stage.problem

import pandas as pd

from valleyscope.drift import DriftSettings, drift
from valleyscope.models.model import sequence_losses


def main(args):
    data, _ = stage.problem.data(args)
    model = stage.problem.model(args)
    path = stage.path.load(args)
    tables = []
    with stage.arguments.progress(len(args.grid) * args.positions, f"drift {args.pair}", "position") as bar:
        for index, named in enumerate(args.grid):
            settings = DriftSettings(**named, followed=args.followed)
            table = drift(
                model,
                sequence_losses,
                data,
                path,
                path.segment_middles(args.positions),
                settings,
                seed=args.seed + 1000 * index,
                on_position=lambda position: bar.update(),
            )
            tables.append(table.assign(**named))
    stage.path.write(pd.concat(tables, ignore_index=True), args.out, args)


if __name__ == "__main__":
    parser = stage.path.parser(__doc__)
    parser.add_argument("--positions", type=int, required=True, help="middles of segments, evenly chosen")
    parser.add_argument("--followed", type=int, required=True, help="replicas that enter the theory's sum")
    parser.add_argument(
        "--grid",
        type=json.loads,
        required=True,
        help="learning_rate, batch, steps, replicas of each run, JSON",
    )
    stage.arguments.add_files(parser, out="CSV, a row a run and position")
    stage.arguments.run(main, parser)
