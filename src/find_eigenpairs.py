"""Find the leading eigenpairs of H^(k), the Hessian of the mean loss of the first k sequences, at each point.

Example:
    python src/find_eigenpairs.py --tokens corpus/tokens.safetensors --model '{…}' \\
        --sequences 8192 --data-seed 0 --held-out-sequences 256 --tolerance 1e-3 \\
        --at '[{"regime": "run", "k": 64, "count": 16}, {"regime": "run", "k": 128, "count": 4}]' \\
        --checkpoint w_64.safetensors w_128.safetensors --out eigen_64.safetensors eigen_128.safetensors \\
        --table eigenvalues.csv
"""

import stage.arguments
import stage.point

import pandas as pd

from valleyscope.eigen import converged_eigenpairs


def main(args):
    stage.point.measure(args, ["table"], at_point, files=["out"])


def at_point(args, point):
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
    stage.point.save_eigenpairs(eigen, args.out, stage.arguments.meta(args, args.tokens, args.checkpoint))
    return {"table": table}


if __name__ == "__main__":
    parser = stage.point.parser(__doc__, count=int)
    stage.arguments.add(parser, "tolerance")
    stage.point.add_files(parser, out="values, vectors, residuals, one file for each point")
    stage.point.add_tables(parser, table="a row an eigenvalue")
    stage.arguments.run(main, parser)
