"""The arguments of a stage at points, weights and the first k sequences, and what they stand for.

One call takes all points of a seed, so that they share a start. It loads the tokens once, and what it has
measured at a point it keeps until it ends: a call that is killed goes on at the point where it was.
"""

import argparse
import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import stage.arguments
import stage.problem
from stage.pieces import Pieces, write_joined

import pandas as pd
from torch import Tensor

from valleyscope.artifacts import load_tensors, save_tensors
from valleyscope.eigen import EigenResult
from valleyscope.errors import InputError
from valleyscope.hessian import HessianOperator
from valleyscope.models.model import Transformer, sequence_losses

PAIRS = ("values", "vectors", "residuals")  # tensors of a file of eigenpairs
OF_A_POINT = ("checkpoint", "eigen", "moved_eigen")  # options with one file for each point

Tables = dict[str, pd.DataFrame]


def parser(description: str, **wanted: type) -> argparse.ArgumentParser:
    """The arguments of a learning problem and of points; `wanted`: what the stage is told of each."""
    result = stage.problem.curvature_parser(description)
    known = {"regime": str, "k": int, **wanted}
    told = f"JSON, a list of objects with {', '.join(known)}"
    result.add_argument("--at", type=_rows(known), required=True, help=told)
    add_files(result, checkpoint="weights, one file for each point")
    return result


def eigen_parser(description: str, **wanted: type) -> argparse.ArgumentParser:
    """The same with known eigenpairs of H^(k)."""
    result = parser(description, **wanted)
    add_files(result, eigen="eigenpairs of H^(k), one file for each point, from find_eigenpairs")
    return result


def add_files(result: argparse.ArgumentParser, **told: str) -> None:
    """Add options that name several files."""
    for name, what in told.items():
        option = f"--{name.replace('_', '-')}"
        result.add_argument(option, type=Path, nargs="+", required=True, help=what)


def add_tables(result: argparse.ArgumentParser, **told: str) -> None:
    """Add options that name the files of a table, one for each regime."""
    add_files(result, **{name: f"CSV, one for each regime: {what}" for name, what in told.items()})


def _rows(known: dict[str, type]) -> Callable[[str], list[dict]]:
    """An argument type: a JSON list of objects whose values are of these types."""

    def parse(text: str) -> list[dict]:
        try:
            rows = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise argparse.ArgumentTypeError(f"not valid JSON: {error}") from None
        if not isinstance(rows, list) or not rows or not all(map(fits, rows)):
            raise argparse.ArgumentTypeError(f"not a list of objects with {', '.join(known)}")
        if len({(row["regime"], row["k"]) for row in rows}) < len(rows):
            raise argparse.ArgumentTypeError("it names a point, that is regime and k, twice")
        return rows

    def fits(row) -> bool:
        if not isinstance(row, dict) or {name: type(value) for name, value in row.items()} != known:
            return False
        lists = [value for value in row.values() if isinstance(value, list)]
        return all(value and all(type(entry) is int for entry in value) for value in lists)

    return parse


@dataclass(frozen=True)
class Point:
    """A model at its weights, training sequences of which the first k make L_k, and held-out ones."""

    model: Transformer
    data: Tensor
    held_out: Tensor
    k: int
    memory_budget: float | None

    @property
    def known(self) -> Tensor:
        """The first k sequences."""
        return self.data[: self.k]

    @property
    def following(self) -> Tensor:
        """The one added, (1, T + 1)."""
        return self.data[self.k : self.k + 1]

    @cached_property
    def operator(self) -> HessianOperator:
        """H^(k)."""
        return self.hessian(self.known)

    @cached_property
    def sample(self) -> HessianOperator:
        """H_{k+1}, of the one added alone."""
        return HessianOperator(self.model, sequence_losses, self.following)

    def hessian(self, data: Tensor) -> HessianOperator:
        """The Hessian of the mean loss of some sequences at the same weights."""
        return HessianOperator(self.model, sequence_losses, data, memory_budget=self.memory_budget)


