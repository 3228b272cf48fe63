"""Direct and quadratic Monte Carlo against the closed form, over D, σ and the number of draws.

Example:
    python src/compare_estimators.py --tokens corpus/tokens.safetensors --model '{…}' --sequences 8192 \\
        --data-seed 0 --held-out-sequences 256 --at '[{"regime": "trained", "k": 64}]' \\
        --checkpoint model.safetensors --eigen eigen.safetensors --dims 1 10 30 --sigmas 1e-3 1e-2 \\
        --counts 8 64 --out estimators.csv
"""

import stage.arguments
import stage.point

from valleyscope.landscape.estimators import Grid
from valleyscope.landscape.expansion import compare_estimators
from valleyscope.models.model import sequence_losses


def main(args):
    stage.point.measure(args, ["out"], at_point)


def at_point(args, point):
    eigen = stage.point.eigenpairs(args.eigen, args.device)
    grid = Grid(args.dims, args.sigmas, max(args.counts), args.data_seed)
    table = compare_estimators(point.model, sequence_losses, point.data, eigen, args.k, grid, args.counts)
    return {"out": table}


if __name__ == "__main__":
    parser = stage.point.eigen_parser(__doc__)
    stage.arguments.add(parser, "dims", "sigmas")
    parser.add_argument("--counts", type=int, nargs="+", required=True, help="S, draws")
    stage.point.add_tables(parser, out="a row a D, σ and S")
    stage.arguments.run(main, parser)
