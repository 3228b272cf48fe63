"""Hessian-vector products of a mean loss over a data set, for any model.

L(w) = (1/n) Σ_i ℓ_i(w),   H v = ∂/∂w ⟨∇L(w), v⟩   (Pearlmutter 1994)

The graph of ∇L is built once and differentiated again for each product, which costs about two
gradients instead of the three or four of rebuilding it.
"""

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from valleyscope.errors import InputError
from valleyscope.weights import LossFunction, flatten, require_finite, select_parameters


class HessianOperator:
    """The Hessian of the mean loss at the model's weights, as a linear operator on flat vectors (N,).

    Args:
        model: any module; its weights must not change while the operator lives.
        loss_fn: (model, batch) -> per-sample losses (n,).
        data: one batch (tensor, tuple or dict of tensors, n first) or a list of such batches; every
            sample weighs 1/n whatever the batch it lies in.
        params: glob patterns on parameter names; the operator is that diagonal block of H.

    Example:
        >>> H = HessianOperator(model, sequence_losses, tokens)
        >>> H.matvec(torch.randn(H.size))
    """

    def __init__(self, model: nn.Module, loss_fn: LossFunction, data, *, params=None):
        self._parameters = list(select_parameters(model, params).values())
        batches = data if isinstance(data, list) else [data]
        # Fused attention has no second derivative; the math path has.
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            losses = torch.cat([_sample_losses(model, loss_fn, batch) for batch in batches])
            loss = losses.mean()
            require_finite(loss.detach(), "the loss whose Hessian is wanted")
            gradient = torch.autograd.grad(loss, self._parameters, create_graph=True, materialize_grads=True)
        self.losses = losses.detach()
        self.matvecs = 0
        self.size = sum(p.numel() for p in self._parameters)
        self.dtype = self._parameters[0].dtype
        self.device = self._parameters[0].device
        self._gradient = gradient

    @property
    def loss(self) -> float:
        """L(w), averaged in float64."""
        return self.losses.double().mean().item()

    def gradient(self) -> Tensor:
        """∇L(w), (N,)."""
        return flatten(self._gradient).detach().clone()

    def matvec(self, v: Tensor) -> Tensor:
        """H v, (N,) -> (N,)."""
        if v.shape != (self.size,):
            raise ValueError(f"vector has shape {tuple(v.shape)}, the operator needs ({self.size},)")
        pieces = v.to(self.device, self.dtype).split([p.numel() for p in self._parameters])
        directions = [x.reshape(p.shape) for x, p in zip(pieces, self._parameters, strict=True)]
        with sdpa_kernel(SDPBackend.MATH):
            product = torch.autograd.grad(
                self._gradient,
                self._parameters,
                directions,
                retain_graph=True,
                materialize_grads=True,
            )
        self.matvecs += 1
        return flatten(product)

    def matmat(self, V: Tensor) -> Tensor:
        """H V, (N, r) -> (N, r)."""
        return torch.stack([self.matvec(v) for v in V.T], dim=1)


def _sample_losses(model: nn.Module, loss_fn: LossFunction, batch) -> Tensor:
    losses = loss_fn(model, batch)
    first = batch
    while not isinstance(first, Tensor):
        first = next(iter(first.values() if isinstance(first, dict) else first))
    if losses.shape != (len(first),):
        raise InputError(
            f"loss_fn returned shape {tuple(losses.shape)} for {len(first)} samples; "
            f"it must return one loss a sample, ({len(first)},)"
        )
    return losses
