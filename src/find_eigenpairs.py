"""Find the leading eigenpairs of H^(k), the Hessian of the mean loss of the first k sequences.

Example:
    python src/find_eigenpairs.py --tokens corpus/tokens.safetensors --model '{…}' \\
        --sequences 8192 --data-seed 0 --held-out-sequences 256 --checkpoint model.safetensors \\
        --regime trajectory --k 64 --count 16 --tolerance 1e-3 --out eigen.safetensors --table eigenvalues.csv
"""

from pathlib import Path

import pandas as pd

import stage.arguments
import stage.point
import stage.problem
from valleyscope.artifacts import save_tensors
from valleyscope.eigen import converged_eigenpairs
from valleyscope.hessian import HessianOperator
from valleyscope.models.model import sequence_losses


def main(args):
    data, _ = stage.problem.data(args)
    model = stage.problem.model(args, args.checkpoint)
    operator = HessianOperator(model, sequence_losses, data[: args.k], memory_budget=args.memory_budget)
    eigen = converged_eigenpairs(operator, args.count, tol=args.tolerance, seed=args.data_seed)
    table = pd.DataFrame(
        {
            "rank": range(1, args.count + 1),
            "eigenvalue": eigen.values.numpy(),
            "residual": eigen.residuals.numpy(),
            "products": eigen.matvecs,
            "graph": "kept" if operator.graph_kept else "rebuilt",
        }
    )
    stage.point.write(args, (table, args.table))
    meta = stage.arguments.meta(args, args.tokens, args.checkpoint)
    tensors = {"values": eigen.values, "vectors": eigen.vectors, "residuals": eigen.residuals}
    save_tensors(tensors, args.out, {**meta, "products": eigen.matvecs})


if __name__ == "__main__":
    parser = stage.point.parser(__doc__)
    parser.add_argument("--count", type=int, required=True, help="eigenpairs")
    parser.add_argument("--tolerance", type=float, required=True, help="residual over λ₁")
    parser.add_argument("--out", type=Path, required=True, help="values, vectors, residuals")
    parser.add_argument("--table", type=Path, required=True, help="CSV, a row an eigenvalue")
    stage.arguments.run(main, parser)
