"""Pieces of a long job, kept beside its output until it ends: one that is killed goes on where it was."""

import shutil
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from valleyscope.artifacts import (
    digest,
    file_sha256,
    read_json,
    read_table,
    sidecar,
    write_atomically,
    write_json,
    write_table,
)

SRC = Path(__file__).parents[1]


def key(meta: dict) -> str:
    """What a piece depends on: the call's settings and inputs, its sources, libraries and device."""
    files = {str(m.__file__) for m in list(sys.modules.values()) if getattr(m, "__file__", None)}
    sources = {str(path): file_sha256(path) for path in map(Path, files) if path.is_relative_to(SRC)}
    about = {name: meta.get(name) for name in ("sha256_of_settings_and_inputs", "versions", "device")}
    return digest({**about, "sources": sources})


def write_joined(
    parts: list[pd.DataFrame], path: Path, meta: dict, may_be_empty: Collection[str] = ()
) -> None:
    """Write the tables of all pieces as one."""
    write_table(pd.concat(parts, ignore_index=True), path, meta, may_be_empty)


@dataclass(frozen=True)
class Pieces:
    """A folder of finished pieces; those of another key are computed anew."""

    folder: Path
    key: str

    @classmethod
    def of(cls, out: Path, meta: dict) -> "Pieces":
        """Those of the job that writes `out`."""
        return cls(out.with_name(f"pieces_{out.name}"), key(meta))

    def tables(self, name: str, compute: Callable[[], dict[str, pd.DataFrame]]) -> dict[str, pd.DataFrame]:
        """The tables of one piece, by `compute` unless an interrupted call left them.

        They are read from their files either way, so that an interruption changes no byte of the result.
        """
        mark = self.folder / f"{name}.json"
        if not (mark.exists() and read_json(mark)["key"] == self.key):
            tables = compute()
            for table_name, table in tables.items():
                write_table(table, self._path(name, table_name), {}, may_be_empty=table.columns)
            write_json({"key": self.key, "tables": list(tables)}, mark)
        return {table: read_table(self._path(name, table), []) for table in read_json(mark)["tables"]}

    def place(self, out: Path) -> Path:
        """Where a piece keeps a file of the job's until the job ends."""
        folder = digest({"folder": str(out.parent)})[:8]  # files of one name may go to several
        return self.folder / "files" / folder / out.name

    def deliver(self, out: Path) -> None:
        """Bring a file that a piece kept, and its description, where the job was to write it."""
        for path in (sidecar(out), out):
            with write_atomically(path) as temporary:
                shutil.copyfile(self.place(path), temporary)  # a call killed here must find it once more

    def remove(self) -> None:
        """The job has ended."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, name: str, table: str) -> Path:
        return self.folder / f"{name}_{table}.csv"
