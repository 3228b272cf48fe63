"""How many sequences until one more changes the loss by less than ε."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from valleyscope.figures.captions import repeats
from valleyscope.figures.landscape.shared import FULL, NEXT, probe_colours, probe_names, size_of
from valleyscope.figures.panels import CUT, band, cut, legend_above, positive, widths
from valleyscope.figures.style import Picture, new_figure
from valleyscope.readings.intervals import geometric_mean, interval_of, quoted
from valleyscope.readings.landscape import REGIMES, middle, regimes_of


def draw(sequences: pd.DataFrame) -> Picture:
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
    was_cut = cut(list(axes[0]))
    axes[0][0].set_ylabel(r"k (sequences) with $\sqrt{\Delta_2} < \epsilon$")
    _legend(figure, colours)
    epsilon = middle(rows["epsilon"])
    caption = _caption(rows, sigma, epsilon, was_cut)
    return Picture(figure, caption, _numbers(rows, epsilon))


def _draw_panel(panel: plt.Axes, rows: pd.DataFrame, colours: dict) -> None:
    """Every probe for the expected next sample, full space also for the single one."""
    if rows.empty:
        panel.text(0.5, 0.5, "no decay fitted", ha="center", transform=panel.transAxes)
    for probe, width in widths(colours).items():
        line = rows[(rows["next"] == "expected") & (rows["probe"] == probe)]
        band(panel, line, "epsilon", "k", log=True, color=colours[probe], lw=width)
        _mark(panel, line, colours[probe], width)
    single = rows[(rows["next"] == "single") & (rows["probe"] == FULL)]
    band(panel, single, "epsilon", "k", log=True, color=colours[FULL], **NEXT["single"])
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


# ---------------------------------------------------------------- words


def _told(rows: pd.DataFrame, regime: str, next_: str, probe: str, epsilon: float) -> str:
    """k, in whole sequences below a million, and in how many seeds it was extrapolated."""
    cells = rows[(rows["regime"] == regime) & (rows["next"] == next_) & (rows["probe"] == probe)]
    cells = cells[np.isclose(cells["epsilon"], epsilon)]
    fitted = positive(cells, "k")
    if fitted.empty:
        return "an unknown k"
    whole = np.nanmax(interval_of(fitted["k"], log=True)) < 1e6
    k = quoted(cells["k"], 0, log=True, form="f") if whole else quoted(cells["k"], log=True)
    outside = int(fitted["extrapolated"].astype(bool).sum())
    return f"k = {k} ({f'extrapolated in {outside} of {len(fitted)} seeds' if outside else 'interpolated'})"


def _caption(rows: pd.DataFrame, sigma: float, epsilon: float, was_cut: bool) -> str:
    from_k = (
        f"{REGIMES[regime]} from {_told(rows, regime, 'expected', FULL, epsilon)}"
        for regime in regimes_of(rows)
    )
    return (
        f"By fit one more sequence changes the loss by less than ε = {epsilon:g} nats {', '.join(from_k)}; RMS "
        f"over next sample and probe (full space, σ = {sigma:g}). {CUT * was_cut}"
        f"{repeats(rows, scale=f'N = {size_of(rows):,}')}"
    )


def _numbers(rows: pd.DataFrame, epsilon: float) -> dict[str, str]:
    """k of every regime, next sample and probe at one ε; of the single next sample in full space only."""
    numbers = {}
    for regime in regimes_of(rows):
        for next_ in NEXT:
            for probe in probe_colours(rows) if next_ == "expected" else [FULL]:
                key = f"√Δ₂ < {epsilon:g} nats from, {REGIMES[regime]}, {next_} next sample, {probe}"
                numbers[key] = _told(rows, regime, next_, probe, epsilon)
    return numbers | {"k": "solves √Δ₂ = ε on the decay fitted to a seed's closed forms"}
