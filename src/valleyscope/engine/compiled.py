"""Compiled programs: what torch.compile needs on this machine, and whether gradients of replicas take it.

A program is compiled once for each shape of its arguments, ten seconds or so each, and kept in a folder that
later processes read. That pays where one shape is called thousands of times.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from valleyscope.errors import InputError

OUT_OF_MEMORY = ("out of memory", "not enough memory", "can't allocate memory")
SHAPES = 256  # of one program in a process
_wanted = False


def compiler() -> str | None:
    """The C++ compiler that torch.compile would call on the CPU: CXX, else g++, clang++ or c++; or None."""
    named = os.environ.get("CXX")
    for name in [named] if named else ["g++", "clang++", "c++"]:
        if found := shutil.which(name):
            return found
    return None


def require_compiler() -> None:
    """InputError unless a C++ compiler is there."""
    if compiler() is None:
        raise InputError(
            "compiled=True needs a C++ compiler (g++ or clang); install one or leave compiled out"
        )


@contextmanager
def compiled_gradients(folder: Path) -> Iterator[None]:
    """Inside the block gradients of replicas run as programs, which `folder` keeps for later processes.

    Call it before anything is compiled: torch reads the folder's name once.
    """
    global _wanted
    require_compiler()
    wished = {
        "TORCHINDUCTOR_CACHE_DIR": str(folder.absolute()),
        "TORCHINDUCTOR_COMPILE_THREADS": "1",  # no pool of processes beside the job
    }
    before, _wanted = (_wanted, {name: os.environ.get(name) for name in wished}), True
    os.environ.update(wished)
    try:
        yield
    finally:
        _wanted, variables = before
        for name, value in variables.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def wanted() -> bool:
    """Whether gradients of replicas are to be compiled."""
    return _wanted


@cache
def program(function: Callable) -> Callable:
    """`function` as a program: of functions among its arguments only the code counts, not what they hold."""
    import torch._dynamo  # the compiler, a second or two: only where it is wanted

    torch._dynamo.config.recompile_limit = max(SHAPES, torch._dynamo.config.recompile_limit)
    return torch.compile(function, fullgraph=True, dynamic=False)


@contextmanager
def failures_named() -> Iterator[None]:
    """What torch raises while a program is made or run ends in one line."""
    try:
        yield
    except RuntimeError as error:
        if any(sign in str(error) for sign in OUT_OF_MEMORY):
            raise
        reason = str(error).splitlines()[0]
        raise InputError(
            f"compiled: torch cannot compile a layer of the model or the loss ({reason}); leave compiled out"
        ) from error
