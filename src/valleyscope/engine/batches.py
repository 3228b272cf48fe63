"""Batches of samples: a tensor, or a tuple or dict of tensors, with the samples along the first axis."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from valleyscope.errors import InputError

OTHER_SAMPLES = (
    "a second pass over the data gives other samples (a shuffling loader?); "
    "set shuffle=False or pass a list of batches"
)


def batch_list(data) -> Iterable:
    """The batches of `data`: one batch, a list of them, or a loader that can be iterated again."""
    if isinstance(data, Tensor | tuple | dict):
        return [data]
    if isinstance(data, list):
        if not data:
            raise InputError("the data is an empty list; give at least one batch")
        return [as_batch(part) for part in data]
    if not isinstance(data, Iterable):
        raise InputError(f"data is a {type(data).__name__}; give a batch, a list of batches or a loader")
    if isinstance(data, Iterator):
        raise InputError("data can be read only once (an iterator); give a list of its batches")
    return _Loader(data)


class _Loader:
    """A loader whose batches are collated as lists, as torch's are, seen as one with tuples."""

    def __init__(self, loader: Iterable):
        self.loader = loader

    def __iter__(self):
        with torch.random.fork_rng(devices=[]):  # torch's loaders draw a seed they may not need
            iterator = iter(self.loader)
        return map(as_batch, iterator)


def as_batch(batch):
    """`batch` itself, or as a tuple if it is a list of tensors."""
    return tuple(batch) if isinstance(batch, list) else batch


def tensors(batch) -> list[Tensor]:
    """Its tensors in order; InputError if it holds anything else or they differ in length."""
    if not isinstance(batch, Tensor | tuple | dict):
        kind = type(batch).__name__
        raise InputError(f"a batch must be a tensor or a tuple or dict of tensors; this one is a {kind}")
    parts = (
        [batch] if isinstance(batch, Tensor) else list(batch.values() if isinstance(batch, dict) else batch)
    )
    if not parts or not all(isinstance(part, Tensor) for part in parts):
        kinds = sorted({type(part).__name__ for part in parts})
        raise InputError(f"a batch must be a tensor or a tuple or dict of tensors; this one holds {kinds}")
    lengths = {len(part) if part.ndim else 0 for part in parts}
    if len(lengths) > 1 or 0 in lengths:
        raise InputError(
            f"tensors of a batch have lengths {sorted(lengths)}; all need the same number of samples"
        )
    return parts


def size(batch) -> int:
    """Samples in the batch."""
    return len(tensors(batch)[0])


def numbers(batch) -> int:
    """Numbers in one sample: tokens, pixels and labels."""
    return sum(part[0].numel() for part in tensors(batch))


def rows(batch, start: int, stop: int, device=None):
    """Samples start … stop − 1, on `device`."""
    return each_tensor(batch, lambda part: part[start:stop].to(device))


def taken(batch, index):
    """The samples at `index`, a slice or a tensor of numbers; None puts an axis in front of all of them."""
    return each_tensor(batch, lambda part: part[index])


def repeated(batch, count: int):
    """The batch `count` times along a new first axis, without a copy."""
    return each_tensor(batch, lambda part: part.expand(count, *part.shape))


def cast(batch, dtype: torch.dtype):
    """The batch with its floating-point tensors in `dtype`."""
    return each_tensor(batch, lambda part: part.to(dtype) if part.is_floating_point() else part)


def split(batch, count: int) -> list:
    """The batch in parts of `count` samples, the last one smaller."""
    total = size(batch)
    return [taken(batch, slice(start, start + count)) for start in range(0, total, count)]


def first(data, count: int):
    """The first `count` samples of `data`, as `batch_list` takes it, as one batch; all if there are fewer."""
    parts, found = [], 0
    for batch in _repeatable(data):
        size(batch)  # refuses what is no batch
        parts.append(rows(batch, 0, count - found))
        found += size(parts[-1])
        if found == count:
            break
    return joined(parts)


def whole(data, device=None):
    """All samples of `data`, as `batch_list` takes it, as one batch on `device`."""
    parts = list(_repeatable(data))
    for batch in parts:
        size(batch)  # refuses what is no batch
    return each_tensor(joined(parts), lambda part: part.to(device))


def _repeatable(data) -> Iterable:
    """The batches of `data`; InputError if a loader gives others at a second pass."""
    found = batch_list(data)
    if isinstance(found, _Loader):
        once, again = (tensors(next(iter(found), ())) for _ in range(2))
        if not all(map(torch.equal, once, again)):
            raise InputError(OTHER_SAMPLES)
    return found


def joined(parts: list):
    """Batches of one kind as one."""
    first = parts[0]
    if isinstance(first, Tensor):
        return torch.cat(parts)
    if isinstance(first, dict):
        return {name: torch.cat([part[name] for part in parts]) for name in first}
    return tuple(torch.cat(columns) for columns in zip(*parts, strict=True))


def each_tensor(batch, change: Callable[[Tensor], Tensor]):
    """The batch with `change` applied to each of its tensors."""
    if isinstance(batch, Tensor):
        return change(batch)
    if isinstance(batch, dict):
        return {name: change(part) for name, part in batch.items()}
    return tuple(change(part) for part in batch)
