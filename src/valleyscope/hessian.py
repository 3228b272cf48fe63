"""Hessian-vector products of a mean loss over a data set, for any model.

L(w) = (1/n) Σ_i ℓ_i(w),   H v = ∂/∂w ⟨∇L(w), v⟩   (Pearlmutter 1994)

The graph of ∇L is differentiated once for each product. Each matrix product of the model costs three in
a gradient and six here, so two gradients are the floor; rebuilding the graph adds more than one. Compiled,
the gradient is one fused program and the product its fused derivative: the matrix products stay, what lies
between them shrinks.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.func import grad

from valleyscope.engine.compiled import failures_named, program, require_compiler
from valleyscope.engine.operators import (
    DataOperator,
    Piece,
    differentiated,
    fewest_lengths,
    require_twice_differentiable,
    sample_losses,
)
from valleyscope.engine.weights import LossFunction, flatten, losses_with, select_parameters
from valleyscope.errors import InputError


class HessianOperator(DataOperator):
    """The Hessian of the mean loss at the model's weights, as a linear operator on flat vectors (N,).

    Args:
        loss_fn: (model, batch) -> per-sample losses (n,).
        compiled: gradient and products by torch.compile. They cost less, after a minute or so of compilation
            for each shape of batch (seconds where torch's cache on disk has it), so they pay where many
            follow. The programs serve all models of the same classes and shapes, at any weights. InputError
            where there is no C++ compiler, or torch cannot trace a layer or the loss.
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
        compiled: bool = False,
    ):
        self._loss_fn, self._mappable = loss_fn, not compiled
        self._fused: Callable | None = None  # until the graphs have been measured without it
        if compiled:
            require_compiler()
            self._named = select_parameters(model)
            self._chosen = list(select_parameters(model, params))
            self._losses_at = losses_with(model, loss_fn, self._named)
        super().__init__(model, data, params=params, memory_budget=memory_budget, keep_graph=keep_graph)

    def _evaluate(self, batch, index: int) -> Tensor:
        return sample_losses(self._loss_fn(self._model, batch), batch)

    def _differentiate(self, batch, index: int) -> Piece:
        if self._fused is not None:
            return self._differentiate_compiled(self._fused, batch)
        losses = self._evaluate(batch, index)
        if not losses.requires_grad:
            raise InputError("the loss does not depend on the chosen parameters")
        total = losses.sum() / self.samples
        gradient = torch.autograd.grad(total, self._parameters, create_graph=True, materialize_grads=True)
        if index == 0:
            require_twice_differentiable(gradient)
        return self._piece(losses, gradient, self._parameters)

    def _differentiate_compiled(self, fused: Callable, batch) -> Piece:
        tensors = {name: p.detach() for name, p in self._named.items()}
        chosen = {name: tensors.pop(name).requires_grad_() for name in self._chosen}
        weight = torch.tensor(1 / self.samples, dtype=self.dtype, device=self.device)
        with _compiling():
            gradient, losses = fused(self._losses_at, chosen, tensors, batch, weight)
        return self._piece(losses, [gradient[name] for name in chosen], list(chosen.values()))

    def _piece(self, losses: Tensor, gradient: Sequence[Tensor], weights: Sequence[Tensor]) -> Piece:
        context = nullcontext if self._fused is None else _compiling

        def product(directions: list[Tensor], again: bool) -> list[Tensor]:
            with context():
                return differentiated(gradient, weights, directions, retain_graph=again)

        return Piece(losses.detach(), [g.detach() for g in gradient], product)

    def _plan(self, budget: float, sizes: list[int], keep_graph: bool | None) -> None:
        super()._plan(budget, sizes, keep_graph)  # compiled graphs and products take less
        if not self._mappable:
            self.microbatch = fewest_lengths(sizes, self.microbatch)
            self._compile()

    def _compile(self) -> None:
        """Compile for the first piece of the data; InputError unless its product is that of the model."""
        _, part = next(self._parts())
        stream = torch.Generator().manual_seed(0)
        v = self._split(torch.randn(self.size, generator=stream).to(self.device, self.dtype))

        def image() -> Tensor:
            return flatten(self._build(part, 0).product(v, self.graph_kept)).double()

        plain = image()
        self._fused = program(weighted_gradient)
        error = (image() - plain).norm()
        # ReLU²'s second derivative jumps where rounding turns a sign: 2e-4 in float32 where seen.
        if not error <= max(1e5 * torch.finfo(self.dtype).eps, 1e-8) * plain.norm():
            raise InputError(
                "compiled=True: the compiled product is not that of the model (torch's compiler drops the "
                "second derivative of a custom autograd.Function); leave compiled out"
            )


def weighted_gradient(
    losses: Callable, chosen: dict[str, Tensor], others: dict[str, Tensor], batch, weight: Tensor
) -> tuple[dict[str, Tensor], Tensor]:
    """The gradient of weight · Σ ℓ_i in `chosen`, by name, and the ℓ_i; losses: see `weights.losses_with`."""

    def total(tensors: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        each = losses(others | tensors, batch)
        return each.sum() * weight, each

    return grad(total, has_aux=True)(chosen)


@contextmanager
def _compiling() -> Iterator[None]:
    """Graphs may be differentiated again, which torch's compiler excludes by default; one line for errors."""
    from torch._functorch import config

    with failures_named(), config.patch(donated_buffer=False):
        yield
