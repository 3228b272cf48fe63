"""Means and 95 % Student-t intervals over independent repeats, and how they are written.

Quantities that are positive and scatter by factors (ratios, σ*, traces, seconds) take theirs in logarithms:
the mean is then geometric, and a ratio and its inverse are treated alike.
"""

import numpy as np
from scipy.special import stdtrit

LEVEL = 0.95
Interval = tuple[float, float, float]  # mean, low, high


def student_half_width(count, level: float = LEVEL):
    """Half the width of the interval of `count` values (also an array), in their standard deviations."""
    return stdtrit(np.asarray(count) - 1, (1 + level) / 2) / np.sqrt(count)


def student_interval(values, level: float = LEVEL) -> Interval:
    """Mean and interval (mean, low, high) of independent values (n,), n >= 2, computed in float64."""
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError("an interval needs at least two independent values")
    mean = values.mean()
    half = student_half_width(len(values), level) * values.std(ddof=1)
    return float(mean), float(mean - half), float(mean + half)


def log_interval(values, level: float = LEVEL) -> Interval:
    """The same in logarithms: geometric mean, low, high; NaN where a value is not above 0."""
    values = np.asarray(values, dtype=np.float64)
    if not (values > 0).all():  # False for NaN
        return (np.nan,) * 3
    mean, low, high = np.exp(student_interval(np.log(values), level))
    return float(mean), float(low), float(high)


def interval_of(values, log: bool = False) -> Interval:
    """Of the repeats that have a value (log: above 0); the mean alone for one, NaN for none."""
    values = measured(values, log)
    if len(values) > 1:
        return log_interval(values) if log else student_interval(values)
    return (float(values[0]) if len(values) else np.nan), np.nan, np.nan


def geometric_mean(values) -> float:
    """exp of the mean logarithm."""
    return float(np.exp(np.log(values).mean()))


def measured(values, log: bool = False) -> np.ndarray:
    """The finite values (log: those above 0) as float64."""
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values)]
    return values[values > 0] if log else values


def side(values, reference: float = 0.0, log: bool = False) -> int:
    """1 or −1 where the whole interval lies above or below `reference`; else 0, also without an interval."""
    _, low, high = interval_of(values, log)
    rounding = 1e-14 + 1e-12 * max(abs(reference), np.abs(measured(values, log)).max(initial=0))
    return int(low > reference + rounding) - int(high < reference - rounding)


def quoted(
    values, digits: int = 3, *, log: bool = False, nothing: str = "not measured", form: str = "g"
) -> str:
    """ "mean [low, high]" of the repeats that have a value (log: above 0, geometric); how many if not all.

    A single value has no interval; `nothing` stands for none. `form`: as in "{:g}".
    """
    found = measured(values, log)
    if not len(found):
        return nothing
    mean, low, high = (f"{number:z.{digits}{form}}" for number in interval_of(values, log))
    text = f"{mean} [{low}, {high}]" if len(found) > 1 else mean
    return text if len(found) == len(values) else f"{text} ({len(found)} of {len(values)} repeats)"
