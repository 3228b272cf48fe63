"""What stages at one point (weights and the first k sequences) share: its arguments and its eigenpairs."""

import argparse
from collections.abc import Collection
from pathlib import Path

import pandas as pd

import stage.arguments
import stage.problem
from valleyscope.artifacts import load_tensors, write_table
from valleyscope.eigen import EigenResult
from valleyscope.errors import InputError


def parser(description: str) -> argparse.ArgumentParser:
    """The arguments of a learning problem and of a point."""
    result = stage.problem.curvature_parser(description)
    result.add_argument("--checkpoint", type=Path, required=True, help="weights")
    result.add_argument("--regime", required=True, help="which weights these are, for the tables")
    result.add_argument("--k", type=int, required=True, help="sequences before the one added")
    return result


def eigen_parser(description: str) -> argparse.ArgumentParser:
    """The same with known eigenpairs of H^(k)."""
    result = parser(description)
    result.add_argument("--eigen", type=Path, required=True, help="eigenpairs of H^(k), from find_eigenpairs")
    return result


def eigenpairs(args: argparse.Namespace, count: int | None = None) -> EigenResult:
    """The first `count` of the eigenpairs named by --eigen, by default all."""
    saved = load_tensors(args.eigen, ["values", "vectors", "residuals"])
    found = saved["vectors"].shape[1]
    if count is not None and count > found:
        raise InputError(f"{args.eigen} holds {found} eigenpairs, {count} are wanted; find more of them")
    first = [saved[name][..., :count].to(args.device) for name in ("values", "vectors", "residuals")]
    return EigenResult(*first, matvecs=0, converged=True)


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
