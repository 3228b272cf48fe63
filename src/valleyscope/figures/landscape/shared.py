"""What the figures of Paper A share: names, σ*, axes, lines over seeds, numbers of captions."""

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from valleyscope.figures.style import COLOURS, log_interval, log_spread
from valleyscope.readings.intervals import geometric_mean

WEIGHTS = dict(zip(["trained", "minimisers"], COLOURS, strict=False))
PRECISIONS = dict(zip(["float64", "float32", "bfloat16"], COLOURS, strict=False))
PROCEDURES = dict(zip(["corrected", "published"], COLOURS, strict=False))
NEXT = {"expected": {"ls": "-"}, "single": {"ls": "--", "lw": 0.9}}
FULL = "full space"

GEOMETRIC = {"estimator": geometric_mean, "errorbar": log_interval}  # for seaborn
BARS = {"err_style": "bars", "err_kws": {"capsize": 2, "lw": 0.8}}

BEYOND = 30  # intervals that reach further than this factor from the lines are cut: two seeds give huge ones
CUT = f"Bands are cut a factor of {BEYOND} beyond the lines. "


# ---------------------------------------------------------------- rows and probes


def positive(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """What a logarithmic axis can show: zero, negative and missing values go."""
    return table[(table[column] > 0) & np.isfinite(table[column])]


def probe_names(table: pd.DataFrame) -> np.ndarray:
    """ "D = 4" for a subspace, "full space" otherwise."""
    return np.where(table["criterion"] == "delta2_D", "D = " + table["dim"].astype(str), FULL)


def probe_colours(table: pd.DataFrame) -> dict[str, tuple | str]:
    """Full space (first, so below) in black, D in an ordered palette."""
    dims = table.loc[table["criterion"] == "delta2_D", "dim"]
    return {FULL: "k"} | {f"D = {dim}": colour for dim, colour in shades(dims).items()}


def shades(values: pd.Series, palette="viridis") -> dict:
    """A colour for each value, in order."""
    values = sorted(values.unique())
    return dict(zip(values, sns.color_palette(palette, len(values)), strict=True))


def widths(probes: dict) -> dict[str, float]:
    """Line widths, the first widest: lines that lie on each other stay visible."""
    return dict(zip(probes, np.linspace(4, 1, len(probes)), strict=True))


# ---------------------------------------------------------------- σ*, the limit of the quadratic model


def without_star(stars: dict[str, pd.Series]) -> str:
    """For captions, of each name with such seeds: how many have no σ*."""
    counts = [
        f"{name} {star.isna().sum()} of {len(star)}" for name, star in stars.items() if star.isna().any()
    ]
    if not counts:
        return ""
    return f"Seeds without σ*, as every σ exceeds the limit: {', '.join(counts)}; there no σ counts as up to σ*. "


def mark_sigma_star(panel: plt.Axes, stars: dict[str, pd.Series]) -> None:
    """A dotted line at each σ*, geometric mean over the seeds that have one, its name beside its foot.

    The last of several has its name to the right: they may lie close together.
    """
    means = {name: geometric_mean(star.dropna()) for name, star in stars.items() if star.notna().any()}
    for name, mean in means.items():
        last = len(means) > 1 and mean == max(means.values())
        panel.axvline(mean, color="0.3", ls=":", lw=1)
        panel.text(
            mean, 0.03, rf" $\sigma^*$ {name}", rotation=90, size=6, ha="left" if last else "right",
            transform=panel.get_xaxis_transform(),
        )  # fmt: skip


# ---------------------------------------------------------------- panels


def grid_axis(panel: plt.Axes, values: pd.Series, label: str, most: int = 7) -> None:
    """A logarithmic x axis, ticks at up to `most` values of the grid."""
    grid = sorted(values.unique())
    shown = grid[:: -(-len(grid) // most)]
    panel.set(xscale="log", xlabel=label)
    panel.set_xticks(shown, [str(value) for value in shown])
    panel.xaxis.minorticks_off()


def k_axis(panel: plt.Axes, k: pd.Series) -> None:
    """The same for k."""
    grid_axis(panel, k, "k (sequences)", most=4)


def trace(panel: plt.Axes, rows: pd.DataFrame, x: str, y: str, **style) -> None:
    """Geometric mean over seeds with its 95 % interval as a band, where positive."""
    groups = positive(rows, y).groupby(x)[y]
    if len(groups):
        mean = groups.agg(geometric_mean)
        (line,) = panel.plot(mean.index, mean, **style)
        band = np.array([log_interval(values) for _, values in groups])
        panel.fill_between(mean.index, *band.T, color=line.get_color(), alpha=0.1, lw=0)


def trim(panels: list[plt.Axes]) -> bool:
    """Cut intervals further than BEYOND from the lines of `panels`, which share y; whether any was cut."""
    drawn = np.concatenate([line.get_ydata() for panel in panels for line in panel.lines] or [[]])
    drawn = drawn[drawn > 0]
    if not len(drawn):
        return False
    low, high = drawn.min() / BEYOND, drawn.max() * BEYOND
    bottom, top = panels[0].get_ylim()
    panels[0].set_ylim(max(bottom, low), min(top, high))
    return any(panel.dataLim.ymin < low or panel.dataLim.ymax > high for panel in panels)


def legend_above(figure: Figure, entries: dict[str, dict], columns: int | None = None) -> None:
    """Labels and the line styles they stand for, above the panels."""
    handles = [Line2D([], [], label=label, **style) for label, style in entries.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=columns or len(handles))


# ---------------------------------------------------------------- captions


def quoted(values: pd.Series, write: Callable = log_spread, digits: int = 3, nothing="not measured") -> str:
    """Mean and interval of what was measured (geometric: is positive) as `write` puts them.

    A single value has no interval; how many seeds have a value is said if not all do.
    """
    good = values[np.isfinite(values) & ((values > 0) | (write is not log_spread))]
    if good.empty:
        return nothing
    text = write(good, digits) if len(good) > 1 else f"{good.iloc[0]:.{digits}g}"
    return text if len(good) == len(values) else f"{text} ({len(good)} of {len(values)} seeds)"


def intervals_over(table: pd.DataFrame) -> str:
    """The end of a caption."""
    seeds = table["seed"].nunique()
    return f"95 % t-intervals over {seeds} seeds of weights and data order; brackets hold intervals."
