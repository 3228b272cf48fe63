"""How the mean loss moves when one sample is added: δ_k, its quadratic model, and its true values.

    δ_k(w) = L_{k+1}(w) − L_k(w) = (ℓ_{k+1}(w) − L_k(w)) / (k+1)

Only the right-hand side is ever computed: the difference of two float32 means has no digits left at
large k.
"""

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from valleyscope.criteria import IncrementModel, standard_normals
from valleyscope.eigen import EigenResult
from valleyscope.estimate import Estimate
from valleyscope.hessian import HessianOperator
from valleyscope.operators import Operator
from valleyscope.weights import LossFunction, flat_weights, replica_losses


def increments(losses: Tensor, k: int) -> np.ndarray:
    """δ_k from per-sample losses (..., n ≥ k + 1) whose first k + 1 are the samples: (...) float64."""
    losses = losses.double()
    return ((losses[..., k] - losses[..., :k].mean(-1)) / (k + 1)).cpu().numpy()


class IncrementOperator(Operator):
    """A = (H_{k+1} − H^(k)) / (k+1), the Hessian of δ_k, as an operator; its trace and that of A² give Δ₂.

    Args:
        mean: Hessian operator of L_k, the first k samples.
        sample: of the (k+1)-th sample alone: H_{k+1}, the part that k does not make dearer.

    Both count the products taken through this operator.
    """

    def __init__(self, mean: HessianOperator, sample: HessianOperator):
        self.mean, self.sample = mean, sample
        self.size, self.dtype, self.device = mean.size, mean.dtype, mean.device
        self.k = mean.samples

    def gradient(self) -> Tensor:
        """∇δ_k = (g_{k+1} − g^(k)) / (k+1), (N,)."""
        return (self.sample.gradient() - self.mean.gradient()) / (self.k + 1)

    def _matmat(self, V: Tensor) -> Tensor:
        return (self.sample.matmat(V) - self.mean.matmat(V)) / (self.k + 1)


def increment_model(
    operator: HessianOperator, eigen: EigenResult, sample: HessianOperator, k: int
) -> IncrementModel:
    """The quadratic model of δ_k in the eigenspace of H^(k).

    Args:
        operator: of L_k, the first k samples.
        eigen: its eigenpairs U (N, D); UᵀH^(k)U is diag(values), so no product of L_k is needed.
        sample: operator of the (k+1)-th sample alone; D products are taken.
    """
    U = eigen.vectors.double()
    slope = U.T @ (sample.gradient().double() - operator.gradient().double())
    curvature = U.T @ sample.matmat(eigen.vectors).double() - eigen.values.to(U).diag()
    return IncrementModel(
        (sample.loss - operator.loss) / (k + 1),
        (slope / (k + 1)).cpu().numpy(),
        (curvature / (k + 1)).cpu().numpy(),
    )


def direct_increments(
    model: nn.Module,
    loss_fn: LossFunction,
    data: Tensor,
    basis: Tensor,
    displacements: np.ndarray,
    k: int,
    *,
    chunk: int = 8,
) -> np.ndarray:
    """True δ_k(w + U z) for each z: data (≥ k + 1, ...), U (N, D), z (S, D) -> (S,) float64.

    `chunk` points are evaluated in one batched computation.
    """
    centre = flat_weights(model)
    z = torch.as_tensor(displacements).to(basis)
    samples = data[: k + 1].to(centre.device)
    values = []
    for part in z.split(chunk):
        points = centre + part @ basis.T
        values.append(increments(replica_losses(model, loss_fn, points, samples), k))
    return np.concatenate(values)


def gradient_share(operator: HessianOperator, sample: HessianOperator, basis: Tensor) -> np.ndarray:
    """‖U_dᵀ Δg‖² / ‖Δg‖² for d = 1 … D, with Δg = g_{k+1} − g^(k): what the subspace sees of the slope.

    A random subspace would see d / N of it.
    """
    difference = sample.gradient().double() - operator.gradient().double()
    components = (basis.double().T @ difference).square().cumsum(0)
    return (components / difference.square().sum()).cpu().numpy()


def estimate_criteria(
    model: nn.Module,
    loss_fn: LossFunction,
    data: Tensor,
    eigen: EigenResult,
    k: int,
    *,
    dims: list[int],
    sigmas: list[float],
    samples: int,
    seed: int,
    memory_budget: float | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Δ₂^(D) by three estimators, and what it is made of, over a grid of D and σ.

    Args:
        data: at least k + 1 samples; the first k make L_k, the next one is added.
        eigen: eigenpairs of H^(k) at the model's weights, at least max(dims).

    Returns two tables with columns dim, sigma and
        estimates: estimator, estimate of E δ², standard_error, variance of δ. "direct_minus_quadratic" is
            the mean of δ² − q² over the same draws, whose error is far below that of either mean.
        terms: value, slope, curvature, cross (summing to the closed form), gradient_share, and the chance
            level of the latter, D/N.
    """
    operator = HessianOperator(model, loss_fn, data[:k], memory_budget=memory_budget)
    sample = HessianOperator(model, loss_fn, data[k : k + 1])
    full = increment_model(operator, eigen, sample, k)
    share = gradient_share(operator, sample, eigen.vectors)
    estimates, terms = [], []
    for dim in dims:
        quadratic = full.leading(dim)
        draws = standard_normals(samples, dim, seed)
        for sigma in sigmas:
            cell = {"dim": dim, "sigma": sigma}
            basis = eigen.vectors[:, :dim]
            true = direct_increments(model, loss_fn, data, basis, sigma * draws, k)
            modelled = quadratic.at(sigma * draws)
            if not np.isfinite([true, modelled]).all():
                raise FloatingPointError(f"increments at D = {dim}, sigma = {sigma} are not finite")
            closed = quadratic.gaussian_moment(sigma)
            closed = {"estimate": closed, "variance": quadratic.variance(sigma)}
            estimates.append({**cell, "estimator": "gaussian_moment", **closed})
            spread = {"quadratic": modelled.var(ddof=1), "direct": true.var(ddof=1)}
            spread["direct_minus_quadratic"] = spread["direct"] - spread["quadratic"]
            for name, squares in (
                ("quadratic", modelled**2),
                ("direct", true**2),
                ("direct_minus_quadratic", true**2 - modelled**2),
            ):
                estimate = Estimate.of(squares)
                row = {"estimate": estimate.mean, "variance": spread[name]}
                row["standard_error"] = estimate.standard_error
                estimates.append({**cell, "estimator": name, **row})
            share_of_slope = {"gradient_share": share[dim - 1], "chance": dim / operator.size}
            terms.append({**cell, **quadratic.terms(sigma), **share_of_slope})
    return pd.DataFrame(estimates), pd.DataFrame(terms)
