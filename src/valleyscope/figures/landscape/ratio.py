"""Δ₂^(D)/Δ₂ beside the share of a² in Δ₂ and the spread ratio (Paper A, Fig. 3)."""

from itertools import takewhile

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from valleyscope.figures.captions import repeats
from valleyscope.figures.landscape.shared import (
    FULL,
    beyond_mark,
    k_axis,
    largest_probe,
    probe_colours,
    probe_names,
    size_of,
    star_numbers,
)
from valleyscope.figures.panels import CUT, band, cut, legend_above, widths
from valleyscope.figures.style import Picture, new_figure
from valleyscope.readings.intervals import quoted, side
from valleyscope.readings.landscape import (
    CELL,
    MEASURED_AT,
    REGIMES,
    off_one,
    ratios,
    regimes_of,
    sigma_star,
    valid_sigmas,
)
from valleyscope.readings.landscape import spread_ratio as spread_of

SPREAD = {"lw": 1, "ls": "--", "marker": "o", "ms": 2}


def draw(terms: pd.DataFrame, validity: pd.DataFrame, *, ratio: float, spread_ratio: float) -> Picture:
    """A row a regime, a column a σ: ratio (solid), spread ratio (dashed) and a²/Δ₂ (grey) against k.

    ratio: how far from 1 counts as 1; spread_ratio: what share of the spread counts as most of it.
    """
    table = ratios(terms).assign(probe=probe_names)
    colours, regimes, sigmas = probe_colours(terms), regimes_of(table), sorted(table["sigma"].unique())
    stars = {regime: sigma_star(validity, MEASURED_AT[regime]) for regime in regimes}
    figure, axes = new_figure(
        1.9 * len(regimes) + 0.6, rows=len(regimes), columns=len(sigmas), squeeze=False, sharey=True
    )
    for row, regime in zip(axes, regimes, strict=True):
        rows = table[table["regime"] == regime]
        for panel, sigma in zip(row, sigmas, strict=True):
            _draw_panel(panel, rows[rows["sigma"] == sigma], colours)
            k_axis(panel, rows["k"])
            panel.set_yscale("log")
            panel.set_title(
                rf"{regime.capitalize()}, $\sigma$ = {sigma:g}{beyond_mark(sigma, stars[regime])}"
            )
        row[0].set_ylabel("ratio (no unit)")
    was_cut = cut(list(axes.flat))
    _legend(figure, colours)
    findings = (
        f"{REGIMES[regime]} {_finding(table, regime, star, ratio, spread_ratio)}"
        for regime, star in stars.items()
    )
    caption = (
        f"Where the quadratic model holds, Δ₂^(D)/Δ₂ is within {100 * ratio:g} % of 1 {'; '.join(findings)}. {CUT * was_cut}"
        f"{repeats(table, scale=f'N = {size_of(terms):,}')}"
    )
    return Picture(figure, caption, _numbers(table, stars) | star_numbers(stars))


def _draw_panel(panel: plt.Axes, rows: pd.DataFrame, colours: dict) -> None:
    shared = rows.groupby(CELL, as_index=False)["shared"].first()  # every D has the same
    band(panel, shared, "k", "shared", log=True, color="0.7", lw=4)
    for probe, width in widths(colours).items():
        if probe != FULL:
            lines = rows[rows["probe"] == probe]
            band(panel, lines, "k", "ratio", log=True, color=colours[probe], lw=width)
            band(panel, lines, "k", "spread_ratio", log=True, color=colours[probe], **SPREAD)
    panel.axhline(1, color="k", ls=":", lw=0.8)


def _legend(figure: Figure, colours: dict) -> None:
    entries = {name: {"color": colour} for name, colour in colours.items() if name != FULL}
    entries[r"$\Delta_2^{(D)}/\Delta_2$"] = {"color": "0.3", "lw": 1.2}
    entries[r"spread ratio $\mathrm{Var}_z\delta/\mathrm{Var}_w\delta$"] = {"color": "0.3", **SPREAD}
    entries[r"$a^2/\Delta_2$"] = {"color": "0.7", "lw": 4}
    legend_above(figure, entries)


# ---------------------------------------------------------------- words


def _at(table: pd.DataFrame, regime: str, sigma: float) -> pd.DataFrame:
    return table[(table["regime"] == regime) & np.isclose(table["sigma"], sigma)]


def _held(rows: pd.DataFrame, probe: str) -> pd.Series:
    return spread_of(rows[rows["probe"] == probe])


def _log(deviation: pd.Series) -> bool:
    """Whether it has a logarithm: a ratio may be exactly 1."""
    return bool((deviation.dropna() > 0).all())


def _side(deviation: pd.Series, limit: float) -> int:
    """As the claims judge it: a seed without a value leaves it open."""
    return 0 if deviation.isna().any() else side(deviation, limit, log=_log(deviation))


def _finding(table: pd.DataFrame, regime: str, star: pd.Series, ratio: float, spread_ratio: float) -> str:
    """From the smallest σ up to which one the ratio is near 1, and what makes it so: a², the subspace, or both."""
    probe = largest_probe(table)
    within = valid_sigmas(table.loc[table["regime"] == regime, "sigma"], star)
    if not within:
        return "at no judged σ, as the grid has none up to σ*"
    sides = {sigma: _side(off_one(_at(table, regime, sigma)), ratio) for sigma in within}
    found = list(takewhile(lambda sigma: sides[sigma] < 0, within))
    at = found[-1] if found else within[0]
    rows = _at(table, regime, at)
    values = _held(rows, probe)
    held = f"{quoted(values, 2, log=True)} of the spread"
    if not found:
        certain = "" if set(sides.values()) == {1} else " for certain"
        return f"at no σ{certain}: {probe} holds {held}"
    if _side(off_one(rows, "shared"), ratio) < 0:
        return f"up to σ = {at:g}, as is a²/Δ₂ alone: {probe} holds {held}"
    if side(values, spread_ratio, log=True) > 0:
        return f"up to σ = {at:g}, because {probe} holds {held}, over {spread_ratio:g}"
    return f"up to σ = {at:g}, by a² and subspace: {probe} holds {held}"


def _numbers(table: pd.DataFrame, stars: dict[str, pd.Series]) -> dict[str, str]:
    """Of every σ up to σ*: how far the ratio and a² alone are off 1 at worst, and what the subspace holds."""
    probe, numbers = largest_probe(table), {}
    for regime, star in stars.items():
        for sigma in valid_sigmas(table.loc[table["regime"] == regime, "sigma"], star):
            rows, at = _at(table, regime, sigma), f"{REGIMES[regime]}, σ = {sigma:g}"
            for name, column in (("Δ₂^(D)/Δ₂ − 1| over k and D", "ratio"), ("a²/Δ₂ − 1| over k", "shared")):
                deviation = off_one(rows, column)
                numbers[f"largest |{name}, {at}"] = quoted(deviation, 2, log=_log(deviation))
            numbers[f"spread ratio of {probe}, {at}"] = quoted(_held(rows, probe), 2, log=True)
    left_out = "ratios without a value, as an estimate is missing or not above 0"
    return numbers | {left_out: str(table["ratio"].isna().sum())}
