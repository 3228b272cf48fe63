"""Train one architecture from each seed and measure on it what Paper A claims.

Example:
    python src/study_architecture.py --name mlp --kind mlp --settings '{"width": 64, "depth": 2}' \\
        --tokens corpus/tokens.safetensors --context 32 --samples 512 --held-out 256 --seeds 0 1 \\
        --training '{"epochs": 1, "batch": 2, "learning_rate": 2e-3, "warmup": 8, "weight_decay": 0.01,
                     "record_every": 64}' \\
        --study '{"k": [16, 64], "candidates": 16, "candidate_draws": 4, "dim": 8, "sigma": 1e-3,
                  "samples": 8, "tolerance": 1e-3,
                  "validity": {"k": 64, "limit": 0.1, "samples": 6, "sigmas": [1e-4, 1e-3, 1e-2]}}' \\
        --points points.csv --summary summary.csv --cost cost.csv
"""

from functools import partial

import stage.architecture
import stage.arguments
from stage.pieces import Pieces, write_joined

import pandas as pd

from valleyscope.landscape.study import StudySettings, study
from valleyscope.models.architectures import KINDS

TABLES = ("points", "summary", "cost")


def main(args):
    meta = stage.arguments.meta(args, args.tokens)
    pieces = Pieces.of(args.points, meta)
    found = [pieces.tables(str(seed), partial(of_seed, args, seed)) for seed in args.seeds]
    for name in TABLES:
        write_joined([tables[name] for tables in found], getattr(args, name), meta)
    pieces.remove()


def of_seed(args, seed: int) -> dict[str, pd.DataFrame]:
    """The tables of one seed, named."""
    data, held_out = stage.architecture.data(args, seed)
    result = study(
        stage.architecture.model(args, seed),
        KINDS[args.kind].loss_fn,
        data,
        held_out,
        args.training,
        args.study,
        seed=seed,
        memory_budget=args.memory_budget,
    )
    tables = {name: getattr(result, name) for name in TABLES}
    for table in tables.values():
        table.insert(0, "architecture", args.name)
        table.insert(1, "seed", seed)
    return tables


if __name__ == "__main__":
    parser = stage.architecture.parser(__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", required=True, help="of weights and data order")
    stage.arguments.add_settings(parser, study=StudySettings)
    stage.arguments.add_files(
        parser,
        points="CSV, a row a seed and k",
        summary="CSV, a row a seed",
        cost="CSV of timings, a row a seed",
    )
    stage.arguments.run(main, parser)
