"""Δ₂^(D)/Δ₂ beside the share of a² in Δ₂ and the spread ratio (Paper A, Fig. 3)."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from valleyscope.figures.landscape.shared import (
    CUT,
    FULL,
    intervals_over,
    k_axis,
    legend_above,
    probe_colours,
    probe_names,
    quoted,
    trace,
    trim,
    widths,
    without_star,
)
from valleyscope.figures.style import new_figure, spread
from valleyscope.readings.intervals import geometric_mean, student_interval
from valleyscope.readings.landscape import MEASURED_AT, REGIMES, TERMS, holds_up_to, regimes_of, sigma_star

NEAR = 0.01  # the claim: the ratio is within 1 % of 1
CELL = ["regime", "seed", "k", "sigma"]
SPREAD = {"lw": 1, "ls": "--", "marker": "o", "ms": 2}


def draw(criteria: pd.DataFrame, terms: pd.DataFrame, validity: pd.DataFrame) -> tuple[Figure, str]:
    """A row a regime, a column a σ: ratio (solid), spread ratio (dashed) and a²/Δ₂ (grey) against k."""
    ratio, lost = ratios(criteria)
    terms = terms.query("next == 'single'").assign(probe=probe_names)
    regimes, sigmas = regimes_of(ratio), sorted(ratio["sigma"].unique())
    full = int(criteria.query("criterion == 'delta2'")["dim"].iloc[0])
    stars = {regime: sigma_star(validity, MEASURED_AT[regime], full) for regime in regimes}
    figure, axes = new_figure(
        1.9 * len(regimes) + 0.6, rows=len(regimes), columns=len(sigmas), squeeze=False, sharey=True
    )
    for row, regime in zip(axes, regimes, strict=True):
        for panel, sigma in zip(row, sigmas, strict=True):
            at = (
                table[(table["regime"] == regime) & np.isclose(table["sigma"], sigma)]
                for table in (ratio, terms)
            )
            _draw_panel(panel, *at)
            k_axis(panel, ratio.loc[ratio["regime"] == regime, "k"])
            panel.set_yscale("log")
            above = "" if sigma <= holds_up_to(stars[regime]) else r" $>\ \sigma^*$"
            panel.set_title(rf"{regime.capitalize()}, $\sigma$ = {sigma:g}{above}")
        row[0].set_ylabel("ratio (no unit)")
    cut = trim(list(axes.flat))
    _legend(figure, probe_colours(terms))
    return figure, _caption(ratio, terms, stars, lost, cut)


def ratios(criteria: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Closed-form Δ₂^(D)/Δ₂ within a seed (single next sample), and how many cells had Δ₂ not above 0."""
    closed = criteria.query("estimator == 'gaussian_moment' and next == 'single'")
    part = closed.query("criterion == 'delta2_D'").assign(probe=probe_names)
    whole = closed.query("criterion == 'delta2'").set_index(CELL)["estimate"].rename("whole")
    both = part.join(whole, on=CELL).dropna(subset=["estimate", "whole"])
    positive = both[(both["whole"] > 0) & (both["estimate"] > 0)]
    lost = both.loc[both["whole"] <= 0, CELL].drop_duplicates()
    return positive.assign(ratio=positive["estimate"] / positive["whole"]), len(lost)


def point_shares(terms: pd.DataFrame) -> pd.DataFrame:
    """a²/Δ₂ in full space: the ratio that a probe of no directions would have."""
    rows = terms.query("criterion == 'delta2'")
    return rows.assign(share=rows["value"] / rows[TERMS].sum(axis=1))


def _draw_panel(panel, ratio: pd.DataFrame, terms: pd.DataFrame) -> None:
    trace(panel, point_shares(terms), "k", "share", color="0.7", lw=4)
    colours = probe_colours(terms)
    for probe, width in widths(colours).items():
        if probe != FULL:
            trace(panel, ratio[ratio["probe"] == probe], "k", "ratio", color=colours[probe], lw=width)
            rows = terms[terms["probe"] == probe]
            trace(panel, rows, "k", "spread_ratio", color=colours[probe], **SPREAD)
    panel.axhline(1, color="k", ls=":", lw=0.8)


