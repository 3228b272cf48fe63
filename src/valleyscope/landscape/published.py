"""Paper A's published procedure, errors included: the baseline that the corrected one is measured against.

Written from a reading of its public code (MIT): eigenpairs by deflated power iteration that returns ‖Hv‖ as
eigenvalue and never reorthogonalises; curvatures of L_k and L_{k+1} from four evenly spaced sequences each,
which are other sequences at k and at k + 1; every product rebuilt in microbatches of two; Monte Carlo one
point at a time, with both means evaluated anew.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import vector_to_parameters

from valleyscope.criteria import IncrementModel
from valleyscope.engine.operators import Operator
from valleyscope.engine.weights import LossFunction, flat_weights, select_parameters

SUBSAMPLE = 4  # sequences of a Hessian
MICROBATCH = 2
EIGENVALUE_TOLERANCE = 1e-4  # relative change that ends an iteration


def evenly_spaced(data: Tensor, count: int = SUBSAMPLE) -> Tensor:
    """`count` samples at rounded even steps from first to last, all if there are no more."""
    if len(data) <= count:
        return data
    return data[torch.linspace(0, len(data) - 1, count).round().long()]


class MicrobatchedHessian(Operator):
    """The Hessian of the mean loss, its graph rebuilt for each product in microbatches of two.

    With `keep_graph` it is built once: the same products to the last bit in 0.6 of the time, for whoever
    wants what the procedure finds and not what it costs.
    """

    def __init__(self, model: nn.Module, loss_fn: LossFunction, data: Tensor, keep_graph: bool = False):
        self.model, self.loss_fn, self.data = model, loss_fn, data
        self._parameters = list(select_parameters(model).values())
        self._kept = self._gradient() if keep_graph else None
        weights = flat_weights(model)
        self.size, self.dtype, self.device = len(weights), weights.dtype, weights.device

    def _matmat(self, V: Tensor) -> Tensor:
        return torch.stack([self._product(v) for v in V.T], dim=1)

    def _product(self, v: Tensor) -> Tensor:
        gradient = self._gradient() if self._kept is None else self._kept
        images = torch.autograd.grad(gradient.dot(v), self._parameters, retain_graph=self._kept is not None)
        return torch.cat([h.reshape(-1) for h in images])

    def _gradient(self) -> Tensor:
        """∇L (N,) with its graph."""
        losses = _microbatched_losses(self.model, self.loss_fn, self.data)
        gradient = torch.autograd.grad(losses.mean(), self._parameters, create_graph=True)
        return torch.cat([g.reshape(-1) for g in gradient])


def deflated_power_iteration(operator: Operator, count: int, steps: int, seed: int) -> tuple[Tensor, Tensor]:
    """ "Eigenvalues" ‖Hv‖ (D,) and vectors (N, D), at most `steps` products each.

    ‖Hv‖ has no sign: deflating by it doubles a negative eigenvalue, so the same direction is found again,
    twice as large each time.
    """
    generator = torch.Generator().manual_seed(seed)
    vectors, values = [], []
    for _ in range(count):
        v = torch.randn(operator.size, generator=generator).to(operator.device, operator.dtype)
        v, value = v / v.norm(), 0.0
        for _ in range(steps):
            image = operator.matvec(v)
            for u, known in zip(vectors, values, strict=True):
                image = image - known * u.dot(v) * u
            previous, value = value, image.norm().item()
            v = image / value
            if abs(value - previous) < EIGENVALUE_TOLERANCE * value:
                break
        vectors.append(v)
        values.append(value)
    return torch.tensor(values, dtype=torch.float64), torch.stack(vectors, dim=1)


def _microbatched_losses(model: nn.Module, loss_fn: LossFunction, data: Tensor) -> Tensor:
    return torch.cat([loss_fn(model, part) for part in data.split(MICROBATCH)])


def increment_by_subtraction(model: nn.Module, loss_fn: LossFunction, data: Tensor, k: int) -> float:
    """L_{k+1} − L_k as two means of float32 losses."""
    with torch.no_grad():
        before = _microbatched_losses(model, loss_fn, data[:k]).mean()
        after = _microbatched_losses(model, loss_fn, data[: k + 1]).mean()
    return after.item() - before.item()


def coefficients(
    model: nn.Module, loss_fn: LossFunction, data: Tensor, k: int, basis: Tensor, keep_graph: bool = False
) -> IncrementModel:
    """a, c, B: gradients from all samples, "curvatures" from the two subsamples, each in its own pass.

    `keep_graph`: see `MicrobatchedHessian`.
    """
    parameters = list(select_parameters(model).values())

    def gradient(samples: Tensor) -> Tensor:
        loss = _microbatched_losses(model, loss_fn, samples).mean()
        return torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, parameters)])

    def compressed(samples: Tensor) -> Tensor:
        operator = MicrobatchedHessian(model, loss_fn, evenly_spaced(samples), keep_graph)
        return basis.T @ operator.matmat(basis)

    slope = basis.T @ (gradient(data[: k + 1]) - gradient(data[:k]))
    curvature = compressed(data[: k + 1]) - compressed(data[:k])
    value = increment_by_subtraction(model, loss_fn, data, k)
    return IncrementModel(value, slope.cpu().numpy(), curvature.cpu().numpy())


def unbatched_increments(
    model: nn.Module, loss_fn: LossFunction, data: Tensor, k: int, basis: Tensor, displacements: np.ndarray
) -> np.ndarray:
    """δ_k at w + U z for each z (S, D), one point at a time by subtraction of two means: (S,)."""
    parameters = list(select_parameters(model).values())
    centre = flat_weights(model)
    values = []
    with torch.no_grad():
        for z in torch.as_tensor(displacements).to(centre):
            vector_to_parameters(centre + basis @ z, parameters)
            values.append(increment_by_subtraction(model, loss_fn, data, k))
        vector_to_parameters(centre, parameters)
    return np.array(values)
