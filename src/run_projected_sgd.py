"""Run SGD from positions on a path, projected back to it every few steps; write the positions.

Example:
    python src/run_projected_sgd.py --tokens corpus/tokens.safetensors --model '{…}' \\
        --sequences 64 --data-seed 0 --held-out-sequences 256 --path trained.safetensors --pair 0-1 \\
        --starts 0.2 0.5 0.8 --replicas 3 --noise minibatch --seed 0 \\
        --sgd '{"learning_rate": 0.05, "momentum": 0.9, "batch": 4, "steps": 2400, "period": 15}' \\
        --out trajectories.csv
"""

from pathlib import Path

import torch

import _problem
import _stage
from valleyscope.artifacts import load_tensors, write_table
from valleyscope.dynamics import SgdSettings, projected_sgd
from valleyscope.model import sequence_losses
from valleyscope.paths import Path as WeightPath


def main(args):
    data, _ = _problem.data(args)
    path = WeightPath(load_tensors(args.path, ["pivots"])["pivots"].to(args.device))
    starts = torch.tensor(args.starts, dtype=torch.float64).repeat_interleave(args.replicas)
    name = f"sgd {args.noise} {args.pair}"
    with _stage.progress(args.sgd.steps // args.sgd.period, name, "period") as bar:
        table = projected_sgd(
            _problem.model(args),
            sequence_losses,
            data,
            path,
            starts,
            args.sgd,
            seed=args.seed,
            on_period=lambda period: bar.update(),
        )
    table.insert(0, "pair", args.pair)
    table.insert(1, "noise", args.noise)
    write_table(table, args.out, _stage.meta(args, args.tokens, args.path))


if __name__ == "__main__":
    parser = _problem.parser(__doc__)
    parser.add_argument("--path", type=Path, required=True, help="safetensors: pivots")
    parser.add_argument("--pair", required=True, help="name of the pair of ends")
    parser.add_argument("--noise", required=True, help="name of this kind of run")
    parser.add_argument("--starts", type=float, nargs="+", required=True, help="in [0, 1]")
    parser.add_argument("--replicas", type=int, required=True, help="runs from each start")
    parser.add_argument("--seed", type=int, required=True, help="of the minibatches")
    parser.add_argument("--sgd", type=_stage.settings(SgdSettings), required=True, help="settings, JSON")
    parser.add_argument("--out", type=Path, required=True, help="CSV, a row a replica and period")
    _stage.run(main, parser)
