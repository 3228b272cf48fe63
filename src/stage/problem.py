"""The arguments that fix a learning problem (tokens, model, subset) and what they stand for."""

import argparse
from pathlib import Path

import stage.arguments

from torch import Tensor

from valleyscope.artifacts import load_tensors
from valleyscope.errors import InputError
from valleyscope.models.model import ModelSettings, Transformer
from valleyscope.models.tokenizer import draw_sequences


def parser(description: str) -> argparse.ArgumentParser:
    """The stage parser with the arguments of a learning problem."""
    result = stage.arguments.parser(description)
    stage.arguments.add_files(result, tokens="tokens of both splits")
    stage.arguments.add_settings(result, model=ModelSettings)
    result.add_argument("--sequences", type=int, required=True, help="training sequences")
    result.add_argument("--data-seed", type=int, required=True, help="of their choice and order")
    result.add_argument("--held-out-sequences", type=int, required=True, help="validation ones")
    return result


def curvature_parser(description: str) -> argparse.ArgumentParser:
    """The same with the memory that products with the Hessian may take."""
    result = parser(description)
    add_memory(result)
    return result


def add_compiled(result: argparse.ArgumentParser) -> None:
    """Add the choice of compiled gradients, for stages that take them at many points."""
    result.add_argument("--compiled", type=Path, help="folder of compiled programs: gradients by them")


def add_memory(result: argparse.ArgumentParser) -> None:
    """Add the bytes that graphs may take."""
    result.add_argument("--memory-budget", type=float, help="bytes for graphs; default: half of what is free")


def data(args: argparse.Namespace) -> tuple[Tensor, Tensor]:
    """Training sequences in their seeded order and held-out sequences, (n, T + 1) each."""
    sizes = (args.sequences, args.held_out_sequences)
    return sequences(args.tokens, args.model.context, sizes, args.data_seed, args.device)


def sequences(
    tokens: Path, context: int, sizes: tuple[int, int], seed: int, device: str
) -> tuple[Tensor, Tensor]:
    """Training sequences in the order of `seed` and held-out ones, always the same: (n, T + 1) each."""
    splits = load_tensors(tokens, ["train", "held_out"])
    train = draw_sequences(splits["train"], context, sizes[0], seed)
    held_out = draw_sequences(splits["held_out"], context, sizes[1], seed=0)
    return train.to(device), held_out.to(device)


def model(args: argparse.Namespace, weights: Path | None = None, seed: int = 0) -> Transformer:
    """The model drawn from `seed`, or with the weights of a checkpoint."""
    result = Transformer(args.model, seed)
    if weights is not None:
        wanted = {name: t.shape for name, t in result.state_dict().items()}
        found = load_tensors(weights, list(wanted))
        for name, shape in wanted.items():
            if found[name].shape != shape:
                raise InputError(
                    f"{weights}: {name} has shape {tuple(found[name].shape)}, --model makes it "
                    f"{tuple(shape)}; give the settings the checkpoint was trained with"
                )
        result.load_state_dict(found)
    return result.to(args.device)
