"""What the figures of Paper B share: colours of path finders, ratios to the ends and the words for them."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from valleyscope.figures.panels import BEYOND, plain_ticks
from valleyscope.figures.style import COLOURS
from valleyscope.readings.intervals import interval_of, quoted, side
from valleyscope.readings.paths import FINDERS
from valleyscope.readings.sgd import Window

FINDER_COLOURS = dict(zip(FINDERS, (COLOURS[i] for i in (1, 2, 4, 0)), strict=True))
ARC = "position (arc length)"
MAIN = "AutoNEB between minima of AdamW"
NO_DIFFERENCE = "not told apart"


# ---------------------------------------------------------------- panels


def ratio_point(panel: plt.Axes, place: float, ratios: pd.Series, **style) -> None:
    """Geometric mean over pairs and its interval along x, where all pairs have a ratio above 0."""
    if not usable(ratios):
        return
    mean, low, high = interval_of(ratios, log=True)
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


# ---------------------------------------------------------------- words


def usable(ratios: pd.Series) -> bool:
    """Whether every pair has a ratio above 0, and there are two at least: else none is drawn or judged."""
    return len(ratios) > 1 and bool((np.isfinite(ratios) & (ratios > 0)).all())


def judged(ratios: pd.Series) -> int:
    """1 or −1 where the interval over all pairs lies above or below 1; else 0."""
    return side(ratios, 1, log=True) if usable(ratios) else 0


def against_ends(ratios: pd.Series, digits: int = 3) -> str:
    """ "higher than at the ends (2 [1.5, 3] times)", lower, or not told apart where the interval covers 1."""
    words = {1: "higher than at the ends", -1: "lower than at the ends", 0: f"{NO_DIFFERENCE} from the ends"}
    return _with_ratio(words, ratios, digits)


def height(ratios: pd.Series, digits: int = 3) -> str:
    """The same without "than at the ends"."""
    return _with_ratio({1: "higher", -1: "lower", 0: NO_DIFFERENCE}, ratios, digits)


def _with_ratio(words: dict[int, str], ratios: pd.Series, digits: int) -> str:
    measured = quoted(ratios, digits, log=True, nothing="")
    return f"{words[judged(ratios)]} ({measured} times)" if measured else "not measured against the ends"


def compared(ratios: dict, words: dict[int, str]) -> str:
    """ "rises at σ = 1, 2; falls at σ = 3": the keys whose interval lies above 1, covers it, lies below."""
    parts = []
    for sign, word in words.items():
        keys = [f"{key}" for key, values in ratios.items() if judged(values) == sign]
        if keys:
            parts.append(f"{word} {', '.join(keys)}")
    return "; ".join(parts)


def span(window: Window) -> str:
    """ "0.4 to 0.6"."""
    return " to ".join(f"{end:g}" for end in window)


def not_drawn(values: pd.Series) -> dict[str, str]:
    """How many of them a logarithmic axis cannot show; nothing if none."""
    count = int((~(values > 0)).sum())
    return {"values that are not above 0 and not drawn": f"{count}"} if count else {}