def measure(
    args: argparse.Namespace,
    tables: Collection[str],
    at_point: Callable[[argparse.Namespace, Point], Tables],
    *,
    files: Collection[str] = (),
    may_be_empty: Collection[str] = (),
) -> None:
    """Measure at every point and write tables with regime, seed and k in front.

    Args:
        tables: what `at_point` returns, and the options that name their files, one for each regime.
        at_point: takes the arguments of one point, that is what --at tells of it and its own file of
            OF_A_POINT and of `files`, and the point.
        files: options with one file for each point that `at_point` writes.
    """
    data = stage.problem.data(args)
    inputs = [path for name in OF_A_POINT for path in getattr(args, name, [])]
    meta = stage.arguments.meta(args, args.tokens, *inputs)
    results = {name: _one_each(args, name) for name in tables}
    first = next(iter(results[next(iter(tables))].values()))
    pieces = Pieces.of(first, meta)
    found = {
        (own.regime, own.k): pieces.tables(
            f"{own.regime}_{own.k}", partial(_measured, own, data, at_point, files, pieces)
        )
        for own in each(args, files)
    }
    for own in each(args, files):
        for name in files:
            pieces.deliver(getattr(own, name))
    for name, paths in results.items():
        for regime, path in paths.items():
            parts = [tables_of[name] for (of, _), tables_of in found.items() if of == regime]
            write_joined(parts, path, meta, may_be_empty)
    pieces.remove()


def _measured(own: argparse.Namespace, data, at_point, files: Collection[str], pieces: Pieces) -> Tables:
    """What is found at one point; its files are kept with the pieces."""
    kept = {name: pieces.place(getattr(own, name)) for name in files}
    own = argparse.Namespace(**vars(own) | kept)
    model = stage.problem.model(own, own.checkpoint)
    result = at_point(own, Point(model, *data, own.k, own.memory_budget))
    return {name: _named(table, own) for name, table in result.items()}


def _named(table: pd.DataFrame, own: argparse.Namespace) -> pd.DataFrame:
    keys = pd.DataFrame({"regime": own.regime, "seed": own.data_seed, "k": own.k}, index=table.index)
    return pd.concat([keys, table], axis=1)


def each(args: argparse.Namespace, files: Collection[str] = ()) -> Iterator[argparse.Namespace]:
    """The arguments of each point, with its own file of OF_A_POINT and `files`."""
    shared = {name: value for name, value in vars(args).items() if name != "at"}
    listed = [name for name in (*OF_A_POINT, *files) if name in shared]
    for name in listed:
        if len(shared[name]) != len(args.at):
            raise InputError(f"{_told(args, name)} for {len(args.at)} points; give one for each")
    for index, row in enumerate(args.at):
        yield argparse.Namespace(**shared | row | {name: shared[name][index] for name in listed})


def _one_each(args: argparse.Namespace, name: str) -> dict[str, Path]:
    """The file of a table for each regime."""
    regimes = list(dict.fromkeys(row["regime"] for row in args.at))
    if len(getattr(args, name)) != len(regimes):
        raise InputError(f"{_told(args, name)} for {len(regimes)} regimes; give one for each")
    return dict(zip(regimes, getattr(args, name), strict=True))


def _told(args: argparse.Namespace, name: str) -> str:
    return f"--{name.replace('_', '-')} names {len(getattr(args, name))} files"


def eigenpairs(path: Path, device: str, count: int | None = None) -> EigenResult:
    """The first `count` eigenpairs of a file, by default all."""
    saved = load_tensors(path, list(PAIRS))
    found = saved["vectors"].shape[1]
    if count is not None and count > found:
        raise InputError(f"{path} holds {found} eigenpairs, {count} are wanted; find more of them")
    return EigenResult(*(saved[name][..., :count].to(device) for name in PAIRS), matvecs=0, converged=True)


def save_eigenpairs(eigen: EigenResult, path: Path, meta: dict) -> None:
    """Write them as `eigenpairs` reads them."""
    save_tensors({name: getattr(eigen, name) for name in PAIRS}, path, {**meta, "products": eigen.matvecs})
