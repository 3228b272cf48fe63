"""A Monte Carlo estimate with its standard error, and a root mean square."""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """Mean of `samples` independent draws and the standard error of that mean."""

    mean: float
    standard_error: float
    samples: int

    @classmethod
    def of(cls, draws) -> "Estimate":
        """From the draws themselves (S,), S >= 2; computed in float64."""
        draws = np.asarray(draws, dtype=np.float64)
        if len(draws) < 2:
            raise ValueError("a standard error needs at least 2 draws")
        return cls(draws.mean().item(), draws.std(ddof=1).item() / math.sqrt(len(draws)), len(draws))


def rms(values: np.ndarray) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(values))))
