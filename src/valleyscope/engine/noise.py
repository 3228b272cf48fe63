"""Gradient noise: scores of single samples and their covariance Σ.

A minibatch of B samples drawn with replacement has a gradient of mean ∇L and covariance Σ / B, where

    Σ = (1/n) Σ_i (g_i − ḡ)(g_i − ḡ)ᵀ,   g_i = ∇ℓ_i with the data's labels.

Σ measures noise, not curvature: for that labels are drawn from the model (`gauss_newton.FisherOperator`).
"""

import torch
from torch import Tensor, nn

from valleyscope.engine import batches
from valleyscope.engine.operators import DataOperator, Piece, sample_losses
from valleyscope.engine.weights import (
    LossFunction,
    eager_gradients,
    flatten,
    losses_with,
    select_parameters,
    unflatten,
)

SCORES_AT_ONCE = 64  # samples


def scores(model: nn.Module, loss_fn: LossFunction, batch, params: list[str] | None = None) -> Tensor:
    """Gradients of the losses of single samples at the model's weights, (n, N)."""
    parameters = select_parameters(model, params)
    losses = losses_with(model, loss_fn, parameters)
    vector = flatten(p.detach() for p in parameters.values())

    def loss(weights: Tensor, sample) -> Tensor:
        alone = batches.taken(sample, None)
        return sample_losses(losses(unflatten(weights, parameters), alone), alone)[0]

    return eager_gradients(loss)(vector.expand(batches.size(batch), -1), batch)[0]


def mean_square(model: nn.Module, loss_fn: LossFunction, batch, shift: Tensor | float = 0.0) -> float:
    """E ‖g_i + shift‖² over the samples at the model's weights, SCORES_AT_ONCE of them at a time."""
    parts = (scores(model, loss_fn, part) + shift for part in batches.split(batch, SCORES_AT_ONCE))
    return sum(part.double().square().sum().item() for part in parts) / batches.size(batch)


class GradientCovariance(DataOperator):
    """Σ of the samples' gradients, at the model's weights.

    The scores (n, N) are kept while they fit the budget; then a product costs two passes over them.

    Args:
        loss_fn: (model, batch) -> per-sample losses (n,).
        model, data, options and attributes: see `operators.DataOperator`.
    """

    def __init__(self, model: nn.Module, loss_fn: LossFunction, data, **options):
        self._loss_fn, self._params = loss_fn, options.get("params")
        super().__init__(model, data, **options)

    def _evaluate(self, batch, index: int) -> Tensor:
        return sample_losses(self._loss_fn(self._model, batch), batch)

    def _differentiate(self, batch, index: int) -> Piece:
        with torch.no_grad():
            losses = self._evaluate(batch, index)
        rows = scores(self._model, self._loss_fn, batch, self._params)

        def product(directions: list[Tensor], again: bool) -> list[Tensor]:
            v = torch.cat([d.reshape(-1) for d in directions])
            # Over all samples the centred components sum to 0, so the scores need no centring.
            return [rows.T @ (rows @ v - self._gradient @ v) / self.samples]

        return Piece(losses, [rows.sum(0) / self.samples], product)

    def _graph_bytes(self, batch) -> int:
        # The graph of the losses, and the scores twice: by parameter and joined.
        rows = 2 * batches.size(batch) * self.size * self.dtype.itemsize
        return rows + self._held_bytes(lambda: self._evaluate(batch, 0), batch)
