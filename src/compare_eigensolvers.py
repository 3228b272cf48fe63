"""Residual against products for each solver of the leading eigenpairs of H^(k).

Example:
    python src/compare_eigensolvers.py --tokens corpus/tokens.safetensors --model '{…}' --sequences 8192 \\
        --data-seed 0 --held-out-sequences 256 --at '[{"regime": "trained", "k": 16}]' \\
        --checkpoint model.safetensors --count 16 --tolerances 1e-1 1e-3 --steps 10 30 --out eigensolvers.csv
"""

import stage.arguments
import stage.point

from valleyscope.landscape.solvers import compare_solvers


def main(args):
    stage.point.measure(args, ["out"], at_point)


def at_point(args, point):
    table = compare_solvers(point.operator, args.count, args.tolerances, args.steps, args.data_seed)
    return {"out": table}


if __name__ == "__main__":
    parser = stage.point.parser(__doc__)
    parser.add_argument("--count", type=int, required=True, help="eigenpairs")
    parser.add_argument("--tolerances", type=float, nargs="+", required=True, help="residual over λ₁")
    parser.add_argument("--steps", type=int, nargs="+", required=True, help="a pair, of the published solver")
    stage.point.add_tables(parser, out="a row a solver and setting")
    stage.arguments.run(main, parser)
