"""A model that is somebody else's: probed in eval mode, over chosen weights, and left as it was found."""

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from valleyscope.engine.compiled import OUT_OF_MEMORY
from valleyscope.engine.operators import registries_restored
from valleyscope.engine.weights import select_parameters
from valleyscope.errors import InputError

PRECISIONS = (torch.float32, torch.float64)


@contextmanager
def guarded(model: nn.Module, params: list[str] | None, remedy: str) -> Iterator[None]:
    """Inside the block the model is in eval mode and only weights matching `params` (globs) are trainable.

    After it, also after an exception, weights, buffers, gradients, modes and flags are what they were. Warns
    if a layer of torch in train mode would have acted otherwise; what a module of the user's does in train
    mode cannot be seen. Running out of memory ends in an InputError with `remedy`.
    """
    _require_usable(model)
    chosen = select_parameters(model, params)
    dtypes = {p.dtype for p in chosen.values()}
    if len(dtypes) > 1 or not dtypes <= set(PRECISIONS):
        names = ", ".join(sorted(str(dtype).removeprefix("torch.") for dtype in dtypes))
        raise InputError(f"the weights are {names}; all must be float32, or all float64: call model.float()")
    with _restored(model), torch.enable_grad(), plain_recurrence(model):
        acting = sorted({type(m).__name__ for m in model.modules() if m.training and _acts_otherwise(m)})
        if acting:
            warnings.warn(
                f"the model is in train mode and has {', '.join(acting)}: it is probed in eval mode",
                stacklevel=4,
            )
        model.eval()
        ids = set(map(id, chosen.values()))
        for parameter in model.parameters():
            parameter.requires_grad_(id(parameter) in ids)
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            told = str(error).splitlines() or ["MemoryError"]
            if isinstance(error, MemoryError) or any(sign in str(error) for sign in OUT_OF_MEMORY):
                raise InputError(f"out of memory ({told[0]}); {remedy}") from error
            raise


@contextmanager
def plain_recurrence(model: nn.Module) -> Iterator[None]:
    """On a GPU recurrent layers go by plain operations: those of cuDNN cannot be differentiated twice."""
    recurrent = any(isinstance(m, nn.RNNBase) for m in model.modules())
    with ExitStack() as stack:
        if recurrent:
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        yield


def _require_usable(model: nn.Module) -> None:
    if torch.is_inference_mode_enabled():
        raise InputError("torch.inference_mode() is on, in which nothing can be differentiated; leave it")
    if any(isinstance(p, UninitializedParameter) for p in model.parameters()):
        raise InputError("a lazy layer of the model has no weights yet; call the model once on a batch")


def _acts_otherwise(module: nn.Module) -> bool:
    """Whether a layer of torch does something else in train mode."""
    if isinstance(module, nn.modules.batchnorm._BatchNorm | nn.RReLU):
        return True
    if isinstance(module, nn.modules.batchnorm._NormBase):
        return module.track_running_stats
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return module.p > 0
    return isinstance(module, nn.RNNBase | nn.MultiheadAttention) and module.dropout > 0


@contextmanager
def _restored(model: nn.Module) -> Iterator[None]:
    flags = [(p, p.requires_grad, p.grad) for p in model.parameters()]
    modes = [(m, m.training) for m in model.modules()]
    try:
        with registries_restored(model):
            yield
    finally:
        for parameter, needed, gradient in flags:
            parameter.requires_grad_(needed)
            parameter.grad = gradient
        for module, mode in modes:
            module.training = mode
