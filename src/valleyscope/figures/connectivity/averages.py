"""Are averages of weights better than what they average, on held-out data and in curvature (B10)?"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import NullFormatter

from valleyscope.figures.style import COLOURS, Picture, new_figure
from valleyscope.readings.averages import ENDS, differences
from valleyscope.readings.intervals import interval_of, quoted, side

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
HELD_OUT = {"accuracy": "accuracy", "scaled_loss": "scaled loss"}  # told in the caption
SOURCES = {"path": COLOURS[0], "children": COLOURS[3], "swa": COLOURS[2]}
WIDE = 20  # largest over median size of the differences from which an axis is logarithmic beyond the median
FARTHEST = 3  # times the largest mean: there intervals are cut, of few repeats they are many times as long


def draw(averages: pd.DataFrame) -> Picture:
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
    clause = f"Cut at {FARTHEST:g} times the largest mean. " * any(trimmed)
    found = _found(table)
    caption = f"{_finding(found)} Small ticks: logarithmic beyond. {clause}{_repeats(averages)}"
    return Picture(figure, caption, _numbers(averages, found))


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
        mean, low, high = interval_of(part[column])
        errors, colour = [[mean - low], [high - mean]], SOURCES[part["source"].iloc[0]]
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


def _found(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Differences by repeat: inside the path (mean of its points), of the middle of children by step, of SWA."""
    inside = table[table["source"] == "path"].groupby("repeat")[list(QUANTITIES)].mean()
    children = table[table["source"] == "children"].groupby("branch")
    middles = {f"children of step {branch:g}": rows for branch, rows in children}
    found = {"path interior": inside} | middles | {"SWA": table[table["source"] == "swa"]}
    return {name: rows for name, rows in found.items() if len(rows)}


def _finding(found: dict[str, pd.DataFrame]) -> str:
    """On held-out data: of the interior, of children of the last branch and of SWA."""
    last = [name for name in found if name.startswith("children")][-1:]
    told = [name for name in ("path interior", *last, "SWA") if name in found]
    words = [_word(found[name], column) for name in told for column in HELD_OUT]
    parts = [f"{name}: {_told(found[name], numbers=name not in last)}" for name in told]
    return (
        f"Averages are better on held-out data than what they average in {words.count('better')} of {len(words)} "
        f"comparisons; {'; '.join(parts)}."
    )


def _told(rows: pd.DataFrame, numbers: bool) -> str:
    write = _verdict if numbers else _word
    return ", ".join(f"{label} {write(rows, column)}" for column, label in HELD_OUT.items())


def _word(rows: pd.DataFrame, column: str) -> str:
    """Better or worse (Tr H: flatter or sharper) where the interval excludes 0."""
    better, worse = ("flatter", "sharper") if column == "trace" else ("better", "worse")
    sign = side(rows[column]) * (1 if QUANTITIES[column][1] else -1)
    return {1: better, -1: worse, 0: "not told apart"}[sign]


def _verdict(rows: pd.DataFrame, column: str) -> str:
    """ "better (0.02 [0.01, 0.03])"."""
    return f"{_word(rows, column)} ({quoted(rows[column])})"


def _repeats(averages: pd.DataFrame) -> str:
    counts = averages.groupby("source")["repeat"].nunique()
    names = {"path": "pairs of minima (path)", "children": "parents (children)", "swa": "runs (SWA)"}
    told = ", ".join(f"{counts[source]} {names[source]}" for source in SOURCES if source in counts)
    return f"Means and 95 % t-intervals over {told}."


def _numbers(averages: pd.DataFrame, found: dict[str, pd.DataFrame]) -> dict[str, str]:
    ends = averages[(averages["source"] == "path") & averages["point"].isin(ENDS)]
    ends = ends.groupby("repeat")[list(QUANTITIES)].mean()
    return (
        {
            f"{NAMES[column]}, {name}": _verdict(rows, column)
            for name, rows in found.items()
            for column in QUANTITIES
        }
        | {f"{NAMES[column]} at the ends of the path": quoted(ends[column]) for column in QUANTITIES}
        | {
            "difference": "of an average to what it averages (path, middle of two children: mean of the two ends; SWA: last weights)",
            "better, worse, flatter, sharper": "the interval excludes 0",
            "temperature-scaled": "logits divided by the best temperature of the other half of the held-out sequences",
            "units": "losses in nats per token, Tr H in nats, on the training data",
        }
    )
