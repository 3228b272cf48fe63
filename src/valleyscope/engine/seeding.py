"""Random streams of torch from several numbers."""

import numpy as np
import torch


def generator(*seeds: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A stream of its own for each tuple of one length of seeds below 2³²; torch keeps 32 bits: a hash."""
    state = np.random.SeedSequence(seeds).generate_state(1)
    return torch.Generator(device).manual_seed(int(state[0]))
