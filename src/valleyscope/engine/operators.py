"""Symmetric linear operators on flat weight vectors, and those that are means over a data set.

A mean over samples, such as the Hessian of L(w) = (1/n) Σ_i ℓ_i(w), is a sum of products over pieces of
the data. The graph of each piece is kept and differentiated again for every product while all of them
fit a memory budget; otherwise the data is split further and each piece is rebuilt when it is needed.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from valleyscope.engine import batches
from valleyscope.engine.memory import free_memory
from valleyscope.engine.weights import flatten, mapped, require_finite, select_parameters
from valleyscope.errors import InputError

Product = Callable[[list[Tensor], bool], list[Tensor]]  # directions, whether the graph is used again

# A product and its graph took 1.3 (Gauss-Newton, transformer) to 3.2 graphs (Hessian, MLP) together where
# measured, so this much of a budget may be graph.
GRAPH_SHARE = 0.3

# A product with one small sample is mostly calls, not arithmetic, so columns go through its graph together
# while they hold at most this many weights: 24 columns of 57,344 in 43 ms instead of 190.
TOGETHER = 2**22


class Operator:
    """A symmetric operator: `size` N, `dtype`, `device`, and `matvecs`, the products taken so far."""

    size: int
    dtype: torch.dtype
    device: torch.device
    matvecs: int = 0

    def matvec(self, v: Tensor) -> Tensor:
        """The product with one vector, (N,) -> (N,)."""
        if v.shape != (self.size,):
            raise ValueError(f"vector has shape {tuple(v.shape)}, the operator needs ({self.size},)")
        return self.matmat(v[:, None])[:, 0]

    def matmat(self, V: Tensor) -> Tensor:
        """The product with each column, (N, r) -> (N, r)."""
        if V.ndim != 2 or len(V) != self.size:
            raise ValueError(f"block has shape {tuple(V.shape)}, the operator needs ({self.size}, r)")
        result = self._matmat(V.to(self.device, self.dtype))
        self.matvecs += V.shape[1]
        return result

    @property
    def shape(self) -> tuple[int, int]:
        """(N, N), as a matrix has it."""
        return self.size, self.size

    def __matmul__(self, other: Tensor) -> Tensor:
        return self.matvec(other) if other.ndim == 1 else self.matmat(other)

    def _matmat(self, V: Tensor) -> Tensor:
        raise NotImplementedError


@dataclass(frozen=True)
class Piece:
    """One piece of the data, differentiated: per-sample losses, gradient of Σ ℓ_i / n, product."""

    losses: Tensor
    gradient: list[Tensor]  # without graph
    product: Product


class DataOperator(Operator):
    """A mean over the samples of a data set, at the model's weights; each sample weighs 1/n.

    Args:
        model: any module; its weights must not change while the operator lives.
        data: one batch (tensor, tuple or dict of tensors, samples first), a list of such batches, or a
            loader that gives the same batches at each pass.
        params: glob patterns on parameter names; the operator is that diagonal block.
        memory_budget: bytes that the graphs and a product may take; by default half of what is free.
        keep_graph: True or False forces the choice that is otherwise made by `memory_budget`.

    Attributes:
        losses (n,): per-sample losses; loss: their mean in float64.
        graph_kept: whether products reuse the graph; microbatch: the most samples in one graph.
        graph_bytes: estimate of what the graphs of all samples take; 0 where one graph of one sample
            leaves nothing to choose.

    Raises InputError if the losses of the first samples change from call to call, from pass to pass over
    the data or with the size of their batch, or if the budget calls for a split that cannot be made.
    """

    _mappable = True  # whether vmap can take many columns through one graph

    def __init__(
        self,
        model: nn.Module,
        data,
        *,
        params: list[str] | None = None,
        memory_budget: float | None = None,
        keep_graph: bool | None = None,
    ):
        self._model = model
        self._parameters = list(select_parameters(model, params).values())
        self.size = sum(p.numel() for p in self._parameters)
        self.dtype = self._parameters[0].dtype
        self.device = self._parameters[0].device
        self._batches = batches.batch_list(data)
        sizes = [batches.size(batch) for batch in self._batches]
        if not sizes:
            raise InputError("the data holds no batch; an iterator is empty after its first pass")
        self.samples = sum(sizes)
        budget = free_memory(self.device) / 2 if memory_budget is None else memory_budget
        self._probe()
        self._plan(budget, sizes, keep_graph)
        self._gradient = torch.zeros(self.size, dtype=self.dtype, device=self.device)
        self._products, losses = [], []
        for index, part in self._parts():
            piece = self._build(part, index)
            losses.append(piece.losses)
            self._gradient += flatten(piece.gradient)
            if self.graph_kept:
                self._products.append(piece.product)
            del piece  # before the next is built: memory for one was budgeted
        self.losses = torch.cat(losses)
        require_finite(self.losses, "the loss whose curvature is wanted")

    def _differentiate(self, batch, index: int) -> Piece:
        """Losses, gradient and product of one piece of the data, weights of 1/n included."""
        raise NotImplementedError

    def _evaluate(self, batch, index: int) -> Tensor:
        """Per-sample losses (n,) of a batch."""
        raise NotImplementedError

    @property
    def loss(self) -> float:
        """L(w), averaged in float64."""
        return self.losses.double().mean().item()

    def gradient(self) -> Tensor:
        """∇L(w), (N,)."""
        return self._gradient.clone()

    def _matmat(self, V: Tensor) -> Tensor:
        # One pass over the data for all columns, so that they share what has to be rebuilt.
        images = torch.zeros(V.shape[1], self.size, dtype=self.dtype, device=self.device)
        together = TOGETHER // self.size if self.samples == 1 and self._mappable else 1
        for product in self._each_product():
            if min(together, V.shape[1]) > 1:
                return self._mapped_product(product, V.T, together).T.contiguous()
            for column, v in enumerate(V.T):
                again = self.graph_kept or column + 1 < V.shape[1]
                with _differentiable():
                    images[column] += flatten(product(self._split(v), again))
            del product  # before the next is built: memory for one was budgeted
        return images.T.contiguous()

    def _mapped_product(self, product: Product, rows: Tensor, together: int) -> Tensor:
        """The images (r, N) of rows (r, N), `together` of them in one pass through the graph."""
        image = mapped(lambda v, _: flatten(product(self._split(v), True)), (0, None), chunk=together)
        with _differentiable():
            return image(rows, None)

    def _each_product(self) -> Iterator[Product]:
        if self.graph_kept:
            yield from self._products
        else:
            for index, part in self._parts():
                yield self._build(part, index).product

    def _split(self, v: Tensor) -> list[Tensor]:
        pieces = v.split([p.numel() for p in self._parameters])
        return [piece.reshape(p.shape) for piece, p in zip(pieces, self._parameters, strict=True)]

    def _parts(self) -> Iterator[tuple[int, object]]:
        """Pieces of at most `microbatch` samples, evenly cut from each batch, on the device."""
        index = 0
        for batch in self._batches:
            total = batches.size(batch)
            count = -(-total // self.microbatch)
            edges = [total * i // count for i in range(count + 1)]
            for start, stop in pairwise(edges):
                yield index, batches.rows(batch, start, stop, self.device)
                index += 1

    def _build(self, batch, index: int) -> Piece:
        with torch.enable_grad(), _differentiable():
            return self._differentiate(batch, index)

    def _plan(self, budget: float, sizes: list[int], keep_graph: bool | None) -> None:
        """Choose `graph_kept` and `microbatch` from the graphs of one and of two samples."""
        self.microbatch, self.graph_bytes = max(sizes), 0
        self.graph_kept = keep_graph is not False
        if self.samples == 1 or keep_graph is True:
            return
        first = next(iter(self._batches))
        one = self._graph_bytes(batches.rows(first, 0, 1, self.device))
        fixed, each = 0, one
        if batches.size(first) > 1:
            two = self._graph_bytes(batches.rows(first, 0, 2, self.device))
            fixed, each = max(0, 2 * one - two), max(1, two - one)
        usable = GRAPH_SHARE * budget
        self.graph_bytes = len(sizes) * fixed + each * self.samples
        self.graph_kept = keep_graph is None and self.graph_bytes <= usable
        if not self.graph_kept:
            if one > usable:
                raise InputError(
                    f"a product with one sample takes about {one / GRAPH_SHARE:.3g} bytes, more than "
                    f"memory_budget = {budget:.3g}; raise it or shorten the samples"
                )
            self.microbatch = min(max(sizes), max(1, int((usable - fixed) / each)))

    def _graph_bytes(self, batch) -> int:
        """Bytes that stay held once a piece is built: what its graph saved, and a gradient's outputs."""
        return self._held_bytes(lambda: self._build(batch, 0), batch) + self.size * self.dtype.itemsize

    def _held_bytes(self, build: Callable[[], object], batch) -> int:
        """Bytes of the tensors that the graph of `build()` holds beside the weights and the batch."""
        known = {t.untyped_storage().data_ptr() for t in (*self._model.parameters(), *batches.tensors(batch))}
        held = {}

        def pack(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in known:
                held[storage.data_ptr()] = storage.nbytes()
            return tensor.detach()  # itself it would be a cycle of references

        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            built = build()
        total = sum(held.values())
        del built  # not before: while the graph lives no address is used twice
        return total

    def _probe(self) -> None:
        """Evaluate a few samples twice, from two passes over the data, in batches of two sizes."""
        with registries_restored(self._model):
            self._compare_evaluations()

    def _compare_evaluations(self) -> None:
        first, second = next(iter(self._batches)), next(iter(self._batches))
        few = max(1, min(4, batches.size(first) // 2))

        def losses(batch, count: int) -> Tensor:
            with torch.no_grad(), _differentiable():
                return self._evaluate(batches.rows(batch, 0, count, self.device), 0)[:few]

        expected = losses(first, few)
        require_finite(expected, "the loss whose curvature is wanted")
        again = losses(first, few)
        if not (torch.equal(expected, again) if self.device.type == "cpu" else _close(expected, again)):
            raise InputError(
                "the loss changes from call to call at the same weights and samples (dropout left on, a "
                "buffer that counts calls?); call model.eval() or fix what changes"
            )
        if batches.size(first) != batches.size(second) or not _close(expected, losses(second, few)):
            raise InputError(batches.OTHER_SAMPLES)
        if not _close(expected, losses(first, 2 * few)):
            raise InputError(
                "a sample's loss depends on the rest of its batch (batch norm in train mode?); "
                "call model.eval() or use per-sample layers"
            )


def fewest_lengths(sizes: Sequence[int], most: int) -> int:
    """A number of samples from most / 2 to `most` for which evenly cut batches have the fewest lengths."""

    def lengths(piece: int) -> set[int]:
        counts = [-(-total // piece) for total in sizes]
        return {
            length
            for total, count in zip(sizes, counts, strict=True)
            for length in (total // count, -(-total // count))
        }

    return max(range(-(-most // 2), most + 1), key=lambda piece: (-len(lengths(piece)), piece))


def sample_losses(losses: Tensor, batch) -> Tensor:
    """`losses` if there is one a sample, else InputError."""
    if not isinstance(losses, Tensor) or losses.shape != (batches.size(batch),):
        found = f"shape {tuple(losses.shape)}" if isinstance(losses, Tensor) else type(losses).__name__
        raise InputError(
            f"loss_fn returned {found} for {batches.size(batch)} samples; "
            f"it must return one loss a sample, ({batches.size(batch)},)"
        )
    return losses


def require_twice_differentiable(gradient: Sequence[Tensor]) -> None:
    """InputError if a layer's backward pass hides part of the gradient's graph.

    Where such a layer lies off the path to the weights autograd raises nothing and drops its curvature.
    """
    queue = [g.grad_fn for g in gradient if g.grad_fn is not None]
    seen = set(queue)
    while queue:
        node = queue.pop()
        if node.name().endswith(("autograd::Error", "autograd::DelayedError", "NotImplemented")):
            raise InputError(
                "a layer of the model cannot be differentiated twice (its backward pass is marked "
                "once_differentiable or not implemented); replace it by one written in plain operations"
            )
        following = {n for n, _ in node.next_functions if n is not None} - seen
        seen |= following
        queue += following


def differentiated(outputs, inputs: Sequence[Tensor], directions, **options) -> list[Tensor]:
    """Σ_j directions_j · ∂outputs_j/∂inputs; zeros where an output or input is not connected."""
    chosen = [(y, d) for y, d in zip(outputs, directions, strict=True) if y.requires_grad]
    if not chosen:
        return [torch.zeros_like(x) for x in inputs]
    outputs, directions = zip(*chosen, strict=True)
    return list(torch.autograd.grad(outputs, inputs, directions, materialize_grads=True, **options))


@contextmanager
def _differentiable() -> Iterator[None]:
    """Fused attention has no second derivative, so the math path is used; other such layers are named."""
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    except RuntimeError as error:
        text = str(error)
        if not any(sign in text for sign in ("not implemented", "not differentiable", "twice")):
            raise
        raise InputError(
            f"a layer of the model cannot be differentiated twice ({text.splitlines()[0]}); "
            "replace it by one written in plain operations"
        ) from error


@contextmanager
def registries_restored(model: nn.Module) -> Iterator[None]:
    """Parameters and buffers of the user's model stay the tensors that they were, with their values."""
    before: list[tuple[dict, str, Tensor, Tensor]] = [
        (registry, name, tensor, tensor.detach().clone())
        for module in model.modules()
        for registry in (module._parameters, module._buffers)
        for name, tensor in registry.items()
        if tensor is not None
    ]
    try:
        yield
    finally:
        with torch.no_grad():
            for registry, name, tensor, value in before:
                registry[name] = tensor
                if not torch.equal(tensor, value):  # a copy would spoil graphs that others keep
                    tensor.copy_(value)


def require_symmetric(operator: Operator, seed: int) -> None:
    """InputError unless uᵀHv = vᵀHu for two random vectors; two products.

    torch's own second derivative of some layers (weight normalisation along an axis) is wrong.
    """
    stream = torch.Generator().manual_seed(seed)
    u, v = (
        torch.randn(operator.size, generator=stream).to(operator.device, operator.dtype) for _ in range(2)
    )
    Hu, Hv = operator.matvec(u).double(), operator.matvec(v).double()
    gap = abs(torch.dot(u.double(), Hv) - torch.dot(v.double(), Hu)).item()
    allowed = max(1e4 * torch.finfo(operator.dtype).eps, 1e-8) * (Hu.norm() + Hv.norm()).item()
    if gap > allowed:
        raise InputError(
            "the second derivative is not symmetric: torch's own is wrong for a layer of the model "
            "(weight_norm?); remove it, as by torch.nn.utils.remove_weight_norm"
        )


def _close(first: Tensor, second: Tensor) -> bool:
    """Equal up to rounding of sums taken in another order."""
    eps = torch.finfo(first.dtype).eps
    scale = max(1.0, first.abs().max().item())
    return bool(((first - second).abs() <= (1e3 * eps) * scale).all())
