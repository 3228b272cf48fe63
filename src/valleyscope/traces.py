"""Stochastic traces of an operator, with their standard error."""

import torch

from valleyscope.estimate import Estimate


def trace(operator, probes: int, seed: int) -> Estimate:
    """Tr H by Hutchinson's estimator (1990): the mean of vᵀHv over random-sign vectors v.

    Its variance is 2 (‖H‖_F² − Σ_i H_ii²) a probe. Costs `probes` products, at least 2.
    """
    generator = torch.Generator().manual_seed(seed)
    draws = []
    for _ in range(probes):
        signs = torch.randint(0, 2, (operator.size,), generator=generator) * 2.0 - 1.0
        v = signs.to(operator.device, operator.dtype)
        draws.append(torch.dot(v.double(), operator.matvec(v).double()).item())
    return Estimate.of(draws)
