"""Measure the drift along a path that minibatch noise makes, at several rates, batches and periods.

A finished run is kept beside the output until the last has ended, so that a killed stage goes on from there.

Example:
    python src/measure_drift.py --tokens corpus/tokens.safetensors --model '{…}' --sequences 64 \\
        --data-seed 0 --held-out-sequences 256 --path path.safetensors --variant adamw --kind autoneb \\
        --pair 0-1 --positions 14 --seed 0 --followed 8 \\
        --grid '[{"learning_rate": 0.01, "batch": 4, "steps": 15, "replicas": 64}]' --out drift.csv
"""

import json
from functools import partial

import stage.arguments
import stage.path
import stage.problem
from stage.pieces import Pieces

import pandas as pd

from valleyscope.drift import DriftSettings, drift
from valleyscope.models.model import sequence_losses


def measured(args, data, index):
    """The table of one of the runs."""
    path, named = stage.path.load(args), args.grid[index]
    name = f"drift {args.pair}, {index + 1} of {len(args.grid)}"
    with stage.arguments.progress(args.positions, name, "position") as bar:
        table = drift(
            stage.problem.model(args),
            sequence_losses,
            data,
            path,
            path.segment_middles(args.positions),
            DriftSettings(**named, followed=args.followed),
            seed=args.seed + 1000 * index,
            on_position=lambda position: bar.update(),
        )
    return {"drift": table.assign(**named)}


def main(args):
    data, _ = stage.problem.data(args)
    pieces = Pieces.of(args.out, stage.arguments.meta(args, args.tokens, args.path))
    runs = range(len(args.grid))
    tables = [pieces.tables(str(index), partial(measured, args, data, index))["drift"] for index in runs]
    stage.path.write(pd.concat(tables, ignore_index=True), args.out, args)
    pieces.remove()


if __name__ == "__main__":
    parser = stage.path.parser(__doc__)
    stage.problem.add_compiled(parser)
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
