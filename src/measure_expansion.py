"""Where the quadratic model holds: its error against σ in three precisions, σ*, and Fig. 3's ratio in each.

Example:
    python src/measure_expansion.py --tokens corpus/tokens.safetensors --model '{…}' --sequences 8192 \\
        --data-seed 0 --held-out-sequences 256 --checkpoint model.safetensors --regime trained \\
        --eigen eigen.safetensors --k 64 --limit 0.1 \\
        --expansion '{"dims": [1, 16], "samples": 12, "sigmas": [1e-3, 1e-2]}' \\
        --precision '{"dims": [1, 16], "samples": 32, "sigmas": [1e-3, 1e-2]}' \\
        --errors expansion.csv --validity validity.csv --moments precision.csv
"""

import json

import stage.arguments
import stage.point

from valleyscope.landscape.estimators import Grid
from valleyscope.landscape.expansion import expansion_errors, moments_by_precision, validity
from valleyscope.models.model import sequence_losses


def main(args):
    point = stage.point.load(args)
    eigen = stage.point.eigenpairs(args.eigen, args.device)
    problem = (point.model, sequence_losses, point.data, eigen, args.k)
    errors = expansion_errors(*problem, Grid(**args.expansion, seed=args.data_seed))
    moments = moments_by_precision(*problem, Grid(**args.precision, seed=args.data_seed))
    outputs = [(errors, args.errors), (validity(errors, args.limit), args.validity), (moments, args.moments)]
    stage.point.write(args, *outputs, may_be_empty=["sigma_star", "sigma_floor"])  # where the grid holds none


if __name__ == "__main__":
    parser = stage.point.eigen_parser(__doc__)
    parser.add_argument("--limit", type=float, required=True, help="of error over signal, which defines σ*")
    for name in ("--expansion", "--precision"):
        parser.add_argument(name, type=json.loads, required=True, help="dims, sigmas, samples; JSON")
    stage.arguments.add_files(
        parser,
        errors="CSV, a row a precision, D and σ",
        validity="CSV, a row a precision and D",
        moments="CSV, a row a precision, D and σ",
    )
    stage.arguments.run(main, parser)
