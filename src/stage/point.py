"""The arguments of a stage at one point, weights and the first k sequences, and what they stand for."""

import argparse
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import stage.arguments
import stage.problem

import pandas as pd
from torch import Tensor

from valleyscope.artifacts import load_tensors, save_tensors, write_table
from valleyscope.eigen import EigenResult
from valleyscope.errors import InputError
from valleyscope.hessian import HessianOperator
from valleyscope.models.model import Transformer, sequence_losses

PAIRS = ("values", "vectors", "residuals")  # tensors of a file of eigenpairs


def parser(description: str) -> argparse.ArgumentParser:
    """The arguments of a learning problem and of a point."""
    result = stage.problem.curvature_parser(description)
    stage.arguments.add_files(result, checkpoint="weights")
    result.add_argument("--regime", required=True, help="which weights these are, for the tables")
    result.add_argument("--k", type=int, required=True, help="sequences before the one added")
    return result


def eigen_parser(description: str) -> argparse.ArgumentParser:
    """The same with known eigenpairs of H^(k)."""
    result = parser(description)
    stage.arguments.add_files(result, eigen="eigenpairs of H^(k), from find_eigenpairs")
    return result


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


def load(args: argparse.Namespace) -> Point:
    """The point that the arguments name."""
    model = stage.problem.model(args, args.checkpoint)
    return Point(model, *stage.problem.data(args), args.k, args.memory_budget)


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


def write(
    args: argparse.Namespace,
    *outputs: tuple[pd.DataFrame, Path],
    may_be_empty: Collection[str] = (),
) -> None:
    """Write tables with regime, seed and k in front."""
    inputs = [args.tokens, args.checkpoint] + ([args.eigen] if hasattr(args, "eigen") else [])
    for table, path in outputs:
        keys = pd.DataFrame({"regime": args.regime, "seed": args.data_seed, "k": args.k}, index=table.index)
        write_table(pd.concat([keys, table], axis=1), path, stage.arguments.meta(args, *inputs), may_be_empty)
