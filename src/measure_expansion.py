"""Where the quadratic model holds: its error against σ in three precisions, σ*, and Fig. 3's ratio in each.

Example:
    python src/measure_expansion.py --tokens corpus/tokens.safetensors --model '{…}' --sequences 8192 \\
        --data-seed 0 --held-out-sequences 256 --at '[{"regime": "trained", "k": 64}]' \\
        --checkpoint model.safetensors --eigen eigen.safetensors --limit 0.1 \\
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

EMPTY = ["sigma_star", "sigma_floor"]  # where the grid holds none


def main(args):
    stage.point.measure(args, ["errors", "validity", "moments"], at_point, may_be_empty=EMPTY)


def at_point(args, point):
    eigen = stage.point.eigenpairs(args.eigen, args.device)
    problem = (point.model, sequence_losses, point.data, eigen, args.k)
    errors = expansion_errors(*problem, Grid(**args.expansion, seed=args.data_seed))
    moments = moments_by_precision(*problem, Grid(**args.precision, seed=args.data_seed))
    return {"errors": errors, "validity": validity(errors, args.limit), "moments": moments}


if __name__ == "__main__":
    parser = stage.point.eigen_parser(__doc__)
    parser.add_argument("--limit", type=float, required=True, help="of error over signal, which defines σ*")
    for name in ("--expansion", "--precision"):
        parser.add_argument(name, type=json.loads, required=True, help="dims, sigmas, samples; JSON")
    stage.point.add_tables(
        parser,
        errors="a row a precision, D and σ",
        validity="a row a precision and D",
        moments="a row a precision, D and σ",
    )
    stage.arguments.run(main, parser)
