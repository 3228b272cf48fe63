"""A model that is somebody else's: probed in eval mode, over chosen weights, and left as it was found."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from valleyscope.errors import InputError
from valleyscope.weights import select_parameters

OUT_OF_MEMORY = ("out of memory", "not enough memory", "can't allocate memory")


@contextmanager
def guarded(model: nn.Module, params: list[str] | None, remedy: str) -> Iterator[None]:
    """Inside the block the model is in eval mode and only weights matching `params` (globs) are trainable.

    After it, also after an exception, weights, buffers, gradients, modes and flags are what they were. Warns
    if a layer in train mode would have acted otherwise. Running out of memory ends in an InputError with
    `remedy`.
    """
    chosen = set(map(id, select_parameters(model, params).values()))
    with _restored(model):
        acting = sorted({type(m).__name__ for m in model.modules() if m.training and _acts_otherwise(m)})
        if acting:
            warnings.warn(
                f"the model is in train mode and has {', '.join(acting)}: it is probed in eval mode",
                stacklevel=4,
            )
        model.eval()
        for parameter in model.parameters():
            parameter.requires_grad_(id(parameter) in chosen)
        try:
            yield
        except RuntimeError as error:
            if isinstance(error, MemoryError) or any(sign in str(error) for sign in OUT_OF_MEMORY):
                raise InputError(f"out of memory ({str(error).splitlines()[0]}); {remedy}") from error
            raise


def _acts_otherwise(module: nn.Module) -> bool:
    """Whether a layer of torch does something else in train mode."""
    drops = isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0
    normalises = isinstance(module, nn.modules.batchnorm._NormBase) and (
        module.track_running_stats or isinstance(module, nn.modules.batchnorm._BatchNorm)
    )
    return drops or normalises or (isinstance(module, nn.RNNBase) and module.dropout > 0)


@contextmanager
def _restored(model: nn.Module) -> Iterator[None]:
    tensors = [(t, t.detach().clone()) for t in (*model.parameters(), *model.buffers())]
    flags = [(p, p.requires_grad, p.grad) for p in model.parameters()]
    modes = [(m, m.training) for m in model.modules()]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, before in tensors:
                if not torch.equal(tensor, before):
                    tensor.copy_(before)
        for parameter, needed, gradient in flags:
            parameter.requires_grad_(needed)
            parameter.grad = gradient
        for module, mode in modes:
            module.training = mode
