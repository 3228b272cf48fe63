"""A recurrent language model on the study's corpus; a batch is one tensor of tokens.

    snakemake --cores all results/corpus/tokens.safetensors
    python -m valleyscope probe examples/corpus_gru.py:build --k 64 --dims 1,4,16 --out probed_gru

TOKENS names another file with a tensor `train` of tokens.
"""

import os

import torch
from safetensors.torch import load_file
from torch import nn

CONTEXT = 32


class Recurrent(nn.Module):
    """Tokens (n, T) -> logits (n, T, V)."""

    def __init__(self, vocabulary, width):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.gru = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, tokens):
        return self.head(self.gru(self.embedding(tokens))[0])


def losses(model, tokens):
    """One loss a sequence: the mean cross-entropy of its next tokens."""
    logits = model(tokens[:, :-1])
    each = nn.functional.cross_entropy(logits.transpose(1, 2), tokens[:, 1:], reduction="none")
    return each.mean(dim=1)


def data(count=1024):
    """Sequences of CONTEXT + 1 tokens, in the order of the text."""
    tokens = load_file(os.environ.get("TOKENS", "results/corpus/tokens.safetensors"))["train"]
    return tokens[: count * (CONTEXT + 1)].long().view(count, CONTEXT + 1)


def build(seed=0, steps=200, width=32, count=1024):
    """A trained model, its loss and its data."""
    torch.manual_seed(seed)
    sequences = data(count)
    model = Recurrent(int(sequences.max()) + 1, width)
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.01)
    for step in range(steps):
        start = 16 * step % (count - 16)
        optimiser.zero_grad()
        losses(model, sequences[start : start + 16]).mean().backward()
        optimiser.step()
    return model, losses, sequences


if __name__ == "__main__":
    from valleyscope import probe

    print(probe(*build(), k=64, dims=[1, 4, 16], sigmas=[1e-4, 1e-3, 1e-2]).summary())
