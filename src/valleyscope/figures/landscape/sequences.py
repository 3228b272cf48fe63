"""How many sequences until one more changes the loss by less than ε."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from valleyscope.figures.landscape.shared import (
    CUT,
    FULL,
    NEXT,
    intervals_over,
    legend_above,
    positive,
    probe_colours,
    probe_names,
    quoted,
    trace,
    trim,
    widths,
)
from valleyscope.figures.style import new_figure
from valleyscope.readings.intervals import geometric_mean, student_interval
from valleyscope.readings.landscape import REGIMES, middle, regimes_of


def draw(sequences: pd.DataFrame) -> tuple[Figure, str]:
    """k against ε, a column a regime; hollow where extrapolated."""
    squared = sequences[sequences["criterion"].isin(["delta2", "delta2_D"])].assign(probe=probe_names)
    sigma = middle(squared["sigma"])
    rows = squared[np.isclose(squared["sigma"], sigma)]
    regimes, colours = regimes_of(rows), probe_colours(rows)
    figure, axes = new_figure(3, columns=len(regimes), squeeze=False, sharex=True, sharey=True)
    for panel, regime in zip(axes[0], regimes, strict=True):
        _draw_panel(panel, positive(rows[rows["regime"] == regime], "k"), colours)
        panel.set(xscale="log", yscale="log", xlabel=r"$\epsilon$ (nats)")
        panel.set_title(rf"{regime.capitalize()}, $\sigma$ = {sigma:g}")
    cut = trim(list(axes[0]))
    axes[0][0].set_ylabel(r"k (sequences) with $\sqrt{\Delta_2} < \epsilon$")
    _legend(figure, colours)
    return figure, _caption(rows, sigma, cut)


def _draw_panel(panel: plt.Axes, rows: pd.DataFrame, colours: dict) -> None:
    """Every probe for the expected next sample, full space also for the single one."""
    if rows.empty:
        panel.text(0.5, 0.5, "no decay fitted", ha="center", transform=panel.transAxes)
    for probe, width in widths(colours).items():
        line = rows[(rows["next"] == "expected") & (rows["probe"] == probe)]
        trace(panel, line, "epsilon", "k", color=colours[probe], lw=width)
        _mark(panel, line, colours[probe], width)
    single = rows[(rows["next"] == "single") & (rows["probe"] == FULL)]
    trace(panel, single, "epsilon", "k", color=colours[FULL], **NEXT["single"])
    _mark(panel, single, colours[FULL], 0)


def _mark(panel: plt.Axes, rows: pd.DataFrame, colour, width: float) -> None:
    """A marker a point, hollow where k is extrapolated in any seed."""
    for epsilon, cells in rows.groupby("epsilon"):
        fill = "w" if cells["extrapolated"].astype(bool).any() else colour
        style = {"ms": 3 + 1.5 * width, "mfc": fill, "mew": 0.8, "color": colour}
        panel.plot(epsilon, geometric_mean(cells["k"]), "o", **style)


def _legend(figure: Figure, colours: dict) -> None:
    grey = {"color": "0.4"}
    entries = {name: {"color": colours[name], "lw": width} for name, width in widths(colours).items()}
    entries |= {f"{name} next": grey | style for name, style in NEXT.items()}
    entries["extrapolated"] = grey | {"ls": "none", "marker": "o", "ms": 5, "mfc": "w"}
    legend_above(figure, entries)


def _whole(values: pd.Series, digits: int) -> str:
    """ "geometric mean [low, high]" in whole sequences, of a million and more only so many digits."""
    numbers = np.exp(student_interval(np.log(values)))
    mean, low, high = (f"{number:,.0f}" if number < 1e6 else f"{number:.{digits}g}" for number in numbers)
    return f"{mean} [{low}, {high}]"


def _cell(rows: pd.DataFrame, regime: str, name: str, epsilon: float) -> str:
    """k in full space and in how many seeds it was extrapolated."""
    cells = rows[(rows["regime"] == regime) & (rows["next"] == name) & (rows["probe"] == FULL)]
    cells = cells[(cells["epsilon"] == epsilon) & (cells["k"] > 0)]
    outside = int(cells["extrapolated"].astype(bool).sum())
    where = f"extrapolated in {outside} of {len(cells)} seeds" if outside else "inside the measured grid"
    return f"k = {quoted(cells['k'], _whole, 2)} ({where})" if len(cells) else "an unknown k"


def _caption(rows: pd.DataFrame, sigma: float, cut: bool) -> str:
    epsilon = middle(rows["epsilon"])
    first, *others = regimes_of(rows)
    beside = [f"single next sample, {_cell(rows, first, 'single', epsilon)}"]
    beside += [f"expected, {regime}, {_cell(rows, regime, 'expected', epsilon)}" for regime in others]
    return (
        f"{REGIMES[first].capitalize()} one more sequence (expected next sample) changes the loss by less than ε = {epsilon:g} nats, root "
        f"mean square over the probe in full space at σ = {sigma:g}, from {_cell(rows, first, 'expected', epsilon)} on. At the "
        f"same ε: {'; '.join(beside)}. k solves √Δ₂ = ε on the decay fitted to each seed's closed forms; hollow: k "
        "lies outside the measured grid in at least one seed. Solid: expected (mean over held-out candidates), "
        f"dashed: single next sample (full space only). {CUT * cut}Geometric means and {intervals_over(rows)}"
    )
