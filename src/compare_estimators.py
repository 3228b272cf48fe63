"""Direct and quadratic Monte Carlo against the closed form, over D, σ and the number of draws.

Example:
    python src/compare_estimators.py --tokens corpus/tokens.safetensors --model '{…}' --sequences 8192 \\
        --data-seed 0 --held-out-sequences 256 --checkpoint model.safetensors --regime trained \\
        --eigen eigen.safetensors --k 64 --dims 1 10 30 --sigmas 1e-3 1e-2 --counts 8 64 --out estimators.csv
"""

from pathlib import Path

import stage.arguments
import stage.point
import stage.problem
from valleyscope.landscape.estimators import Grid
from valleyscope.landscape.expansion import compare_estimators
from valleyscope.models.model import sequence_losses


def main(args):
    data, _ = stage.problem.data(args)
    model = stage.problem.model(args, args.checkpoint)
    grid = Grid(args.dims, args.sigmas, max(args.counts), args.data_seed)
    table = compare_estimators(
        model, sequence_losses, data, stage.point.eigenpairs(args), args.k, grid, args.counts
    )
    stage.point.write(args, (table, args.out))


if __name__ == "__main__":
    parser = stage.point.eigen_parser(__doc__)
    parser.add_argument("--dims", type=int, nargs="+", required=True, help="D")
    parser.add_argument("--sigmas", type=float, nargs="+", required=True, help="probe widths")
    parser.add_argument("--counts", type=int, nargs="+", required=True, help="S, draws")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    stage.arguments.run(main, parser)
