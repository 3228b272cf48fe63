"""Files that are either whole or absent: tensors, tables and their provenance.

Tensors go to safetensors, numbers to CSV; beside each lies `<file>.json` with its provenance and the
checksum that `load_tensors` and `read_table` verify. Nothing is ever unpickled.
"""

import hashlib
import json
import os
import platform
import re
import subprocess
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from glob import escape
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from valleyscope.errors import InputError

if TYPE_CHECKING:  # loaded where it is used: a stage that needs no table starts in half the time
    import pandas as pd

VERSIONS_OF = ("torch", "numpy", "pandas", "matplotlib", "tiktoken", "rustbpe", "safetensors")


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder, renamed to `path` when the block succeeds, else removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{escape(path.name)}.*"):
        writer = left.name.removeprefix(f".{path.name}.").split(".")[0]
        if writer.isdecimal() and not _is_running(int(writer)):  # it was killed
            left.unlink(missing_ok=True)
    prefix = f".{path.name}.{os.getpid()}."
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)  # mkstemp makes 0600, which a shared results folder cannot serve
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    import psutil

    return psutil.pid_exists(process)


def sidecar(path: Path) -> Path:
    """Where the provenance of `path` lies."""
    return path.with_name(path.name + ".json")


def digest(settings: dict) -> str:
    """SHA-256 of settings as canonical JSON."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


@cache
def commit() -> str:
    """The checkout's commit, with "+" if sources or configuration differ from it; "unknown" outside git."""
    command = ["git", "status", "--porcelain=v2", "--branch", "--untracked-files=no", "--"]
    command += ["src", "Snakefile", "rules", "configs", "envs"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    except OSError:  # no git
        return "unknown"
    head = re.search(r"^# branch\.oid ([0-9a-f]+)$", done.stdout, re.MULTILINE)
    if head is None:
        return "unknown"
    return head[1] + ("+" if re.search("^[^#]", done.stdout, re.MULTILINE) else "")


@cache
def machine() -> str:
    """System, architecture and processor."""
    name = platform.processor()
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    return f"{platform.system()} {platform.machine()} {name}"


def file_sha256(path: Path) -> str:
    """Checksum of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def verified_sha256(path: Path) -> str:
    """Checksum of a file; InputError if the description beside it, where there is one, has another."""
    found = file_sha256(path)
    known = read_json(sidecar(path)).get("sha256") if sidecar(path).exists() else None
    if known not in (None, found):
        raise InputError(f"{path}: changed since it was written, its checksum is wrong; delete it and rerun")
    return found


def provenance(settings: dict, inputs: list[Path], threads: int, device: str = "cpu") -> dict:
    """What made a file: settings, checksums of inputs, digest of both, commit, versions, machine.

    An input is verified even if a call had no need to read it, since its checksum is recorded here.
    """
    checksums = {path.name: verified_sha256(path) for path in inputs}
    return {
        "settings": settings,
        "inputs": checksums,
        "sha256_of_settings_and_inputs": digest({"settings": settings, "inputs": checksums}),
        "commit": commit(),
        "versions": versions(VERSIONS_OF),
        "python": platform.python_version(),
        "machine": machine(),
        "device": device,
        "threads": threads,
    }


def versions(names: Collection[str]) -> dict[str, str]:
    """Versions of those packages that are installed."""
    found = {}
    for name in names:
        with suppress(ModuleNotFoundError):
            found[name] = version(name)
    return found


def write_json(content: dict, path: Path) -> None:
    """Write JSON with sorted keys."""
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict:
    """Read a JSON object; InputError if it is damaged or something else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error}); delete it and rerun") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: holds a {type(found).__name__}, not a JSON object; delete it and rerun")
    return found


def write_table(table: "pd.DataFrame", path: Path, meta: dict, may_be_empty: Collection[str] = ()) -> None:
    """Write a tidy CSV, its provenance and checksum.

    Raises FloatingPointError naming column and row if a number is infinite, or a value missing or not a
    number in a column other than `may_be_empty`.
    """
    import numpy as np
    import pandas as pd

    for name, column in table.items():
        bad = column.isna() & (name not in may_be_empty)
        if pd.api.types.is_float_dtype(column):
            bad |= np.isinf(column.astype(np.float64))
        if bad.any():
            row = table[bad].iloc[0]
            keys = ", ".join(f"{key} = {row[key]}" for key in table.columns[:4] if key != name)
            raise FloatingPointError(f"{path.name}: {name} is {row[name]} at {keys}")
    with write_atomically(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
        checksum = file_sha256(temporary)
    write_json({**meta, "sha256": checksum}, sidecar(path))


def read_table(path: Path, columns: list[str]) -> "pd.DataFrame":
    """Read a CSV that must have `columns`; InputError if it is damaged or lacks one.

    Where `write_table` left a checksum beside it, it must be right.
    """
    import pandas as pd
    from pandas.errors import EmptyDataError, ParserError

    verified_sha256(path)
    try:
        table = pd.read_csv(path)
    except (EmptyDataError, ParserError, UnicodeDecodeError) as error:
        told = " ".join(str(error).split())
        raise InputError(f"{path}: not a readable CSV ({told}); delete it and rerun") from None
    missing = [c for c in columns if c not in table.columns]
    if missing:
        raise InputError(f"{path}: column {missing[0]!r} is missing; delete it and rerun")
    return table


def join_tables(parts: list[Path], path: Path, meta: dict) -> None:
    """Write the rows of several CSVs under their common header, digit for digit, provenance and checksum.

    Raises InputError if a part is empty or its columns are not those of the first.
    """
    content = bytearray()
    for part in parts:
        header, _, rows = part.read_bytes().partition(b"\n")
        content = content or bytearray(header + b"\n")
        if not header or not content.startswith(header + b"\n"):
            raise InputError(f"{part}: empty, or its columns are not those of {parts[0]}; delete and rerun")
        content += rows
    with write_atomically(path) as temporary:
        temporary.write_bytes(content)
    write_json({**meta, "sha256": hashlib.sha256(content).hexdigest()}, sidecar(path))


def save_tensors(tensors: dict, path: Path, meta: dict) -> None:
    """Write named tensors as safetensors, then provenance with the file's checksum.

    Raises FloatingPointError naming the tensor if an entry of one is not finite.
    """
    from safetensors.torch import save  # here, so that plots need no torch

    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise FloatingPointError(f"{path.name}: {name} is not finite")
    with write_atomically(path) as temporary:
        temporary.write_bytes(save({name: t.detach().contiguous() for name, t in tensors.items()}))
        checksum = file_sha256(temporary)
    write_json({**meta, "sha256": checksum}, sidecar(path))


def load_tensors(path: Path, names: list[str]) -> dict:
    """Read what `save_tensors` wrote; InputError if the checksum is wrong or one of `names` is missing."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if file_sha256(path) != read_json(sidecar(path)).get("sha256"):
        raise InputError(f"{path}: damaged, its checksum is wrong; delete it and rerun")
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise InputError(f"{path}: not a safetensors file ({error}); delete it and rerun") from None
    missing = [name for name in names if name not in tensors]
    if missing:
        raise InputError(f"{path}: holds no tensor {missing[0]!r}; name the right file")
    return tensors
