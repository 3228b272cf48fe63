"""The arguments that fix a learning problem (tokens, model, subset) and what they stand for."""

import argparse
from pathlib import Path

from torch import Tensor

import stage.arguments
from valleyscope.artifacts import load_tensors
from valleyscope.errors import InputError
from valleyscope.models.model import ModelSettings, Transformer
from valleyscope.models.tokenizer import draw_sequences


def parser(description: str) -> argparse.ArgumentParser:
    """The stage parser with the arguments of a learning problem."""
    result = stage.arguments.parser(description)
    result.add_argument("--tokens", type=Path, required=True, help="tokens of both splits")
    result.add_argument(
        "--model", type=stage.arguments.settings(ModelSettings), required=True, help="model settings, JSON"
    )
    result.add_argument("--sequences", type=int, required=True, help="training sequences")
    result.add_argument("--data-seed", type=int, required=True, help="of their choice and order")
    result.add_argument("--held-out-sequences", type=int, required=True, help="validation ones")
    return result


def curvature_parser(description: str) -> argparse.ArgumentParser:
    """The same with the memory that products with the Hessian may take."""
    result = parser(description)
    result.add_argument("--memory-budget", type=float, help="bytes for graphs; default: half of what is free")
    return result


def data(parsed: argparse.Namespace) -> tuple[Tensor, Tensor]:
    """Training sequences in their seeded order and held-out sequences, (n, T + 1) each."""
    tokens = load_tensors(parsed.tokens, ["train", "held_out"])
    context = parsed.model.context
    train = draw_sequences(tokens["train"], context, parsed.sequences, parsed.data_seed)
    held_out = draw_sequences(tokens["held_out"], context, parsed.held_out_sequences, seed=0)
    return train.to(parsed.device), held_out.to(parsed.device)


def model(parsed: argparse.Namespace, weights: Path | None = None, seed: int = 0) -> Transformer:
    """The model drawn from `seed`, or with the weights of a checkpoint."""
    result = Transformer(parsed.model, seed)
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
    return result.to(parsed.device)
