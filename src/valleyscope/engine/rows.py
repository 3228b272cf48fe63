"""Products of many long vectors, kept as rows, with one vector.

On a GPU the product of a vector with a matrix of more than 2³¹ numbers, such as 44 vectors of 49 million, has
been reported to read outside the matrix (pytorch/pytorch issue 17897, open): it is taken in blocks of rows.
"""

import torch
from torch import Tensor

MOST_NUMBERS = 2**31 - 1


def components(rows: Tensor, vector: Tensor) -> Tensor:
    """rows (r, N) times vector (N,): (r,)."""
    return torch.cat([block @ vector for block in _blocks(rows)])


def subtracted(vector: Tensor, weights: Tensor, rows: Tensor) -> Tensor:
    """vector (N,) minus the sum of weights (r,) times rows (r, N)."""
    blocks = _blocks(rows)
    for block, part in zip(blocks, weights.split(len(blocks[0])), strict=True):
        vector = vector - part @ block
    return vector


def _blocks(rows: Tensor) -> tuple[Tensor, ...]:
    return rows.split(max(1, MOST_NUMBERS // rows.shape[1]))
