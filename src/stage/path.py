"""The arguments of a stage on a path between minima, and what they stand for."""

import argparse
from collections.abc import Collection
from pathlib import Path

import pandas as pd

import stage.arguments
import stage.problem
from valleyscope.artifacts import load_tensors, write_table
from valleyscope.paths import Path as WeightPath

NAMES = ("variant", "kind", "pair")


def parser(description: str) -> argparse.ArgumentParser:
    """The parser of a learning problem with a path and its names."""
    result = stage.problem.curvature_parser(description)
    result.add_argument("--path", type=Path, required=True, help="safetensors: pivots")
    result.add_argument("--variant", required=True, help="name of the training that found the ends")
    result.add_argument("--kind", required=True, help="name of the path finder")
    result.add_argument("--pair", required=True, help="name of the pair of ends")
    result.add_argument("--seed", type=int, required=True, help="of every random draw")
    return result


def load(args: argparse.Namespace) -> WeightPath:
    """The path of --path."""
    return WeightPath(load_tensors(args.path, ["pivots"])["pivots"].to(args.device))


def write(
    table: pd.DataFrame, out: Path, args: argparse.Namespace, may_be_empty: Collection[str] = ()
) -> None:
    """Write a table of the path with its names in front."""
    for name in reversed(NAMES):
        table.insert(0, name, getattr(args, name))
    write_table(table, out, stage.arguments.meta(args, args.tokens, args.path), may_be_empty)
