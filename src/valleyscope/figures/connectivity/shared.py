"""What the figures of Paper B's paths share: names and colours of path finders, ratios, words of captions."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from valleyscope.figures.landscape.shared import BEYOND
from valleyscope.figures.repeats import quoted
from valleyscope.figures.style import COLOURS, log_interval, log_spread
from valleyscope.readings.intervals import geometric_mean

KINDS = {  # path finders
    "straight": COLOURS[1],
    "bezier": COLOURS[2],
    "polygon": COLOURS[4],
    "autoneb": COLOURS[0],
}
NAMES = {"straight": "straight line", "bezier": "Bézier", "polygon": "polygon", "autoneb": "AutoNEB"}
VARIANTS = {"adamw": "AdamW", "sgd": "SGD"}  # optimisers that found the ends
ARC = "position (arc length)"
CUT = f"Intervals are cut a factor of {BEYOND} beyond the means. "
ROUNDING = 1e-9  # of ratios: equal values do not differ
NO_DIFFERENCE = "not told apart"


# ---------------------------------------------------------------- rows


def rows_of(table: pd.DataFrame, kind: str = "autoneb", variant: str = "adamw") -> pd.DataFrame:
    """One path finder between minima of one optimiser."""
    return table[(table["kind"] == kind) & (table["variant"] == variant)]


def kinds_of(table: pd.DataFrame, variant: str = "adamw") -> list[str]:
    """The path finders in the table, in the order of KINDS."""
    return [kind for kind in KINDS if len(rows_of(table, kind, variant))]


def not_drawn(values: pd.Series) -> str:
    """How many of them a logarithmic axis cannot show, as a sentence; empty if none."""
    count = int((~(values > 0)).sum())
    return f"{count} values that are not above 0 are not drawn. " if count else ""


# ---------------------------------------------------------------- panels


def ratio_point(panel: plt.Axes, place: float, ratios: pd.Series, **style) -> None:
    """Geometric mean over pairs and its interval along x, where all pairs have a ratio above 0."""
    if not usable(ratios):
        return
    mean, (low, high) = geometric_mean(ratios), log_interval(ratios)
    panel.errorbar(mean, place, xerr=[[mean - low], [high - mean]], capsize=2, lw=1, **style)


def ratio_axis(panel: plt.Axes, names: list[str], label: str) -> bool:
    """Logarithmic x, a row a name from the top, a line at 1; whether any interval was cut at the edge."""
    means = [point.lines[0].get_xdata()[0] for point in panel.containers]
    panel.axvline(1, color="0.6", lw=0.7, zorder=0)
    panel.set(xscale="log", xlabel=label, ylim=(len(names) - 0.5, -0.5))
    panel.set_yticks(range(len(names)), names)
    for place in range(1, len(names)):
        panel.axhline(place - 0.5, color="0.9", lw=0.6, zorder=0)
    if not means:
        return False
    limits = min([1, *means]) / BEYOND, max([1, *means]) * BEYOND
    left, right = panel.get_xlim()
    panel.set_xlim(max(left, limits[0]), min(right, limits[1]))
    plain_ticks(panel.xaxis)
    return bool(left < limits[0] or right > limits[1])


def plain_ticks(axis: Axis) -> None:
    """Few ticks in plain digits on a logarithmic axis of little more than two decades; longer ones stay as they are."""
    low, high = axis.get_view_interval()
    if high / low > 200:
        return
    digits = (1, 2, 5) if high / low < 20 else (1, 3)
    axis.set_major_locator(MaxNLocator(4) if high / low < 4 else LogLocator(subs=digits))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())


# ---------------------------------------------------------------- captions


def usable(ratios: pd.Series) -> bool:
    """Whether every pair has a ratio above 0, and there are two at least: else no interval is drawn or judged."""
    return len(ratios) > 1 and bool((np.isfinite(ratios) & (ratios > 0)).all())


def told(ratios: pd.Series, digits: int = 3, nothing: str = "not measured") -> str:
    """ "geometric mean [low, high]" of the pairs that have a ratio above 0, and how many if not all."""
    return quoted(ratios, log_spread, digits, nothing)


def side(ratios: pd.Series) -> int:
    """1 if the interval over pairs lies above 1, -1 if below, 0 if it covers 1 or cannot be had."""
    if not usable(ratios):
        return 0
    low, high = log_interval(ratios)
    return int(low > 1 + ROUNDING) - int(high < 1 - ROUNDING)


def against_ends(ratios: pd.Series, digits: int = 3) -> str:
    """ "higher than at the ends (2 [1.5, 3] times)", lower, or not told apart where the interval covers 1."""
    words = {1: "higher than at the ends", -1: "lower than at the ends", 0: f"{NO_DIFFERENCE} from the ends"}
    measured = told(ratios, digits, nothing="")
    return f"{words[side(ratios)]} ({measured} times)" if measured else "not measured against the ends"


def compared(ratios: dict[str, pd.Series], digits: int | None = 3) -> str:
    """ "above 1 for A (2 [1.5, 3]), B (...); below 1 for ...; not told apart from 1 for ...", by the intervals.

    digits None: names alone, where a panel shows the numbers.
    """
    words = {1: "above 1", -1: "below 1", 0: f"{NO_DIFFERENCE} from 1"}
    parts = []
    for sign, word in words.items():
        names = [
            name if digits is None else f"{name} ({told(values, digits)})"
            for name, values in ratios.items()
            if side(values) == sign
        ]
        if names:
            parts.append(f"{word} for {', '.join(names)}")
    return "; ".join(parts)


def intervals_over_pairs(table: pd.DataFrame, means: str = "Geometric means") -> str:
    """The end of a caption."""
    return (
        f"{means} and 95 % t-intervals over {table['pair'].nunique()} independent pairs of minima; brackets hold "
        "intervals."
    )
