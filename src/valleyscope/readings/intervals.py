"""Two-sided Student-t intervals over independent seeds."""

import numpy as np
from scipy import stats

LEVEL = 0.95


def student_interval(values, level: float = LEVEL) -> tuple[float, float, float]:
    """Mean and interval (mean, low, high) of independent values (n,), n >= 2, computed in float64."""
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError("an interval needs at least two independent values")
    mean = values.mean()
    half = stats.t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(mean), float(mean - half), float(mean + half)
