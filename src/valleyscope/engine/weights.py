"""Weights as flat vectors: the language every probe of a landscape speaks.

A flat vector (N,) holds the parameters in the order of `model.named_parameters()` that require grad,
tied ones once.
"""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from valleyscope.engine import batches, compiled
from valleyscope.errors import InputError

LossFunction = Callable[[nn.Module, object], Tensor]
TOGETHER = 8  # points of a compiled program: fewer cost more calls, more fall out of the cache


def select_parameters(model: nn.Module, params: list[str] | None = None) -> dict[str, nn.Parameter]:
    """Trainable parameters by name, in order; `params` keeps those that match any glob pattern."""
    chosen = {
        name: p
        for name, p in model.named_parameters()
        if p.requires_grad and (params is None or any(fnmatchcase(name, g) for g in params))
    }
    if not chosen:
        raise InputError(f"no trainable parameter of the model matches {params or 'requires_grad'}")
    return chosen


def flatten(tensors) -> Tensor:
    """Concatenate an iterable of tensors into one vector (N,)."""
    return torch.cat([t.reshape(-1) for t in tensors])


def flat_weights(model: nn.Module) -> Tensor:
    """A detached copy of the model's weights (N,)."""
    return flatten(p.detach() for p in select_parameters(model).values())


def unflatten(vector: Tensor, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Views into `vector` (N,) with the names and shapes of `parameters`."""
    sizes = [p.numel() for p in parameters.values()]
    if vector.shape != (sum(sizes),):
        raise InputError(f"weights have shape {tuple(vector.shape)}, the model has ({sum(sizes)},)")
    pieces = vector.split(sizes)
    return {name: v.view(p.shape) for (name, p), v in zip(parameters.items(), pieces, strict=True)}


@contextmanager
def at_weights(model: nn.Module, vector: Tensor) -> Iterator[nn.Module]:
    """The model with its weights set to `vector` (N,) inside the block, restored after it."""
    before = flat_weights(model)
    try:
        assign(model, vector)
        yield model
    finally:
        assign(model, before)


@torch.no_grad()
def assign(model: nn.Module, vector: Tensor) -> None:
    """Set the model's weights to `vector` (N,)."""
    parameters = select_parameters(model)
    for name, values in unflatten(vector, parameters).items():
        parameters[name].copy_(values)


class LossModule(nn.Module):
    """`loss_fn(model, batch)` as a module, so that `functional_call` reaches any use of the model."""

    def __init__(self, model: nn.Module, loss_fn: LossFunction):
        super().__init__()
        self.model, self.loss_fn = model, loss_fn

    def forward(self, batch):
        return self.loss_fn(self.model, batch)


def losses_at(model: nn.Module, loss_fn: LossFunction) -> Callable[[Tensor, object], Tensor]:
    """A pure function (weights (N,), batch of n) -> per-sample losses (n,), fit for torch.func."""
    parameters = select_parameters(model)
    call = losses_with(model, loss_fn, parameters)

    def losses(vector: Tensor, batch) -> Tensor:
        return call(unflatten(vector, parameters), batch)

    return losses


def losses_with(
    model: nn.Module, loss_fn: LossFunction, parameters: dict[str, nn.Parameter]
) -> Callable[[dict[str, Tensor], object], Tensor]:
    """The same as a function of tensors that stand for `parameters`, by their names.

    A tensor that several modules share goes to each of them, and to a module that is used twice once: torch's
    own tying of weights would leave such a module with the tensors of the call.
    """
    own = {id(p): name for name, p in parameters.items()}
    places = {
        f"model.{prefix}.{local}" if prefix else f"model.{local}": own[id(p)]
        for prefix, module in model.named_modules()
        for local, p in module.named_parameters(recurse=False, remove_duplicate=False)
        if id(p) in own
    }
    module = LossModule(model, loss_fn)

    def losses(tensors: dict[str, Tensor], batch) -> Tensor:
        placed = {place: tensors[name] for place, name in places.items()}
        return functional_call(module, placed, (batch,), tie_weights=False)

    return losses


def replica_losses(
    model: nn.Module, loss_fn: LossFunction, weights: Tensor, batch, chunk: int | None = None
) -> Tensor:
    """Losses of one batch at many points: weights (R, N) -> (R, n), `chunk` points at a time."""
    with torch.no_grad():
        return mapped(losses_at(model, loss_fn), in_dims=(0, None), chunk=chunk)(weights, batch)


def replica_gradients(
    model: nn.Module, loss_fn: LossFunction
) -> Callable[[Tensor, object], tuple[Tensor, Tensor]]:
    """A function (weights (R, N), batches with R first) -> gradients (R, N), mean losses (R,)."""
    losses = losses_at(model, loss_fn)

    def mean_loss(vector: Tensor, batch) -> Tensor:
        return losses(vector, batch).mean()

    return row_gradients(mean_loss)


def row_gradients(function: Callable[[Tensor, object], Tensor]) -> Callable:
    """The gradients of function(w, batch) -> scalar at many points.

    (weights (R, N), batches with R first) -> gradients (R, N), values (R,). A value may come with another, as
    a pair (value, other): then others (R,), without gradient, are returned after the values.
    Inside `compiled.compiled_gradients` points go through a program, TOGETHER at a time, the rest one by one.
    """
    eager = eager_gradients(function)

    def evaluate(weights: Tensor, batch) -> tuple[Tensor, ...]:
        if not compiled.wanted():
            return eager(weights, batch)
        program = partial(compiled.program(_mapped), function)
        with compiled.failures_named():
            return _joined(
                _backward(program, weights[start:stop], _own(batch, start, stop))
                for start, stop in pairwise(_edges(len(weights)))
            )

    return evaluate


def eager_gradients(function: Callable[[Tensor, object], Tensor]) -> Callable:
    """`row_gradients` as it is without a compiler: one pass back through the losses of all points.

    Row r of ∂(Σ_s f(w_s)) is ∂f(w_r): the sum costs one graph, where mapping the gradient costs more calls.
    """
    several, alone = partial(_backward, vmap(function)), partial(_backward, partial(_alone, function))

    def each_alone(weights: Tensor, batch) -> tuple[Tensor, ...]:
        points = range(len(weights))
        return _joined(alone(weights[i : i + 1], batches.rows(batch, i, i + 1)) for i in points)

    mapped_or_not = _unless_unmappable(several, each_alone)

    def evaluate(weights: Tensor, batch) -> tuple[Tensor, ...]:
        return alone(weights, batch) if len(weights) == 1 else mapped_or_not(weights, batch)

    return evaluate


def _backward(values: Callable, weights: Tensor, batch) -> tuple[Tensor, ...]:
    """Gradients, values and others of values(rows, batch), a tensor (R,) or a pair of them."""
    with torch.enable_grad():
        rows = weights.detach().requires_grad_(True)
        found = values(rows, batch)
        first, *others = found if isinstance(found, tuple) else (found,)
        (gradients,) = torch.autograd.grad(first.sum(), rows)
    return gradients, first.detach(), *(other.detach() for other in others)


def _joined(parts: Iterator[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """What was found at some points after the other, as if at once."""
    return tuple(torch.cat(part) for part in zip(*parts, strict=True))


def _mapped(function: Callable, rows: Tensor, batch):
    return vmap(function)(rows, batch)


def _alone(function: Callable, rows: Tensor, batch):
    """One point needs no map: the same values, bit for bit, in half the time."""
    found = function(rows[0], batches.taken(batch, 0))
    return tuple(value[None] for value in found) if isinstance(found, tuple) else found[None]


def _edges(count: int) -> list[int]:
    """Where the parts of `count` points begin and end: of TOGETHER, then of one."""
    whole = count - count % TOGETHER
    return [*range(0, whole, TOGETHER), *range(whole, count + 1)]


def _own(batch, start: int, stop: int):
    """Some rows of a batch as tensors of their own: a program is made for one layout in memory."""
    return batches.each_tensor(batch, lambda part: part[start:stop].contiguous())


def mapped(function: Callable, in_dims: tuple = (0, 0), chunk: int | None = None) -> Callable:
    """`vmap(function, in_dims)`, or a loop that says so where a layer cannot be mapped.

    Takes two arguments, each a tensor, tuple or dict of tensors; in_dims: 0 to map over its first axis, None
    to give it whole.
    """

    def one_by_one(first, second):
        return _stacked([function(*pair) for pair in _each(first, second, in_dims)])

    return _unless_unmappable(vmap(function, in_dims=in_dims, chunk_size=chunk), one_by_one)


def _unless_unmappable(batched: Callable, one_by_one: Callable) -> Callable:
    """`batched`, until a layer turns out not to be mappable; from then on `one_by_one`, and it is said."""
    stopped = False

    def call(first, second):
        nonlocal stopped
        if not stopped:
            try:
                return batched(first, second)
            except RuntimeError as error:
                if not any(sign in str(error) for sign in ("atching rule", "vmap")):
                    raise
                stopped = True
                warnings.warn(
                    f"a layer cannot be mapped over many points, they are taken one by one "
                    f"({str(error).splitlines()[0]})",
                    stacklevel=2,
                )
        return one_by_one(first, second)

    return call


def _each(first, second, in_dims: tuple) -> Iterator[tuple]:
    """The pairs of arguments that a mapped function gets."""
    for index in range(batches.size(first if in_dims[0] == 0 else second)):
        yield tuple(
            part if dim is None else batches.taken(part, index)
            for part, dim in zip((first, second), in_dims, strict=True)
        )


def _stacked(results: list):
    """Results of single calls, tensors or nested tuples of them, as vmap would return them."""
    if isinstance(results[0], Tensor):
        return torch.stack(results)
    return tuple(_stacked(list(parts)) for parts in zip(*results, strict=True))


def require_finite(value: Tensor | float, quantity: str) -> None:
    """Raise FloatingPointError naming `quantity` unless every entry is finite."""
    finite = torch.isfinite(value).all() if isinstance(value, Tensor) else math.isfinite(value)
    if not finite:
        raise FloatingPointError(f"{quantity} is not finite")
