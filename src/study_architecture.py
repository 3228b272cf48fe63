"""Train one architecture and measure on it what Paper A claims.

Example:
    python src/study_architecture.py --name mlp --kind mlp --settings '{"width": 64, "depth": 2}' \\
        --tokens corpus/tokens.safetensors --context 32 --samples 512 --held-out 256 --seed 0 \\
        --training '{"epochs": 1, "batch": 2, "learning_rate": 2e-3, "warmup": 8, "weight_decay": 0.01,
                     "record_every": 64}' \\
        --study '{"k": [16, 64], "candidates": 16, "candidate_draws": 4, "dim": 8, "sigma": 1e-3,
                  "samples": 8, "tolerance": 1e-3,
                  "validity": {"k": 64, "limit": 0.1, "samples": 6, "sigmas": [1e-4, 1e-3, 1e-2]}}' \\
        --points points.csv --summary summary.csv --cost cost.csv
"""

import stage.architecture
import stage.arguments

from valleyscope.artifacts import write_table
from valleyscope.landscape.study import StudySettings, study
from valleyscope.models.architectures import KINDS


def main(args):
    data, held_out = stage.architecture.data(args, args.seed)
    result = study(
        stage.architecture.model(args, args.seed),
        KINDS[args.kind].loss_fn,
        data,
        held_out,
        args.training,
        args.study,
        seed=args.seed,
        memory_budget=args.memory_budget,
    )
    meta = stage.arguments.meta(args, args.tokens)
    for name in ("points", "summary", "cost"):
        table = getattr(result, name)
        table.insert(0, "architecture", args.name)
        table.insert(1, "seed", args.seed)
        write_table(table, getattr(args, name), meta)


if __name__ == "__main__":
    parser = stage.architecture.parser(__doc__)
    stage.arguments.add(parser, "seed")
    stage.arguments.add_settings(parser, study=StudySettings)
    stage.arguments.add_files(
        parser, points="CSV, a row a k", summary="CSV, one row", cost="CSV of timings, one row"
    )
    stage.arguments.run(main, parser)
