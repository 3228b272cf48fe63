"""Are averages of weights better than what they average, on held-out data and in curvature (B10)?"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from valleyscope.figures.repeats import quoted, shown
from valleyscope.figures.style import COLOURS, interval, new_figure
from valleyscope.readings.averages import ENDS, differences

QUANTITIES = {  # column: label, whether more is better, words for more and for less
    "accuracy": ("accuracy", True),
    "scaled_loss": ("scaled held-out loss", False),
    "held_out_loss": ("raw held-out loss", False),
    "train_loss": ("training loss", False),
    "trace": (r"$\mathrm{Tr}\,H$", False),
}
NAMES = {
    "accuracy": "held-out accuracy",
    "scaled_loss": "temperature-scaled held-out loss",
    "held_out_loss": "raw held-out loss",
    "train_loss": "training loss",
    "trace": "Tr H",
}
SOURCES = {"path": COLOURS[0], "children": COLOURS[3], "swa": COLOURS[2]}
WIDE = 20  # largest over median size of the differences from which an axis is logarithmic beyond the median

FARTHEST = 3  # times the largest mean: there intervals are cut, of few repeats they are many times as long


def draw(averages: pd.DataFrame) -> tuple[Figure, str]:
    """A panel a quantity, a row an average, from path interior over children to SWA."""
    table = differences(averages)
    rows = _rows(table)
    figure, panels = new_figure(0.8 + 0.24 * len(rows), columns=len(QUANTITIES), sharey=True)
    trimmed = []
    for axes, (column, (label, more)) in zip(panels, QUANTITIES.items(), strict=True):
        trimmed.append(_draw_panel(axes, rows, column))
        axes.set_title(
            f"{label}\n({'right' if more else 'left'} is {'better' if column != 'trace' else 'flatter'})",
            size=7.5,
        )
    panels[0].set_yticks(range(len(rows)), [name for name, _ in rows])
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    clause = f"Intervals are cut at {FARTHEST:g} times the largest mean. " * any(trimmed)
    return figure, _caption(table, averages, clause)


def _rows(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Name and rows of every average, in the order drawn."""
    found = []
    for source in SOURCES:
        part = table[table["source"] == source]
        for (branch, point), rows in part.groupby(["branch", "point"]):
            name = {"path": f"path at {point}", "children": f"children of {branch:g}", "swa": "SWA"}[source]
            found.append((name, rows))
    return found


def _draw_panel(axes: plt.Axes, rows: list[tuple[str, pd.DataFrame]], column: str) -> bool:
    means = np.array([part[column].mean() for _, part in rows])
    for place, (_, part) in enumerate(rows):
        mean, ends = part[column].mean(), interval(part[column])
        errors = [[mean - ends[0]], [ends[1] - mean]]
        colour = SOURCES[part["source"].iloc[0]]
        axes.errorbar(mean, place, xerr=errors, fmt="o", ms=3.5, capsize=1.5, lw=1, color=colour)
    axes.axvline(0, color="0.6", lw=0.7, zorder=0)
    axes.set_xlabel("difference")
    return _scale(axes, np.abs(means[np.isfinite(means)]))


def _scale(axes: plt.Axes, sizes: np.ndarray) -> bool:
    """Linear, or linear up to about a typical size and logarithmic beyond if sizes differ much; whether cut."""
    typical = np.median(sizes[sizes > 0]) if (sizes > 0).any() else 0
    if not typical or sizes.max() <= WIDE * typical:
        axes.locator_params(axis="x", nbins=3)
        return False
    first = 10.0 ** np.floor(np.log10(typical))
    last = 10.0 ** np.floor(np.log10(sizes.max()))
    axes.set_xscale("symlog", linthresh=first, linscale=0.6)
    low, high = (1.5 * end for end in axes.get_xlim())  # a linear margin is narrow on a logarithmic axis
    edge = FARTHEST * sizes.max()
    axes.set_xlim(max(low, -edge), min(high, edge))
    ticks = [t for t in (-last, 0, last) if axes.get_xlim()[0] <= t <= axes.get_xlim()[1]]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.set_xticks([-first, first], minor=True)
    axes.xaxis.set_minor_formatter(NullFormatter())
    return bool(low < -edge or high > edge)


def _caption(table: pd.DataFrame, averages: pd.DataFrame, clause: str) -> str:
    interior = table[table["source"] == "path"].groupby("repeat")[list(QUANTITIES)].mean()
    swa = table[table["source"] == "swa"].set_index("repeat")
    children = table[table["source"] == "children"]
    ends = averages[(averages["source"] == "path") & averages["point"].isin(ENDS)]
    ends = ends.groupby("repeat")[["accuracy", "scaled_loss", "held_out_loss", "train_loss", "trace"]].mean()
    parts = [
        f"Inside the path (mean of its points) {_described(interior)}, against ends of "
        + ", ".join(f"{quoted(ends[column])} ({NAMES[column]})" for column in QUANTITIES)
    ]
    if len(children):
        better = {
            column: _branches(children, column, 1 if more else -1) for column, (_, more) in QUANTITIES.items()
        }
        worse = {
            column: _branches(children, column, -1 if more else 1) for column, (_, more) in QUANTITIES.items()
        }
        parts.append(
            "The middle of two children against their ends, by branch step: "
            + "; ".join(
                f"{NAMES[column]} {_sides(column)[0]} for {better[column]}, {_sides(column)[1]} for {worse[column]}"
                for column in QUANTITIES
            )
        )
    if len(swa):
        parts.append(f"SWA against the last weights: {_described(swa)}")
    counts = averages.groupby("source")["repeat"].nunique()
    names = {"path": "pairs of minima", "children": "parents", "swa": "runs"}
    repeats = ", ".join(f"{counts[s]} {names[s]} ({s})" for s in SOURCES if s in counts)
    return (
        f"{'. '.join(parts)}. Better, worse, flatter, sharper: the interval excludes 0. Differences of one average to what it "
        "averages (path, children: mean of the two ends; SWA: last weights); losses in nats per token, scaled: logits "
        "divided by the best temperature of the other half of the held-out sequences; Tr H in nats, on the training data. "
        f"Axes with small ticks are linear between these and logarithmic beyond. {clause}Mean and 95 % t-interval over {repeats}."
    )


def _sides(column: str) -> tuple[str, str]:
    return ("flatter", "sharper") if column == "trace" else ("better", "worse")


def _described(table: pd.DataFrame) -> str:
    """Every quantity: better, worse or not shown to differ, and by how much."""
    parts = []
    for column, (_, more) in QUANTITIES.items():
        side = shown(table[column]) * (1 if more else -1)
        better, worse = _sides(column)
        word = {1: better, -1: worse, 0: "not shown to differ"}[side]
        parts.append(f"{NAMES[column]} is {word} ({quoted(table[column])})")
    return ", ".join(parts)


def _branches(children: pd.DataFrame, column: str, side: int) -> str:
    found = [f"{branch:g}" for branch, rows in children.groupby("branch") if shown(rows[column]) == side]
    return ", ".join(found) or "none"
