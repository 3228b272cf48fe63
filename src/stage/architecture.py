"""The arguments that fix an architecture with its data, and what they stand for."""

import argparse
import json
from pathlib import Path

import stage.arguments
from valleyscope.artifacts import load_tensors
from valleyscope.models.architectures import KINDS, build, digits
from valleyscope.models.tokenizer import draw_sequences


def parser(description: str) -> argparse.ArgumentParser:
    """The stage parser with the arguments of an architecture."""
    result = stage.arguments.parser(description)
    result.add_argument("--name", required=True, help="of the architecture, for the tables")
    result.add_argument("--kind", choices=list(KINDS), required=True, help="which model")
    result.add_argument("--settings", type=json.loads, required=True, help="of that model, JSON")
    result.add_argument("--tokens", type=Path, required=True, help="tokens of both splits")
    result.add_argument("--context", type=int, required=True, help="tokens a sequence")
    result.add_argument("--samples", type=int, required=True, help="training samples")
    result.add_argument("--held-out", type=int, required=True, help="held-out samples")
    result.add_argument("--memory-budget", type=float, help="bytes for graphs; default: half of what is free")
    return result


def model(args: argparse.Namespace, seed: int):
    """The model drawn from `seed`."""
    return build(args.kind, args.settings, seed).to(args.device)


def data(args: argparse.Namespace, seed: int):
    """Training samples in the order of `seed` and held-out ones, two batches on the device."""
    if KINDS[args.kind].task == "digits":
        train, held_out = digits(seed, args.held_out)
        train = tuple(part[: args.samples] for part in train)
        return tuple(tuple(part.to(args.device) for part in batch) for batch in (train, held_out))
    tokens = load_tensors(args.tokens, ["train", "held_out"])
    train = draw_sequences(tokens["train"], args.context, args.samples, seed)
    held_out = draw_sequences(tokens["held_out"], args.context, args.held_out, seed=0)
    return train.to(args.device), held_out.to(args.device)
