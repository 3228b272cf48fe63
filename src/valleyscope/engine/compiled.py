"""What torch.compile needs on this machine."""

import os
import shutil

from valleyscope.errors import InputError


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
