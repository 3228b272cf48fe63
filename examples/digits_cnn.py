"""A convolutional network with batch normalisation on scikit-learn's digits; batches are dicts.

python -m valleyscope probe examples/digits_cnn.py:build --k 64 --dims 1,4,16 --out probed_cnn
python -m valleyscope probe examples/digits_cnn.py:build --k 64 --params "0.*" --out probed_first_layer
"""

import torch
from sklearn.datasets import load_digits
from torch import nn


def losses(model, batch):
    """One loss an image."""
    return nn.functional.cross_entropy(model(batch["image"]), batch["label"], reduction="none")


def data():
    """A dict of images (n, 1, 8, 8) in [0, 1] and labels; the same order every time."""
    digits = load_digits()
    order = torch.randperm(len(digits.target), generator=torch.Generator().manual_seed(0))
    images = torch.tensor(digits.images / 16, dtype=torch.float32)[:, None]
    return {"image": images[order], "label": torch.tensor(digits.target)[order]}


def build(seed=0, steps=200, width=8):
    """A trained model in eval mode, in which its running statistics are fixed, its loss and its data."""
    torch.manual_seed(seed)
    samples = data()
    model = nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * width, 10),
    )
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.1)
    for step in range(steps):
        part = slice(32 * step % 1024, 32 * step % 1024 + 32)
        optimiser.zero_grad()
        losses(model, {name: tensor[part] for name, tensor in samples.items()}).mean().backward()
        optimiser.step()
    return model.eval(), losses, samples


if __name__ == "__main__":
    from valleyscope import probe

    print(probe(*build(), k=64, dims=[1, 4, 16], sigmas=[1e-4, 1e-3, 1e-2]).summary())
