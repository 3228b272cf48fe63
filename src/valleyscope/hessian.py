"""Hessian-vector products of a mean loss over a data set, for any model.

L(w) = (1/n) Σ_i ℓ_i(w),   H v = ∂/∂w ⟨∇L(w), v⟩   (Pearlmutter 1994)

The graph of ∇L is differentiated once for each product. Each matrix product of the model costs three in
a gradient and six here, so two gradients are the floor; rebuilding the graph adds more than one.
"""

import torch
from torch import Tensor, nn

from valleyscope.engine.operators import (
    DataOperator,
    Piece,
    differentiated,
    require_twice_differentiable,
    sample_losses,
)
from valleyscope.engine.weights import LossFunction
from valleyscope.errors import InputError


class HessianOperator(DataOperator):
    """The Hessian of the mean loss at the model's weights, as a linear operator on flat vectors (N,).

    Args:
        loss_fn: (model, batch) -> per-sample losses (n,).
        model, data, params, memory_budget, keep_graph, and attributes: see `operators.DataOperator`.

    Example:
        >>> H = HessianOperator(model, sequence_losses, tokens, params=["blocks.*.attention.*"])
        >>> H.matvec(torch.randn(H.size))
    """

    def __init__(
        self,
        model: nn.Module,
        loss_fn: LossFunction,
        data,
        *,
        params: list[str] | None = None,
        memory_budget: float | None = None,
        keep_graph: bool | None = None,
    ):
        self._loss_fn = loss_fn
        super().__init__(model, data, params=params, memory_budget=memory_budget, keep_graph=keep_graph)

    def _evaluate(self, batch, index: int) -> Tensor:
        return sample_losses(self._loss_fn(self._model, batch), batch)

    def _differentiate(self, batch, index: int) -> Piece:
        losses = self._evaluate(batch, index)
        if not losses.requires_grad:
            raise InputError("the loss does not depend on the chosen parameters")
        total = losses.sum() / self.samples
        gradient = torch.autograd.grad(total, self._parameters, create_graph=True, materialize_grads=True)
        if index == 0:
            require_twice_differentiable(gradient)

        def product(directions: list[Tensor], again: bool) -> list[Tensor]:
            return differentiated(gradient, self._parameters, directions, retain_graph=again)

        return Piece(losses.detach(), [g.detach() for g in gradient], product)
