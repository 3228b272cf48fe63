"""The arguments that name a family of training runs, and what they stand for."""

import argparse

import stage.arguments

from torch import Tensor

from valleyscope.artifacts import load_tensors
from valleyscope.errors import InputError


def add(result: argparse.ArgumentParser) -> None:
    """Add a family, its parent and its branches to a parser."""
    stage.arguments.add_files(result, family="safetensors: children, checkpoints")
    result.add_argument("--parent", type=int, required=True, help="seed of the parent")
    result.add_argument("--branches", type=int, nargs="+", required=True, help="steps, in the file's order")


def load(args: argparse.Namespace) -> tuple[Tensor, Tensor]:
    """Children (branches, 2, N) and the parent's checkpoints (branches + 1, N)."""
    family = load_tensors(args.family, ["children", "checkpoints"])
    children, checkpoints = (family[name].to(args.device) for name in ("children", "checkpoints"))
    if len(children) != len(args.branches):
        raise InputError(
            f"{args.family} holds {len(children)} branches, --branches names {len(args.branches)}"
        )
    return children, checkpoints