def _legend(figure: Figure, colours: dict) -> None:
    entries = {name: {"color": colour} for name, colour in colours.items() if name != FULL}
    entries[r"$\Delta_2^{(D)}/\Delta_2$"] = {"color": "0.3", "lw": 1.2}
    entries[r"spread ratio $\mathrm{Var}_z\delta/\mathrm{Var}_w\delta$"] = {"color": "0.3", **SPREAD}
    entries[r"$a^2/\Delta_2$"] = {"color": "0.7", "lw": 4}
    legend_above(figure, entries)


def largest_by_seed(table: pd.DataFrame, column: str, regime: str, sigma: float) -> pd.Series:
    """Each seed's largest |value − 1| over k and D."""
    rows = table[(table["regime"] == regime) & np.isclose(table["sigma"], sigma)]
    return (rows[column] - 1).abs().groupby(rows["seed"]).max()


def spread_by_seed(terms: pd.DataFrame, probe: str, regime: str, sigma: float) -> pd.Series:
    """Each seed's spread ratio, geometric mean over k."""
    rows = terms[(terms["regime"] == regime) & np.isclose(terms["sigma"], sigma)]
    rows = rows[(rows["probe"] == probe) & (rows["spread_ratio"] > 0)]
    return rows.groupby("seed")["spread_ratio"].agg(geometric_mean)


def _near(deviation: pd.Series) -> bool:
    """Whether the whole interval over seeds is within the claim."""
    return len(deviation) > 1 and student_interval(deviation)[2] <= NEAR


def _reason(point: pd.Series, held: pd.Series, probe: str) -> str:
    """What makes a ratio near 1: the shared a², the subspace, or both together."""
    if _near(point):
        return f"because both hold the same a²: a²/Δ₂ alone is within {quoted(point, spread, 2)} of 1"
    if len(held) > 1 and np.exp(student_interval(np.log(held))[1]) > 0.5:
        return (
            f"because {probe} holds most of the spread: a²/Δ₂ alone is {quoted(point, spread, 2)} away from 1"
        )
    return f"by a² and subspace together: a²/Δ₂ alone is {quoted(point, spread, 2)} away from 1"


def _sentence(ratio: pd.DataFrame, terms: pd.DataFrame, regime: str, star: float) -> str:
    """Where the ratio is near 1 up to σ*, why, and what the largest D holds of the spread there."""
    probe = list(probe_colours(terms))[-1]
    grid = sorted(ratio.loc[ratio["regime"] == regime, "sigma"].unique())
    within = [sigma for sigma in grid if sigma <= star]
    limit = f"σ* = {star:.2g}" if np.isfinite(star) else "σ* not known in every seed"
    if not within:
        return f"{REGIMES[regime].capitalize()} no σ of the grid is up to σ* ({limit}), so the ratio is not judged."
    off = {sigma: largest_by_seed(ratio, "ratio", regime, sigma) for sigma in within}
    near = [sigma for sigma in within if _near(off[sigma])]
    at = near[-1] if near else within[-1]
    held = spread_by_seed(terms, probe, regime, at)
    why = _reason(largest_by_seed(point_shares(terms), "share", regime, at), held, probe)
    listed = ", ".join(f"{sigma:g}" for sigma in near)
    there = "there" if len(near) == 1 else f"at {at:g}"
    found = f"at σ = {listed}, {there} {why}" if near else "at no σ"
    largest = ", ".join(f"{quoted(values, spread, 2)} at σ = {sigma:g}" for sigma, values in off.items())
    return (
        f"{REGIMES[regime].capitalize()} the largest |Δ₂^(D)/Δ₂ − 1| over k and D is, up to {limit}, {largest}; its whole interval is "
        f"within {100 * NEAR:g} % {found}. The spread ratio of {probe} at σ = {at:g} is {quoted(held, digits=2)}."
    )


def _caption(ratio: pd.DataFrame, terms: pd.DataFrame, stars: dict, lost: int, cut: bool) -> str:
    sentences = [_sentence(ratio, terms, regime, holds_up_to(star)) for regime, star in stars.items()]
    return (
        f"{' '.join(sentences)} Solid: ratio of the closed forms within a seed, single next sample; dashed: spread ratio, "
        "what the subspace holds of the variance that the probe adds to a²; grey: share of a² in Δ₂, the ratio of a "
        f"probe of no directions. {f'{lost} cells with an estimate of Δ₂ not above 0 are left out. ' if lost else ''}σ* is "
        f"that of full space (increment, float64); titles name σ above it. {without_star(stars)}{CUT * cut}Lines: geometric "
        f"means; largest deviation: mean of each seed's largest; {intervals_over(ratio)}"
    )
