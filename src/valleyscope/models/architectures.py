"""Models beside the transformer: a recurrent language model, and classifiers of small images.

Every kind is built from settings and a seed, and comes with its task: "text" (tokens, as for the
transformer) or "digits" (8 x 8 images of handwritten digits with their labels). To add one: a class or a
function, its row of `KINDS`, and its settings in the configuration's `architectures.models`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from valleyscope.engine.weights import LossFunction
from valleyscope.errors import InputError
from valleyscope.models.model import ModelSettings, Transformer, sequence_losses

SIDE, CLASSES = 8, 10  # of the images


class Recurrent(nn.Module):
    """A language model around one GRU layer (Cho et al. 2014): tokens (B, T) -> logits (B, T, V)."""

    def __init__(self, vocab_size: int, width: int):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, width)
        self.recurrent = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, vocab_size)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.recurrent(self.embedding(tokens))[0])


def perceptron(width: int, depth: int) -> nn.Module:
    """`depth` hidden layers of ReLU: images (B, 1, 8, 8) -> logits (B, 10)."""
    sizes = [SIDE * SIDE] + [width] * depth
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], CLASSES))


def convolutional(width: int) -> nn.Module:
    """Two convolutions and a linear layer with ReLU between: images (B, 1, 8, 8) -> logits (B, 10)."""
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2 * width * (SIDE // 2) ** 2, CLASSES),
    )


def class_losses(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Cross-entropy (nats) of each image: (images (n, 1, 8, 8), labels (n,)) -> (n,)."""
    images, labels = batch
    return F.cross_entropy(model(images), labels, reduction="none")


@dataclass(frozen=True)
class Kind:
    """One kind of model: what it is trained on, and how it is built from settings and a seed.

    Attributes:
        task: "text" or "digits".
        build: (settings, seed) -> model.
        needs: settings that it cannot do without, words in one string. `vocab_size` and `context` are the
            configuration's, the others those of `architectures.models`.
        takes: settings that have a default.
    """

    task: str
    build: Callable[[dict, int], nn.Module]
    loss_fn: LossFunction
    needs: str
    takes: str = ""


def _seeded(make: Callable[..., nn.Module]) -> Callable[[dict, int], nn.Module]:
    """Weights by torch's default from `seed`; torch's global stream stays as it is."""

    def build(settings: dict, seed: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return make(**settings)

    return build


def _transformer(settings: dict, seed: int) -> Transformer:
    with torch.random.fork_rng(devices=[]):  # its layers draw once by torch's default before its own scheme
        return Transformer(ModelSettings(**settings), seed)


# The Snakefile reads task, needs and takes of each row without importing torch: they must be literals.
KINDS = {
    "transformer": Kind(
        "text",
        _transformer,
        sequence_losses,
        needs="vocab_size context depth width heads kv_heads mlp_ratio",
        takes="positions activation norm",
    ),
    "recurrent": Kind("text", _seeded(Recurrent), sequence_losses, needs="vocab_size width"),
    "mlp": Kind("digits", _seeded(perceptron), class_losses, needs="width depth"),
    "cnn": Kind("digits", _seeded(convolutional), class_losses, needs="width"),
}


def build(kind: str, settings: dict, seed: int) -> nn.Module:
    """A model of that kind with weights drawn from `seed`; InputError if it takes other settings."""
    if kind not in KINDS:
        raise InputError(f"kind: {kind!r} is none of {', '.join(KINDS)}")
    try:
        return KINDS[kind].build(settings, seed)
    except (TypeError, ValueError, RuntimeError, ZeroDivisionError) as error:
        raise InputError(f"the settings do not fit a model of kind {kind}: {error}") from None


def digits(seed: int, held_out: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Training and held-out digits of scikit-learn's set of 1,797, as (images, labels); pixels in [0, 1].

    Which are held out does not depend on `seed`, the order of the others does.
    """
    from sklearn.datasets import load_digits

    loaded = load_digits()
    images = torch.tensor(loaded.images / 16, dtype=torch.float32)[:, None]
    labels = torch.tensor(loaded.target, dtype=torch.long)
    shuffled = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    known, kept = shuffled[held_out:], shuffled[:held_out]
    order = known[torch.randperm(len(known), generator=torch.Generator().manual_seed(seed))]
    return (images[order], labels[order]), (images[kept], labels[kept])
