"""Direct and quadratic Monte Carlo against the closed form, over D, σ and the number of draws.

Example:
    python src/compare_estimators.py --tokens corpus/tokens.safetensors --model '{…}' --sequences 8192 \\
        --data-seed 0 --held-out-sequences 256 --checkpoint model.safetensors --weights trained \\
        --eigen eigen.safetensors --k 64 --dims 1 10 30 --sigmas 1e-3 1e-2 --counts 8 64 --out estimators.csv
"""

from pathlib import Path

import _point
import _problem
import _stage
from valleyscope.estimation import Grid
from valleyscope.expansion import compare_estimators
from valleyscope.model import sequence_losses


def main(args):
    data, _ = _problem.data(args)
    model = _problem.model(args, args.checkpoint)
    grid = Grid(args.dims, args.sigmas, max(args.counts), args.data_seed)
    table = compare_estimators(
        model, sequence_losses, data, _point.eigenpairs(args), args.k, grid, args.counts
    )
    _point.write(args, (table, args.out))


if __name__ == "__main__":
    parser = _point.eigen_parser(__doc__)
    parser.add_argument("--dims", type=int, nargs="+", required=True, help="D")
    parser.add_argument("--sigmas", type=float, nargs="+", required=True, help="probe widths")
    parser.add_argument("--counts", type=int, nargs="+", required=True, help="S, draws")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    _stage.run(main, parser)
