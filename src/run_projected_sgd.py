"""Run SGD (or a control) from positions on a path, projected back to it every few steps.

Example:
    python src/run_projected_sgd.py --tokens corpus/tokens.safetensors --model '{…}' \\
        --sequences 64 --data-seed 0 --held-out-sequences 256 --path trained.safetensors --pair 0-1 \\
        --starts 0.2 0.5 0.8 --replicas 3 --run momentum --seed 0 \\
        --sgd '{"learning_rate": 0.05, "momentum": 0.9, "batch": 4, "steps": 2400, "period": 15}' \\
        --out trajectories.csv
"""

import stage.arguments
import stage.path
import stage.problem

import torch

from valleyscope.dynamics import SgdSettings, projected_sgd
from valleyscope.models.model import sequence_losses


def main(args):
    data, _ = stage.problem.data(args)
    starts = torch.tensor(args.starts, dtype=torch.float64).repeat_interleave(args.replicas)
    name = f"sgd {args.run} {args.pair}"
    with stage.arguments.progress(args.sgd.steps // args.sgd.period, name, "period") as bar:
        table = projected_sgd(
            stage.problem.model(args),
            sequence_losses,
            data,
            stage.path.load(args),
            starts,
            args.sgd,
            seed=args.seed,
            on_period=lambda period: bar.update(),
        )
    table.insert(0, "run", args.run)
    stage.path.write(table, args.out, args, may_be_empty=["loss", "step_size"])  # at step 0


if __name__ == "__main__":
    parser = stage.path.parser(__doc__)
    parser.add_argument("--run", required=True, help="name of these settings")
    parser.add_argument("--starts", type=float, nargs="+", required=True, help="in [0, 1]")
    parser.add_argument("--replicas", type=int, required=True, help="runs from each start")
    stage.arguments.add_settings(parser, sgd=SgdSettings)
    stage.arguments.add_files(parser, out="CSV, a row a replica and period")
    stage.arguments.run(main, parser)
