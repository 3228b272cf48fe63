"""Residual against products for each solver of the leading eigenpairs of H^(k).

Example:
    python src/compare_eigensolvers.py --tokens corpus/tokens.safetensors --model '{…}' --sequences 8192 \\
        --data-seed 0 --held-out-sequences 256 --checkpoint model.safetensors --regime trained --k 16 \\
        --count 16 --tolerances 1e-1 1e-3 --steps 10 30 --out eigensolvers.csv
"""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.sparse.linalg import LinearOperator, eigsh

import stage.arguments
import stage.point
import stage.problem
from valleyscope.eigen import top_eigenpairs
from valleyscope.hessian import HessianOperator
from valleyscope.landscape.published import deflated_power_iteration
from valleyscope.models.model import sequence_losses


def scipy_vectors(operator, count, tolerance, seed):
    """Eigenvectors by SciPy's implicitly restarted Lanczos (ARPACK)."""

    def product(v):
        return operator.matvec(torch.from_numpy(np.asarray(v, np.float32).reshape(-1))).cpu().numpy()

    start = np.random.default_rng(seed).standard_normal(operator.size)
    wrapped = LinearOperator((operator.size, operator.size), product, dtype=np.float32)
    return torch.from_numpy(
        np.ascontiguousarray(eigsh(wrapped, count, which="LA", tol=tolerance, v0=start)[1])
    )


def worst_residual(operator, vectors):
    """Largest ‖Hu − (uᵀHu)u‖ over the largest uᵀHu, measured with products that are not counted."""
    U = (vectors / vectors.norm(dim=0)).to(operator.device)
    images = operator.matmat(U).double()
    values = (U.double() * images).sum(0)
    return ((images - values * U.double()).norm(dim=0).max() / values.max()).item()


def solvers(args, operator):
    """(solver, setting) -> a call that returns eigenvectors."""
    count, seed = args.count, args.data_seed
    calls = {}
    for tol in args.tolerances:
        for name, method in (("Lanczos", "lanczos"), ("power", "power")):
            calls[name, tol] = lambda m=method, t=tol: (
                top_eigenpairs(operator, count, method=m, tol=t, seed=seed).vectors
            )
        calls["eigsh", tol] = lambda t=tol: scipy_vectors(operator, count, t, seed)
    for steps in args.steps:
        calls["published", steps] = lambda s=steps: deflated_power_iteration(operator, count, s, seed)[1]
    return calls


def main(args):
    data, _ = stage.problem.data(args)
    model = stage.problem.model(args, args.checkpoint)
    operator = HessianOperator(model, sequence_losses, data[: args.k], memory_budget=args.memory_budget)
    rows = []
    warnings.simplefilter("ignore", RuntimeWarning)  # of no convergence: the residual says it
    for (solver, setting), call in solvers(args, operator).items():
        before = operator.matvecs
        vectors = call()
        row = {
            "count": args.count,
            "solver": solver,
            "setting": setting,
            "products": operator.matvecs - before,
        }
        rows.append(row | {"residual": worst_residual(operator, vectors)})
    stage.point.write(args, (pd.DataFrame(rows), args.out))


if __name__ == "__main__":
    parser = stage.point.parser(__doc__)
    parser.add_argument("--count", type=int, required=True, help="eigenpairs")
    parser.add_argument("--tolerances", type=float, nargs="+", required=True, help="residual over λ₁")
    parser.add_argument("--steps", type=int, nargs="+", required=True, help="a pair, of the published solver")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    stage.arguments.run(main, parser)
