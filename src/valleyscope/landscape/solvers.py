"""Solvers of the leading eigenpairs beside one another: residual against products."""

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor

from valleyscope.eigen import top_eigenpairs
from valleyscope.engine.operators import Operator
from valleyscope.landscape.published import deflated_power_iteration


def compare_solvers(
    operator: Operator, count: int, tolerances: list[float], steps: list[int], seed: int
) -> pd.DataFrame:
    """A row a solver and setting: its tolerance, or for the published one its steps a pair.

    Columns: results/README.md, eigensolvers.csv.
    """
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of no convergence: the residual says it
        for (solver, setting), call in _calls(operator, count, tolerances, steps, seed).items():
            before = operator.matvecs
            vectors = call()
            row = {"count": count, "solver": solver, "setting": setting}
            row["products"] = operator.matvecs - before
            rows.append(row | {"residual": worst_residual(operator, vectors)})
    return pd.DataFrame(rows)


def _calls(operator, count, tolerances, steps, seed) -> dict[tuple[str, float], Callable[[], Tensor]]:
    """(solver, setting) -> a call that returns eigenvectors (N, D)."""

    def ours(method: str, tol: float) -> Tensor:
        return top_eigenpairs(operator, count, method=method, tol=tol, seed=seed).vectors

    calls = {}
    for tol in tolerances:
        calls["Lanczos", tol] = lambda t=tol: ours("lanczos", t)
        calls["power", tol] = lambda t=tol: ours("power", t)
        calls["eigsh", tol] = lambda t=tol: scipy_vectors(operator, count, t, seed)
    for number in steps:
        calls["published", number] = lambda n=number: deflated_power_iteration(operator, count, n, seed)[1]
    return calls


def scipy_vectors(operator: Operator, count: int, tolerance: float, seed: int) -> Tensor:
    """Eigenvectors (N, D) float32 by SciPy's implicitly restarted Lanczos (ARPACK)."""

    def product(v: np.ndarray) -> np.ndarray:
        return operator.matvec(torch.from_numpy(np.asarray(v, np.float32).reshape(-1))).cpu().numpy()

    start = np.random.default_rng(seed).standard_normal(operator.size)
    wrapped = LinearOperator((operator.size, operator.size), product, dtype=np.float32)
    vectors = eigsh(wrapped, count, which="LA", tol=tolerance, v0=start)[1]
    return torch.from_numpy(np.ascontiguousarray(vectors))


def worst_residual(operator: Operator, vectors: Tensor) -> float:
    """Largest ‖Hu − (uᵀHu)u‖ of unit vectors (N, D) over the largest uᵀHu."""
    U = (vectors / vectors.norm(dim=0)).to(operator.device)
    images = operator.matmat(U).double()
    values = (U.double() * images).sum(0)
    return ((images - values * U.double()).norm(dim=0).max() / values.max()).item()
