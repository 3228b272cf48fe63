"""What the figures of Paper B's dynamics share: means over few independent repeats, and what they show."""

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from valleyscope.figures.landscape.shared import BEYOND
from valleyscope.figures.style import interval, log_interval, log_spread, spread
from valleyscope.readings.intervals import geometric_mean, student_interval

Statistics = tuple[Callable, Callable]  # of repeats: their mean, low and high end of its interval
MEAN: Statistics = (np.mean, interval)
GEOMETRIC: Statistics = (geometric_mean, log_interval)


# ---------------------------------------------------------------- what repeats show


def shown(values, reference: float = 0.0) -> int:
    """1 or −1 if the 95 % interval lies above or below `reference`; 0 if it holds it or there is none."""
    values = _finite(values)
    if len(values) < 2:
        return 0
    _, low, high = student_interval(values)
    rounding = 1e-14 + 1e-12 * max(abs(reference), np.abs(values).max())  # of repeats that are equal
    return int(low > reference + rounding) - int(high < reference - rounding)


def worded(values, above: str, below: str, neither: str, reference: float = 0.0) -> str:
    """The words for what `shown` finds."""
    return {1: above, -1: below, 0: neither}[shown(values, reference)]


def quoted(values, write: Callable = spread, digits: int = 3, nothing: str = "not measured") -> str:
    """Mean and interval as `write` puts them (log_spread: of positive values), and if repeats lack, how many.

    A single value has no interval.
    """
    count = len(values)
    values = _finite(values)
    if write is log_spread:
        values = values[values > 0]
    if not len(values):
        return nothing
    text = write(values, digits) if len(values) > 1 else f"{values[0]:.{digits}g}"
    return text if len(values) == count else f"{text} ({len(values)} of {count} repeats)"


def listed(values, nothing: str = "none") -> str:
    """ "0.1, 0.2"."""
    return ", ".join(f"{value:g}" for value in values) or nothing


def _finite(values) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    return values[np.isfinite(values)]


# ---------------------------------------------------------------- lines and points over repeats


def summary(table: pd.DataFrame, x: str, y: str, statistics: Statistics = MEAN) -> pd.DataFrame:
    """Columns mean, low, high of `y` by `x`; values that are missing, or not positive for GEOMETRIC, are left out."""
    good = table[np.isfinite(table[y]) & ((table[y] > 0) | (statistics is MEAN))]
    mean, ends = statistics
    rows = {key: (mean(values), *ends(values)) for key, values in good.groupby(x)[y]}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "low", "high"])


def band(axes: plt.Axes, table: pd.DataFrame, x: str, y: str, statistics: Statistics = MEAN, **style) -> None:
    """Mean as a line, interval as a band."""
    rows = summary(table, x, y, statistics)
    (line,) = axes.plot(rows.index, rows["mean"], **style)
    axes.fill_between(
        rows.index.to_numpy(float), rows["low"], rows["high"], color=line.get_color(), alpha=0.13, lw=0
    )


def points(
    axes: plt.Axes, table: pd.DataFrame, x: str, y: str, statistics: Statistics = MEAN, shift=lambda x: x, **style
) -> None:  # fmt: skip
    """Mean as points, interval as bars; `shift` moves x, so that points stand side by side."""
    rows = summary(table, x, y, statistics)
    if len(rows):
        errors = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]
        style = {"fmt": "o", "ms": 3.5, "capsize": 1.5, "lw": 1} | style
        axes.errorbar(shift(rows.index.to_numpy(float)), rows["mean"], errors, **style)


def thinned(table: pd.DataFrame, x: str, most: int = 50) -> pd.DataFrame:
    """The rows at up to `most` values of `x`, evenly chosen, first and last included."""
    grid = np.sort(table[x].unique())
    chosen = np.linspace(0, len(grid) - 1, min(most, len(grid))).round().astype(int)
    return table[table[x].isin(grid[chosen])]


def cut(panels: list[plt.Axes]) -> bool:
    """Give logarithmic panels one y axis that ends a factor BEYOND from their lines and points.

    Intervals of two or three repeats reach over many decades. Whether one is cut.
    """
    lines = [line for panel in panels for line in panel.lines if line.get_marker() != "_"]  # no caps of bars
    drawn = np.concatenate([np.asarray(line.get_ydata(), float) for line in lines] or [[]])
    drawn = drawn[np.isfinite(drawn) & (drawn > 0)]
    ends = np.array([panel.get_ylim() for panel in panels])
    low, high = ends[:, 0].min(), ends[:, 1].max()
    if not len(drawn):
        return False
    limits = drawn.min() / BEYOND, drawn.max() * BEYOND
    for panel in panels:
        panel.set_ylim(max(low, limits[0]), min(high, limits[1]))
    return bool(low < limits[0] or high > limits[1])


def headroom(axes: plt.Axes, share: float) -> None:
    """Free space at the top of a linear axis, for a legend."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + share * (high - low))
