"""The arguments that fix an architecture with its data, and what they stand for."""

import argparse
import json

import stage.arguments
import stage.problem

from valleyscope.models.architectures import KINDS, build, digits
from valleyscope.models.training import TrainingSettings


def parser(description: str) -> argparse.ArgumentParser:
    """The stage parser with the arguments of an architecture."""
    result = stage.arguments.parser(description)
    result.add_argument("--name", required=True, help="of the architecture, for the tables")
    result.add_argument("--kind", choices=list(KINDS), required=True, help="which model")
    result.add_argument("--settings", type=json.loads, required=True, help="of that model, JSON")
    stage.arguments.add_files(result, tokens="tokens of both splits")
    result.add_argument("--context", type=int, required=True, help="tokens a sequence")
    result.add_argument("--samples", type=int, required=True, help="training samples")
    result.add_argument("--held-out", type=int, required=True, help="held-out samples")
    stage.arguments.add_settings(result, training=TrainingSettings)
    stage.problem.add_memory(result)
    return result


def model(args: argparse.Namespace, seed: int):
    """The model drawn from `seed`."""
    return build(args.kind, args.settings, seed).to(args.device)


def data(args: argparse.Namespace, seed: int):
    """Training samples in the order of `seed` and held-out ones, two batches on the device."""
    if KINDS[args.kind].task == "text":
        sizes = (args.samples, args.held_out)
        return stage.problem.sequences(args.tokens, args.context, sizes, seed, args.device)
    train, held_out = digits(seed, args.held_out)
    train = tuple(part[: args.samples] for part in train)
    return tuple(tuple(part.to(args.device) for part in batch) for batch in (train, held_out))
