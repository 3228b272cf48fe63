"""A user's model from a file that the user names, and weights from safetensors."""

import importlib.util
import inspect
import sys
import traceback
from pathlib import Path

from torch import Tensor, nn

from valleyscope.engine.weights import LossFunction
from valleyscope.errors import InputError

SIGNATURE = "it must return (model, loss_fn, data)"


def load_problem(name: str) -> tuple[nn.Module, LossFunction, object]:
    """Model, loss and data that FILE.py:FUNCTION returns; the file is run as a module.

    Its folder comes first on the path while it loads, so that it finds its neighbours.
    """
    file, _, function = name.partition(":")
    if not function:
        raise InputError(f"{name}: name the function too, as my_model.py:build")
    path = Path(file)
    if path.suffix != ".py" or not path.is_file():
        raise InputError(f"{file}: no such Python file; give its path, as folder/my_model.py:build")
    sys.path.insert(0, str(path.resolve().parent))
    try:
        return _problem(path, name, function)
    finally:
        sys.path.remove(str(path.resolve().parent))


def _problem(path: Path, name: str, function: str) -> tuple[nn.Module, LossFunction, object]:
    build = getattr(_imported(path), function, None)
    if not callable(build):
        raise InputError(f"{path}: holds no function {function}; write one, {SIGNATURE}")
    if any(_required(p) for p in inspect.signature(build).parameters.values()):
        raise InputError(f"{name}: it is called without arguments; give each a default")
    try:
        result = build()
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{name} failed: {where(error, path)}") from error
    if not isinstance(result, tuple) or len(result) != 3:
        raise InputError(f"{name} returned {_described(result)}; {SIGNATURE}")
    model, loss_fn, data = result
    if not isinstance(model, nn.Module):
        raise InputError(f"{name}: the model is a {type(model).__name__}, not a torch.nn.Module; {SIGNATURE}")
    if not callable(loss_fn):
        raise InputError(f"{name}: the loss is a {type(loss_fn).__name__}, not a function; {SIGNATURE}")
    return model, loss_fn, data


def load_weights(path: Path) -> dict[str, Tensor]:
    """A state dict from a safetensors file; nothing is ever unpickled."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise InputError(
            f"{path}: not a safetensors file ({error}); write it by safetensors.torch.save_model(model, path)"
        ) from None


def _imported(path: Path):
    spec = importlib.util.spec_from_file_location(f"users_{path.stem}", path.resolve())
    assert spec is not None  # the name ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(f"{path} cannot be imported: {where(error, path)}") from error
    return module


def _required(parameter: inspect.Parameter) -> bool:
    named = parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return named and parameter.default is parameter.empty


def where(error: BaseException, path: Path) -> str:
    """The error in one line, with the last line of the user's file that it came through."""
    lines = [
        f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == path.resolve()
    ]
    at = f" (line {lines[-1]})" if lines else ""
    told = str(error).splitlines()
    return f"{type(error).__name__}{at}: {told[0] if told else 'no message'}"


def _described(result) -> str:
    return f"{len(result)} values" if isinstance(result, tuple) else f"a {type(result).__name__}"
