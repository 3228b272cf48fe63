"""The arguments of a stage on a path between minima, and what they stand for."""

import argparse
from collections.abc import Collection
from pathlib import Path

import stage.arguments
import stage.problem

import pandas as pd

from valleyscope.artifacts import load_tensors, write_table
from valleyscope.paths import Path as WeightPath

NAMES = ("variant", "kind", "pair")


def parser(description: str) -> argparse.ArgumentParser:
    """The parser of a learning problem with a path and its names."""
    result = bare_parser(description)
    stage.arguments.add(result, "variant")
    result.add_argument("--kind", required=True, help="name of the path finder")
    return result


def bare_parser(description: str) -> argparse.ArgumentParser:
    """The same without the names of what made the path."""
    result = stage.problem.curvature_parser(description)
    stage.arguments.add_files(result, path="safetensors: pivots")
    stage.arguments.add(result, "pair", "seed")
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
