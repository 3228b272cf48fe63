"""Hessian-vector products of a mean loss over a data set, for any model.

L(w) = (1/n) Σ_i ℓ_i(w),   H v = ∂/∂w ⟨∇L(w), v⟩   (Pearlmutter 1994)

The graph of ∇L is differentiated once for each product. Each matrix product of the model costs three in
a gradient and six here, so two gradients are the floor; rebuilding the graph adds more than one.
Compiled products are the derivative of ∇L(w + εv) at ε = 0, forward over reverse, from one fused program.
"""

from collections.abc import Callable, Iterator
from functools import cache, partial

import torch
from torch import Tensor, nn
from torch.func import grad, jvp
from torch.nn.attention import SDPBackend, sdpa_kernel

from valleyscope.engine import batches
from valleyscope.engine.compiled import require_compiler
from valleyscope.engine.operators import (
    DataOperator,
    Piece,
    Product,
    differentiated,
    fewest_lengths,
    require_symmetric,
    require_twice_differentiable,
    sample_losses,
)
from valleyscope.engine.weights import LossFunction, losses_with, select_parameters
from valleyscope.errors import InputError

SHAPES = 256  # of batches that one process may compile


class HessianOperator(DataOperator):
    """The Hessian of the mean loss at the model's weights, as a linear operator on flat vectors (N,).

    Args:
        loss_fn: (model, batch) -> per-sample losses (n,).
        compiled: products by torch.compile. They keep nothing between them and cost less, after a minute
            or so of compilation for each shape of batch (seconds where torch's cache on disk has it), so
            they pay where many follow. The program serves all models of the same classes and shapes.
            InputError where there is no C++ compiler, or a layer has no forward-mode derivative or cannot
            be traced.
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
        self._loss_fn, self._compiled = loss_fn, compiled
        if compiled:
            require_compiler()
            if keep_graph:
                raise InputError("compiled products keep no graph; leave keep_graph or compiled out")
            keep_graph = False
            self._named = select_parameters(model, params)
            self._losses_at = losses_with(model, loss_fn, self._named)
        super().__init__(model, data, params=params, memory_budget=memory_budget, keep_graph=keep_graph)
        if compiled:
            self._compile()

    def _evaluate(self, batch, index: int) -> Tensor:
        return sample_losses(self._loss_fn(self._model, batch), batch)

    def _differentiate(self, batch, index: int) -> Piece:
        losses = self._evaluate(batch, index)
        if not losses.requires_grad:
            raise InputError("the loss does not depend on the chosen parameters")
        total = losses.sum() / self.samples
        gradient = torch.autograd.grad(
            total, self._parameters, create_graph=not self._compiled, materialize_grads=True
        )
        if index == 0 and not self._compiled:
            require_twice_differentiable(gradient)

        def product(directions: list[Tensor], again: bool) -> list[Tensor]:
            return differentiated(gradient, self._parameters, directions, retain_graph=again)

        return Piece(losses.detach(), [g.detach() for g in gradient], product)

    def _plan(self, budget: float, sizes: list[int], keep_graph: bool | None) -> None:
        super()._plan(budget, sizes, keep_graph)
        if self._compiled:
            self.microbatch = fewest_lengths(sizes, self.microbatch)

    def _each_product(self) -> Iterator[Product]:
        if not self._compiled:
            yield from super()._each_product()
            return
        for _, part in self._parts():
            yield partial(self._tangent, compiled_tangent(), part)

    def _tangent(self, function: Callable, batch, directions: list[Tensor], again: bool) -> list[Tensor]:
        """The product with the Hessian of Σ ℓ_i / n over a piece of the data, forward over reverse."""
        names = list(self._named)
        weights = {name: p.detach() for name, p in self._named.items()}
        scaled = {name: d / self.samples for name, d in zip(names, directions, strict=True)}
        try:
            with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
                images = function(self._losses_at, weights, scaled, batch)
        except RuntimeError as error:
            raise InputError(
                "compiled=True: a layer of the model or the loss has no forward-mode derivative or cannot be "
                f"traced ({str(error).splitlines()[0]}); leave compiled out"
            ) from error
        return [images[name] for name in names]

    def _compile(self) -> None:
        """Compile for every shape of the data; InputError where a layer does not allow it."""
        one = batches.rows(next(iter(self._batches)), 0, 1, self.device)
        ones = self._split(torch.ones(self.size, dtype=self.dtype, device=self.device))
        self._tangent(
            tangent, one, ones, False
        )  # names a layer without forward mode better than the compiler does
        require_symmetric(self, seed=0)
        self.matvecs = 0


def tangent(losses: Callable, weights: dict[str, Tensor], directions: dict[str, Tensor], batch) -> dict:
    """Derivative of ∇ Σ ℓ_i along `directions`, by name, at `weights`; losses: see `weights.losses_with`."""
    gradient = grad(lambda tensors: losses(tensors, batch).sum())
    return jvp(gradient, (weights,), (directions,))[1]


@cache
def compiled_tangent() -> Callable:
    """`tangent` compiled, for all operators; not at import, because torch's compiler takes long to import."""
    return torch.compile(  # type: ignore[call-overload]
        tangent, fullgraph=True, dynamic=False, recompile_limit=SHAPES
    )
