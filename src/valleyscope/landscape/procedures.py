"""The published procedure beside the corrected one at one point: eigenpairs, B, closed form, Monte Carlo."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from valleyscope.criteria import IncrementModel, standard_normals
from valleyscope.eigen import converged_eigenpairs
from valleyscope.engine.operators import Operator
from valleyscope.engine.weights import LossFunction
from valleyscope.estimate import Estimate
from valleyscope.hessian import HessianOperator
from valleyscope.landscape import published
from valleyscope.landscape.increments import (
    IncrementOperator,
    direct_increments,
    increment_model,
    increment_model_in,
)


@dataclass(frozen=True)
class ProcedureSettings:
    """Both procedures at one D and σ."""

    dim: int
    steps: int  # of the published power iteration, a pair
    sigma: float
    samples: int  # Monte Carlo draws
    tolerance: float  # of the corrected eigenpairs
    seed: int


@dataclass(frozen=True)
class Procedure:
    """What one procedure gives: "eigenpairs" of its Hessian, its model of δ_k, and δ_k at the draws (S,)."""

    operator: Operator
    values: Tensor
    vectors: Tensor
    quadratic: IncrementModel
    delta: np.ndarray

    @cached_property
    def rayleigh(self) -> tuple[Tensor, Tensor]:
        """uᵀHu (D,) and ‖Hu − (uᵀHu)u‖ (D,) of the vectors u at norm 1."""
        U = self.vectors.double()
        images = self.operator.matmat(self.vectors).double()
        values = (U * images).sum(0) / U.square().sum(0)
        return values, (images - values * U).norm(dim=0) / U.norm(dim=0)


def compare_procedures(
    model: nn.Module,
    loss_fn: LossFunction,
    data: Tensor,
    k: int,
    s: ProcedureSettings,
    memory_budget: float | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Quantities and eigenvalues of both, corrected first.

    Columns: results/README.md, published.csv and published_eigenvalues.csv.
    """
    mean = HessianOperator(model, loss_fn, data[:k], memory_budget=memory_budget)
    increment = IncrementOperator(mean, HessianOperator(model, loss_fn, data[k : k + 1]))
    z = s.sigma * standard_normals(s.samples, s.dim, s.seed)
    both = {
        "corrected": _corrected(model, loss_fn, data, increment, z, s),
        "published": _published(model, loss_fn, data, k, z, s),
    }
    quantities = [_quantities(found, increment, s.sigma).assign(procedure=n) for n, found in both.items()]
    eigenvalues = [_eigenvalues(found).assign(procedure=n) for n, found in both.items()]
    return pd.concat(quantities, ignore_index=True), pd.concat(eigenvalues, ignore_index=True)


def _corrected(model, loss_fn, data, increment: IncrementOperator, z, s: ProcedureSettings) -> Procedure:
    k, mean = increment.k, increment.mean
    eigen = converged_eigenpairs(mean, s.dim, tol=s.tolerance, seed=s.seed)
    quadratic = increment_model(mean, eigen, increment.sample)
    U = eigen.vectors.double()
    displacements = torch.as_tensor(z).to(U) @ U.T
    delta = direct_increments(model, loss_fn, data[:k], data[k : k + 1], displacements)[:, 0]
    return Procedure(mean, eigen.values, eigen.vectors, quadratic, delta)


def _published(model, loss_fn, data, k: int, z, s: ProcedureSettings) -> Procedure:
    operator = published.MicrobatchedHessian(
        model, loss_fn, published.evenly_spaced(data[:k]), keep_graph=True
    )
    values, vectors = published.deflated_power_iteration(operator, s.dim, s.steps, s.seed)
    quadratic = published.coefficients(model, loss_fn, data, k, vectors, keep_graph=True)
    delta = published.unbatched_increments(model, loss_fn, data, k, vectors, z)
    return Procedure(operator, values, vectors, quadratic, delta)


def _quantities(found: Procedure, increment: IncrementOperator, sigma: float) -> pd.DataFrame:
    U = found.vectors.double()
    rayleigh, residuals = found.rayleigh
    identity = torch.eye(U.shape[1]).to(U)
    exact = increment_model_in(increment, found.vectors)
    direct = Estimate.of(found.delta**2)
    quantities = {
        "orthogonality": (U.T @ U - identity).abs().max().item(),
        "wrong_signs": int((found.values.cpu().sign() != rayleigh.cpu().sign()).sum()),
        "residual": (residuals.max() / rayleigh.max()).item(),
        "norm_B": float((found.quadratic.curvature**2).sum() ** 0.5),
        "norm_B_exact": float((exact.curvature**2).sum() ** 0.5),
        "gaussian_moment": found.quadratic.gaussian_moment(sigma),
        "direct": direct.mean,
        "direct_se": direct.standard_error,
        "value": found.quadratic.value**2,
    }
    return pd.DataFrame(quantities.items(), columns=["quantity", "value"])


def _eigenvalues(found: Procedure) -> pd.DataFrame:
    columns = {"eigenvalue": found.values.cpu().numpy(), "rayleigh": found.rayleigh[0].cpu().numpy()}
    return pd.DataFrame({"rank": range(1, len(found.values) + 1), **columns})
