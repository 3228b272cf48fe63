"""Find the leading eigenpairs of H^(k), the Hessian of the mean loss of the first k sequences.

Example:
    python src/find_eigenpairs.py --tokens corpus/tokens.safetensors --model '{…}' \\
        --sequences 8192 --data-seed 0 --held-out-sequences 256 --checkpoint model.safetensors \\
        --regime trajectory --k 64 --count 16 --tolerance 1e-3 --out eigen.safetensors --table eigenvalues.csv
"""

import stage.arguments
import stage.point

import pandas as pd

from valleyscope.eigen import converged_eigenpairs


def main(args):
    point = stage.point.load(args)
    eigen = converged_eigenpairs(point.operator, args.count, tol=args.tolerance, seed=args.data_seed)
    table = pd.DataFrame(
        {
            "rank": range(1, args.count + 1),
            "eigenvalue": eigen.values.numpy(),
            "residual": eigen.residuals.numpy(),
            "products": eigen.matvecs,
            "graph": "kept" if point.operator.graph_kept else "rebuilt",
        }
    )
    stage.point.write(args, (table, args.table))
    stage.point.save_eigenpairs(eigen, args.out, stage.arguments.meta(args, args.tokens, args.checkpoint))


if __name__ == "__main__":
    parser = stage.point.parser(__doc__)
    parser.add_argument("--count", type=int, required=True, help="eigenpairs")
    stage.arguments.add(parser, "tolerance")
    stage.arguments.add_files(parser, out="values, vectors, residuals", table="CSV, a row an eigenvalue")
    stage.arguments.run(main, parser)
