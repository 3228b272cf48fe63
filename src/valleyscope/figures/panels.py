"""Parts of panels that figures share: lines and points over repeats, axes, legends, cut intervals."""

from collections.abc import Callable

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from valleyscope.readings.intervals import interval_of

BEYOND = (
    30  # intervals that reach further than this factor from the means are cut: two repeats give huge ones
)
CUT = f"Intervals are cut a factor of {BEYOND} beyond the means. "


# ---------------------------------------------------------------- lines and points over repeats


def positive(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """What a logarithmic axis can show: zero, negative and missing values go."""
    return table[(table[column] > 0) & np.isfinite(table[column])]


def summary(table: pd.DataFrame, x: str, y: str, log: bool = False) -> pd.DataFrame:
    """Columns mean, low, high of `y` by `x` (log: geometric, of values above 0); missing values are left out."""
    rows = {key: interval_of(values, log) for key, values in table.groupby(x)[y]}
    result = pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "low", "high"])
    return result.dropna(subset="mean")


def band(axes: plt.Axes, table: pd.DataFrame, x: str, y: str, log: bool = False, **style) -> None:
    """Mean as a line, interval as a band; nothing where there is no value."""
    rows = summary(table, x, y, log)
    if len(rows):
        (line,) = axes.plot(rows.index, rows["mean"], **style)
        at = rows.index.to_numpy(float)
        axes.fill_between(at, rows["low"], rows["high"], color=line.get_color(), alpha=0.12, lw=0)


def points(
    axes: plt.Axes,
    table: pd.DataFrame,
    x: str,
    y: str,
    log: bool = False,
    shift: Callable = lambda x: x,
    **style,
) -> None:
    """Mean as points, interval as bars; `shift` moves x, so that points stand side by side."""
    rows = summary(table, x, y, log)
    if len(rows):
        errors = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]
        style = {"fmt": "o", "ms": 3.5, "capsize": 1.5, "lw": 1} | style
        axes.errorbar(shift(rows.index.to_numpy(float)), rows["mean"], errors, **style)


def thinned(table: pd.DataFrame, x: str, most: int = 50) -> pd.DataFrame:
    """The rows at up to `most` values of `x`, evenly chosen, first and last included."""
    grid = np.sort(table[x].unique())
    chosen = np.linspace(0, len(grid) - 1, min(most, len(grid))).round().astype(int)
    return table[table[x].isin(grid[chosen])]


# ---------------------------------------------------------------- axes and legends


def cut(panels: list[plt.Axes]) -> bool:
    """Give logarithmic panels one y axis that ends a factor BEYOND from their lines and points.

    Intervals of two or three repeats reach over many decades. Whether one is cut.
    """
    lines = [line for panel in panels for line in panel.lines if line.get_marker() != "_"]  # no caps of bars
    drawn = np.concatenate([np.asarray(line.get_ydata(), float) for line in lines] or [[]])
    drawn = drawn[np.isfinite(drawn) & (drawn > 0)]
    if not len(drawn):
        return False
    ends = np.array([panel.get_ylim() for panel in panels])
    low, high = ends[:, 0].min(), ends[:, 1].max()
    limits = drawn.min() / BEYOND, drawn.max() * BEYOND
    for panel in panels:
        panel.set_ylim(max(low, limits[0]), min(high, limits[1]))
    return bool(low < limits[0] or high > limits[1])


def grid_axis(panel: plt.Axes, values: pd.Series, label: str, most: int = 7) -> None:
    """A logarithmic x axis, ticks at up to `most` values of the grid."""
    grid = sorted(values.unique())
    shown = grid[:: -(-len(grid) // most)]
    panel.set(xscale="log", xlabel=label)
    panel.set_xticks(shown, [str(value) for value in shown])
    panel.xaxis.minorticks_off()


def plain_ticks(axis: Axis) -> None:
    """Few ticks in plain digits on a logarithmic axis of up to two decades; longer ones stay as they are."""
    low, high = axis.get_view_interval()
    if high / low > 200:
        return
    digits = (1, 2, 5) if high / low < 20 else (1, 3)
    axis.set_major_locator(MaxNLocator(4) if high / low < 4 else LogLocator(subs=digits))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())


def headroom(axes: plt.Axes, share: float) -> None:
    """Free space at the top of a linear axis, for a legend."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + share * (high - low))


def legend_above(figure: Figure, entries: dict[str, dict], columns: int | None = None) -> None:
    """Labels and the line styles they stand for, above the panels."""
    handles = [Line2D([], [], label=label, **style) for label, style in entries.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=columns or len(handles))


def shades(values: pd.Series, palette: str = "viridis") -> dict:
    """A colour for each value, in order."""
    values = sorted(values.unique())
    return dict(zip(values, spread(len(values), palette), strict=True))


def spread(count: int, palette: str = "viridis") -> list[tuple]:
    """So many colours, evenly spread inside a palette of matplotlib's or, which takes its time, of seaborn's."""
    if palette not in mpl.colormaps:
        import seaborn

        return seaborn.color_palette(palette, count)
    return [tuple(colour[:3]) for colour in mpl.colormaps[palette](np.linspace(0, 1, count + 2)[1:-1])]


def widths(names: dict) -> dict[str, float]:
    """Line widths, the first widest: lines that lie on each other stay visible."""
    return dict(zip(names, np.linspace(4, 1, len(names)), strict=True))
