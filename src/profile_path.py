"""Measure loss and curvature along a path.

Example:
    python src/profile_path.py --tokens corpus/tokens.safetensors --model '{…}' --sequences 64 \\
        --data-seed 0 --held-out-sequences 256 --path trained.safetensors --kind trained --pair 0-1 \\
        --points 21 --dense-points 101 --probes 32 --tolerance 1e-3 --seed 0 \\
        --curvature curvature.csv --losses losses.csv
"""

from pathlib import Path

import numpy as np

import _problem
import _stage
from valleyscope.artifacts import load_tensors, write_table
from valleyscope.model import sequence_losses
from valleyscope.paths import Path as WeightPath
from valleyscope.profile import loss_profile, profile_path


def main(args):
    data, held_out = _problem.data(args)
    model = _problem.model(args)
    path = WeightPath(load_tensors(args.path, ["pivots"])["pivots"].to(args.device))
    with _stage.progress(args.points, f"profile {args.kind} {args.pair}", "point") as bar:
        curvature = profile_path(
            model,
            sequence_losses,
            data,
            path,
            np.linspace(0, 1, args.points).tolist(),
            probes=args.probes,
            tol=args.tolerance,
            seed=args.seed,
            memory_budget=args.memory_budget,
            on_point=lambda position: bar.update(),
        )
    dense = np.linspace(0, 1, args.dense_points).tolist()
    losses = loss_profile(model, sequence_losses, data, held_out, path, dense)
    for table, out in ((curvature, args.curvature), (losses, args.losses)):
        table.insert(0, "pair", args.pair)
        table.insert(1, "kind", args.kind)
        table["length"] = path.length
        write_table(table, out, _stage.meta(args, args.tokens, args.path))


if __name__ == "__main__":
    parser = _problem.curvature_parser(__doc__)
    parser.add_argument("--path", type=Path, required=True, help="safetensors: pivots")
    parser.add_argument("--kind", required=True, help="name of the path finder")
    parser.add_argument("--pair", required=True, help="name of the pair of ends")
    parser.add_argument("--points", type=int, required=True, help="positions with curvature")
    parser.add_argument("--dense-points", type=int, required=True, help="positions with losses")
    parser.add_argument("--probes", type=int, required=True, help="random vectors of a trace")
    parser.add_argument("--tolerance", type=float, required=True, help="residual over λ_max")
    parser.add_argument("--seed", type=int, required=True, help="of the random vectors")
    parser.add_argument("--curvature", type=Path, required=True, help="CSV to write")
    parser.add_argument("--losses", type=Path, required=True, help="CSV to write")
    _stage.run(main, parser)
