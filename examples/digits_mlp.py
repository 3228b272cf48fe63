"""A multilayer perceptron on scikit-learn's digits.

python -m valleyscope probe examples/digits_mlp.py:build --k 64 --dims 1,4,16 --out probed_mlp
python examples/digits_mlp.py          # the same as a script, and a path between two seeds
"""

import torch
from sklearn.datasets import load_digits
from torch import nn


def losses(model, batch):
    """One loss an image."""
    images, labels = batch
    return nn.functional.cross_entropy(model(images), labels, reduction="none")


def data():
    """Images as vectors in [0, 1], and their labels; the same order every time."""
    digits = load_digits()
    order = torch.randperm(len(digits.target), generator=torch.Generator().manual_seed(0))
    images = torch.tensor(digits.data / 16, dtype=torch.float32)
    return images[order], torch.tensor(digits.target)[order]


def build(seed=0, steps=300, width=32):
    """A trained model, its loss and its data."""
    torch.manual_seed(seed)
    images, labels = data()
    model = nn.Sequential(nn.Linear(64, width), nn.GELU(), nn.Linear(width, 10))
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.1)
    for step in range(steps):
        part = slice(32 * step % 1024, 32 * step % 1024 + 32)
        optimiser.zero_grad()
        losses(model, (images[part], labels[part])).mean().backward()
        optimiser.step()
    return model, losses, (images, labels)


if __name__ == "__main__":
    from valleyscope import probe, trace_path

    model, loss_fn, (images, labels) = build()
    probed = probe(model, loss_fn, (images, labels), k=64, dims=[1, 4, 16], sigmas=[1e-4, 1e-3, 1e-2])
    print(probed.summary())
    other = build(seed=1)[0]
    some = (images[:256], labels[:256])
    traced = trace_path(model, model.state_dict(), other.state_dict(), loss_fn, some)
    print(traced.summary())
