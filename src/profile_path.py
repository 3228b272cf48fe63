"""Measure loss, curvature, gradient noise and Paper A's criterion along a path.

Example:
    python src/profile_path.py --tokens corpus/tokens.safetensors --model '{…}' --sequences 64 \\
        --data-seed 0 --held-out-sequences 256 --path path.safetensors --variant adamw --kind autoneb \\
        --pair 0-1 --points 15 --dense-points 101 --seed 0 --candidates 8 --dims 1 4 8 --sigmas 1e-3 1e-2 \\
        --profile '{"probes": 16, "label_probes": 8, "noise_draws": 8, "eigenpairs": 8, "tolerance": 1e-3}' \\
        --curvature curvature.csv --eigenvalues eigenvalues.csv --groups groups.csv --losses losses.csv \\
        --criteria criteria.csv
"""

from pathlib import Path

import stage.arguments
import stage.path
import stage.problem

import numpy as np
import pandas as pd

from valleyscope.connectivity.path_criteria import path_criteria
from valleyscope.connectivity.profile import ProfileSettings, loss_profile, profile_path
from valleyscope.models.model import sequence_losses


def logits(model, batch):
    return model(batch[:, :-1])


def main(args):
    data, held_out = stage.problem.data(args)
    model = stage.problem.model(args)
    path = stage.path.load(args)
    criteria = []
    with stage.arguments.progress(
        args.points, f"profile {args.variant} {args.kind} {args.pair}", "point"
    ) as bar:

        def measured(place):
            if args.candidates:
                criteria.append(
                    path_criteria(
                        model, sequence_losses, place, held_out[: args.candidates], args.dims, args.sigmas
                    )
                )
            bar.update()

        tables = profile_path(
            model,
            sequence_losses,
            logits,
            data,
            path,
            np.linspace(0, 1, args.points).tolist(),
            args.profile,
            seed=args.seed,
            memory_budget=args.memory_budget,
            on_point=measured,
        )
    dense = np.linspace(0, 1, args.dense_points).tolist()
    tables["losses"] = loss_profile(model, sequence_losses, data, held_out, path, dense)
    if criteria:
        tables["criteria"] = pd.concat(criteria, ignore_index=True)
    for name, table in tables.items():
        stage.path.write(table, getattr(args, name), args)


if __name__ == "__main__":
    parser = stage.path.parser(__doc__)
    parser.add_argument("--points", type=int, required=True, help="positions with curvature")
    parser.add_argument("--dense-points", type=int, required=True, help="positions with losses")
    stage.arguments.add_settings(parser, profile=ProfileSettings)
    parser.add_argument("--candidates", type=int, required=True, help="next sequences; 0: no criteria")
    parser.add_argument("--dims", type=int, nargs="+", default=[], help="D of the criteria")
    parser.add_argument("--sigmas", type=float, nargs="+", default=[], help="σ of the criteria")
    tables = ("curvature", "eigenvalues", "groups", "losses")
    stage.arguments.add_files(parser, **dict.fromkeys(tables, "CSV to write"))
    parser.add_argument("--criteria", type=Path, help="CSV to write, with candidates")
    stage.arguments.run(main, parser)
