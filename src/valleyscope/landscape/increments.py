"""How the mean loss moves when one sample is added: δ_k, its quadratic model, and its true values.

    δ_k(w) = L_{k+1}(w) − L_k(w) = (ℓ_{k+1}(w) − L_k(w)) / (k+1)

Only the right-hand side is ever computed: the difference of two float32 means has no digits left at
large k. ℓ_{k+1} may be the next sample of a stream or any candidate for it.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from valleyscope.criteria import IncrementModel
from valleyscope.eigen import EigenResult
from valleyscope.engine import batches
from valleyscope.engine.noise import mean_square
from valleyscope.engine.operators import Operator
from valleyscope.engine.weights import LossFunction, flat_weights, replica_losses
from valleyscope.errors import InputError
from valleyscope.hessian import HessianOperator

NUMBERS_AT_ONCE = 65_536  # of samples x points in one batched evaluation: tokens, of sequences
POINTS_AT_ONCE = 8  # more bring nothing on a CPU


def increments(losses: Tensor, k: int) -> np.ndarray:
    """δ_k of each candidate from per-sample losses (..., k + C), those of L_k first: (..., C) float64."""
    losses = losses.double()
    return ((losses[..., k:] - losses[..., :k].mean(-1, keepdim=True)) / (k + 1)).cpu().numpy()


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

    def value(self) -> float:
        """δ_k at the weights, a."""
        return (self.sample.loss - self.mean.loss) / (self.k + 1)

    def gradient(self) -> Tensor:
        """∇δ_k = (g_{k+1} − g^(k)) / (k+1), (N,)."""
        return (self.sample.gradient() - self.mean.gradient()) / (self.k + 1)

    def _matmat(self, V: Tensor) -> Tensor:
        return (self.sample.matmat(V) - self.mean.matmat(V)) / (self.k + 1)


def increment_model(operator: HessianOperator, eigen: EigenResult, sample: HessianOperator) -> IncrementModel:
    """The quadratic model of δ_k in the eigenspace of H^(k).

    Args:
        operator: of L_k, the first k samples.
        eigen: its eigenpairs U (N, D); UᵀH^(k)U is diag(values), so no product of L_k is needed.
        sample: operator of the (k+1)-th sample alone; D products are taken.
    """
    U, count = eigen.vectors.double(), operator.samples + 1
    slope = U.T @ (sample.gradient().double() - operator.gradient().double())
    curvature = U.T @ sample.matmat(eigen.vectors).double() - eigen.values.to(U).diag()
    return IncrementModel(
        (sample.loss - operator.loss) / count,
        (slope / count).cpu().numpy(),
        (curvature / count).cpu().numpy(),
    )


def increment_model_in(increment: IncrementOperator, basis: Tensor) -> IncrementModel:
    """The quadratic model of δ_k in any orthonormal basis U (N, D); D products of A are taken."""
    U = basis.double()
    slope = U.T @ increment.gradient().double()
    curvature = U.T @ increment.matmat(basis).double()
    return IncrementModel(increment.value(), slope.cpu().numpy(), curvature.cpu().numpy())


def direct_increments(
    model: nn.Module, loss_fn: LossFunction, data, candidates, displacements: Tensor
) -> np.ndarray:
    """True δ_k(w + u) for each displacement and candidate.

    Args:
        data: a batch with the k samples of L_k; candidates: one with C for ℓ_{k+1}; displacements: u (S, N).

    Returns (S, C) in float64. Several points are evaluated in one batched computation.
    """
    samples = batches.joined([data, candidates])
    return increments(displaced_losses(model, loss_fn, samples, displacements), batches.size(data))


def require_finite_increments(values: np.ndarray, sigma: float) -> None:
    """FloatingPointError naming σ unless every increment is finite."""
    if not np.isfinite(values).all():
        raise FloatingPointError(f"an increment at sigma = {sigma:g} is not finite; lower sigma")


def displaced_losses(model: nn.Module, loss_fn: LossFunction, samples, displacements: Tensor) -> Tensor:
    """Losses of all n samples of a batch at w + u for displacements u (S, N): (S, n)."""
    centre = flat_weights(model)
    total = batches.size(samples)
    at_once = max(1, NUMBERS_AT_ONCE // batches.numbers(samples))
    chunk = max(1, min(POINTS_AT_ONCE, at_once // total))
    pieces = batches.split(batches.rows(samples, 0, total, centre.device), at_once)
    return torch.cat(
        [
            torch.cat([replica_losses(model, loss_fn, centre + part, piece) for piece in pieces], dim=1)
            for part in displacements.to(centre).split(chunk)
        ]
    )


def sample_operators(model: nn.Module, loss_fn: LossFunction, samples) -> Iterator[HessianOperator]:
    """The Hessian operator of each sample of a batch alone."""
    for sample in batches.split(samples, 1):
        yield HessianOperator(model, loss_fn, sample, keep_graph=True)


def gradient_share(difference: Tensor, basis: Tensor) -> np.ndarray:
    """‖U_dᵀ Δg‖² / ‖Δg‖² for d = 1 … D: what the subspace U (N, D) sees of the slope Δg (N,).

    A random subspace would see d / N of it.
    """
    difference = difference.double()
    components = (basis.double().T @ difference).square().cumsum(0)
    return (components / difference.square().sum()).cpu().numpy()


def describe_point(
    model: nn.Module,
    loss_fn: LossFunction,
    operator: HessianOperator,
    data,
    held_out,
    stationarity: float | None = None,
) -> dict[str, float]:
    """How L_k, the next sample's loss and those of held-out ones lie to one another, and their slopes.

    loss, next_loss, held_out_loss; next_square and next_variance (mean over held-out ℓ of (ℓ − L_k)², and
    Var ℓ); gradient_norm; stationarity (‖∇L_k‖² over E‖g_i‖²/k, unless it is known); slope_square (‖Δg‖²).
    `operator` is of L_k, the first k of the batch `data`.
    """
    k = operator.samples
    known, following = batches.rows(data, 0, k), batches.rows(data, k, k + 1)
    with torch.no_grad():
        others = loss_fn(model, held_out).double()
        next_loss = loss_fn(model, following).double()
    gradient = operator.gradient()
    slope = HessianOperator(model, loss_fn, following).gradient() - gradient
    if stationarity is None:
        noise = mean_square(model, loss_fn, known) / k
        stationarity = gradient.double().square().sum().item() / noise
    return {
        "loss": operator.loss,
        "next_loss": next_loss.item(),
        "held_out_loss": others.mean().item(),
        "next_square": (others - operator.loss).square().mean().item(),
        "next_variance": others.var().item(),
        "gradient_norm": gradient.double().norm().item(),
        "stationarity": stationarity,
        "slope_square": slope.double().square().sum().item(),
    }


def check_point(k: int, samples: int, dim: int, size: int) -> None:
    """InputError unless there is a sample after the first k and the subspace fits in N dimensions."""
    if k + 1 > samples:
        raise InputError(f"k = {k} needs {k + 1} samples, the data has {samples}; lower k")
    if dim > size:
        raise InputError(f"D = {dim} directions are wanted of a model with N = {size} parameters; lower D")
