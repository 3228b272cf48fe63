"""Products with the generalised Gauss-Newton matrix and with the Fisher information of sampled labels.

With outputs z = f(w) and losses ℓ(z), both have the form (1/n) Σ_i J_iᵀ C_i J_i, where J_i = ∂z_i/∂w:

    Gauss-Newton   C_i = ∂²ℓ_i/∂z_i²                                        (Schraudolph 2002)
    Fisher         C_i = mean over drawn labels y of s sᵀ, s = ∂(−log p(y|z_i))/∂z_i

For cross-entropy the expectation of the second over y ~ p is the first (Martens 2020).
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from valleyscope.engine.operators import (
    DataOperator,
    Piece,
    differentiated,
    require_twice_differentiable,
    sample_losses,
)
from valleyscope.engine.seeding import generator

OutputFunction = Callable[[nn.Module, object], Tensor]


class _OutputCurvature(DataOperator):
    """(1/n) Σ_i J_iᵀ C_i J_i; subclasses give losses, their gradient in z, and C."""

    def __init__(self, model: nn.Module, output_fn: OutputFunction, data, **options):
        self._output_fn = output_fn
        super().__init__(model, data, **options)

    def _at_outputs(self, outputs: Tensor, batch, index: int) -> tuple[Tensor, Tensor, Callable]:
        """Per-sample losses, Σ_i ∂ℓ_i/∂z, and u ↦ C u, at a leaf `outputs` that requires grad."""
        raise NotImplementedError

    def _evaluate(self, batch, index: int) -> Tensor:
        leaf = self._output_fn(self._model, batch).detach().requires_grad_()
        with torch.enable_grad():
            return self._at_outputs(leaf, batch, index)[0].detach()

    def _differentiate(self, batch, index: int) -> Piece:
        outputs = self._output_fn(self._model, batch)
        leaf = outputs.detach().requires_grad_()
        losses, slope, curvature = self._at_outputs(leaf, batch, index)
        gradient = differentiated([outputs], self._parameters, [slope / self.samples], retain_graph=True)
        # J v as the derivative of Jᵀu, which is linear in u, along u (Townsend's double-backward trick).
        dummy = torch.zeros_like(leaf, requires_grad=True)
        transposed = torch.autograd.grad(
            outputs, self._parameters, dummy, create_graph=True, materialize_grads=True
        )
        if index == 0:
            require_twice_differentiable(transposed)

        def product(directions: list[Tensor], again: bool) -> list[Tensor]:
            (forward,) = differentiated(transposed, [dummy], directions, retain_graph=True)
            curved = curvature(forward) / self.samples
            return differentiated([outputs], self._parameters, [curved], retain_graph=again)

        return Piece(losses.detach(), gradient, product)

    def _graph_bytes(self, batch) -> int:
        # Outputs, their leaf and the dummy stay beside the graph; labels and the like are smaller.
        with torch.no_grad():
            outputs = self._output_fn(self._model, batch)
        return super()._graph_bytes(batch) + 3 * outputs.numel() * outputs.element_size()


class GaussNewtonOperator(_OutputCurvature):
    """The generalised Gauss-Newton matrix of the mean loss, positive semi-definite for convex ℓ(z).

    Args:
        output_fn: (model, batch) -> outputs z, (n, ...).
        output_loss: (outputs, batch) -> per-sample losses (n,).
        model, data, options and attributes: see `operators.DataOperator`.
    """

    def __init__(self, model: nn.Module, output_fn: OutputFunction, output_loss, data, **options):
        self._output_loss = output_loss
        super().__init__(model, output_fn, data, **options)

    def _at_outputs(self, outputs, batch, index):
        losses = sample_losses(self._output_loss(outputs, batch), batch)
        (slope,) = torch.autograd.grad(losses.sum(), outputs, create_graph=True)

        def curvature(u: Tensor) -> Tensor:
            return differentiated([slope], [outputs], [u], retain_graph=True)[0]

        return losses, slope.detach(), curvature


class FisherOperator(_OutputCurvature):
    """The Fisher information of a classifier with labels drawn from the model itself.

    Args:
        logits_fn: (model, batch) -> logits (n, ..., C); a sample's loss is the mean cross-entropy over
            the axes between, such as tokens.
        draws: labels drawn at each position; seed: of the draws, which stay the same in every product.
        model, data, options and attributes: see `operators.DataOperator`; `losses` are the mean
            entropies of the predictions, `gradient()` the mean drawn score, zero in expectation.
    """

    def __init__(
        self, model: nn.Module, logits_fn: OutputFunction, data, *, draws: int = 1, seed: int = 0, **options
    ):
        self._draws, self._seed = draws, seed
        super().__init__(model, logits_fn, data, **options)

    def _at_outputs(self, outputs, batch, index):
        def probabilities() -> Tensor:
            return outputs.detach().reshape(len(outputs), -1, outputs.shape[-1]).softmax(-1)  # (n, T, C)

        p = probabilities()
        positions = p.shape[1]
        stream = generator(self._seed, index, device=p.device)
        labels = torch.multinomial(p.flatten(0, 1), self._draws, replacement=True, generator=stream)
        labels = labels.view(*p.shape[:2], self._draws)

        def curvature(u: Tensor) -> Tensor:
            # s = p − e_y, so s·u = p·u − u_y and Σ s (s·u) needs no (S, n, T, C) tensor.
            p, u_flat = probabilities(), u.reshape(len(u), positions, -1)
            along = (p * u_flat).sum(-1, keepdim=True) - u_flat.gather(-1, labels)  # (n, T, S)
            total = p * along.sum(-1, keepdim=True)
            return total.scatter_add_(-1, labels, -along).reshape(u.shape) / (self._draws * positions)

        losses = -(p * p.clamp_min(torch.finfo(p.dtype).tiny).log()).sum(-1).mean(-1)
        ones = torch.full_like(labels, 1 / self._draws, dtype=p.dtype)
        slope = p.scatter_add(-1, labels, -ones) / positions
        return losses, slope.reshape(outputs.shape), curvature
