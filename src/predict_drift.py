"""Predict that drift from curvature and gradient noise alone, without a simulation.

Example:
    python src/predict_drift.py --tokens corpus/tokens.safetensors --model '{…}' --sequences 64 \\
        --data-seed 0 --held-out-sequences 256 --path path.safetensors --variant adamw --kind autoneb \\
        --pair 0-1 --positions 14 --seed 0 --batches 4 --probes 8 \\
        --grid '[{"learning_rate": 0.01, "steps": 15}]' --out predicted.csv
"""

import json

import stage.arguments
import stage.path
import stage.problem

from valleyscope.drift import Setting, predicted_drift
from valleyscope.models.model import sequence_losses


def main(args):
    data, _ = stage.problem.data(args)
    path = stage.path.load(args)
    with stage.arguments.progress(args.positions, f"predict drift {args.pair}", "position") as bar:
        table = predicted_drift(
            stage.problem.model(args),
            sequence_losses,
            data,
            path,
            path.segment_middles(args.positions),
            [Setting(**named) for named in args.grid],
            batches=args.batches,
            probes=args.probes,
            seed=args.seed,
            memory_budget=args.memory_budget,
            on_position=lambda position: bar.update(),
        )
    stage.path.write(table, args.out, args)


if __name__ == "__main__":
    parser = stage.path.parser(__doc__)
    stage.problem.add_compiled(parser)
    parser.add_argument("--positions", type=int, required=True, help="middles of segments, evenly chosen")
    parser.add_argument(
        "--batches", type=int, nargs="+", required=True, help="samples a step; the drift goes as 1/B"
    )
    stage.arguments.add(parser, "probes")
    parser.add_argument("--grid", type=json.loads, required=True, help="learning_rate and steps, JSON")
    stage.arguments.add_files(parser, out="CSV, a row a setting and position")
    stage.arguments.run(main, parser)
