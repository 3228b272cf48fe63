"""The four terms of the closed form against k and σ: what Δ₂ and Δ₂^(D) are made of."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from valleyscope.figures.captions import repeats
from valleyscope.figures.landscape.shared import (
    FULL,
    beyond_mark,
    k_axis,
    largest_probe,
    mark_sigma_star,
    named,
    probe_names,
    size_of,
    star_numbers,
    stars_of,
)
from valleyscope.figures.panels import CUT, band, cut, legend_above
from valleyscope.figures.style import COLOURS, Picture, new_figure
from valleyscope.readings.intervals import quoted
from valleyscope.readings.landscape import REGIMES, TERMS, middle, regimes_of

STYLES = {
    "value": {"color": "k"},
    "slope": {"color": COLOURS[0]},
    "curvature": {"color": COLOURS[1]},
    "cross": {"color": COLOURS[7], "ls": "--"},
}
LABELS = {
    "value": r"value $a^2$",
    "slope": r"slope $\sigma^2\|c\|^2$",
    "curvature": r"curvature $\frac{\sigma^4}{4}(2\,\mathrm{Tr}B^2+(\mathrm{Tr}B)^2)$",
    "cross": r"|cross| $|a\sigma^2\,\mathrm{Tr}B|$",
}
PAIRS = [("slope", "value"), ("curvature", "value"), ("curvature", "slope")]  # in which the first takes over


def draw(terms: pd.DataFrame, validity: pd.DataFrame) -> Picture:
    """Top: against k at the middle σ. Bottom: against σ at the largest k. A column a regime and probe."""
    terms = terms.query("next == 'expected'").assign(probe=probe_names)
    sigma = middle(terms["sigma"])
    shown = (FULL, largest_probe(terms))
    columns = [(regime, probe) for regime in regimes_of(terms) for probe in shown]
    stars = {column: star for column, star in stars_of(terms, validity).items() if column in columns}
    figure, axes = new_figure(4.4, rows=2, columns=len(columns), squeeze=False, sharey="row")
    for (top, bottom), (regime, probe) in zip(axes.T, columns, strict=True):
        rows = terms[(terms["regime"] == regime) & (terms["probe"] == probe)]
        _draw_terms(top, rows[np.isclose(rows["sigma"], sigma)], "k")
        k_axis(top, rows["k"])
        top.set_yscale("log")
        mark = beyond_mark(sigma, stars[regime, probe])
        top.set_title(f"{regime.capitalize()}\n{probe}, $\\sigma$ = {sigma:g}{mark}")
        _draw_terms(bottom, rows[rows["k"] == rows["k"].max()], "sigma")
        bottom.set(xscale="log", yscale="log", xlabel=r"$\sigma$")
        bottom.set_title(f"{probe}, k = {rows['k'].max()}")
    was_cut = cut(list(axes[0])) | cut(list(axes[1]))
    for panel, column in zip(axes[1], columns, strict=True):
        mark_sigma_star(panel, {"": stars[column]})
    for panel in axes[:, 0]:
        panel.set_ylabel(r"term of $\Delta_2$ (nats$^2$)")
    legend_above(figure, {LABELS[name]: style for name, style in STYLES.items()})
    numbers = _numbers(terms, columns, sigma) | star_numbers(named(stars))
    return Picture(figure, _caption(terms, sigma, was_cut), numbers)


def _draw_terms(panel: plt.Axes, rows: pd.DataFrame, x: str) -> None:
    rows = rows.assign(cross=rows["cross"].abs())
    for name, style in STYLES.items():
        band(panel, rows, x, name, log=True, marker="o", ms=2.5, lw=1, **style)


# ---------------------------------------------------------------- what is read off


def takeover(rows: pd.DataFrame, upper: str, lower: str) -> float:
    """σ above which `upper` exceeds `lower`, log-interpolated; 0 if at every σ, infinite if at none."""
    rows = rows[(rows[upper] > 0) & (rows[lower] > 0)].sort_values("sigma")
    if rows.empty:
        return np.nan
    gap = np.log(rows[upper] / rows[lower]).to_numpy()
    if (gap > 0).all() or (gap <= 0).all():
        return 0.0 if gap[0] > 0 else np.inf
    last = int(np.flatnonzero(gap <= 0)[-1])  # the terms are powers of σ: they cross once
    if last == len(gap) - 1:
        return np.inf
    step = np.log(rows["sigma"].to_numpy())[last : last + 2]
    return float(np.exp(np.interp(0, gap[last : last + 2], step)))


def shares(rows: pd.DataFrame) -> pd.DataFrame:
    """Size of each term over the sum of the four sizes, a row a seed."""
    sizes = rows.set_index("seed")[TERMS].abs()
    return sizes.div(sizes.sum(axis=1, skipna=False), axis=0)


def _at(terms: pd.DataFrame, regime: str, probe: str) -> pd.DataFrame:
    """At the largest k that the regime and the probe have."""
    rows = terms[(terms["regime"] == regime) & (terms["probe"] == probe)]
    return rows[rows["k"] == rows["k"].max()]


def takeovers(rows: pd.DataFrame, upper: str, lower: str) -> pd.Series:
    """The same by seed; seeds in which the two cannot be compared are left out."""
    found = {seed: takeover(cells, upper, lower) for seed, cells in rows.groupby("seed")}
    return pd.Series(found, dtype=float).dropna()


# ---------------------------------------------------------------- words


def _crossing(by_seed: pd.Series) -> str:
    """From which σ on one term exceeds another."""
    crossed = by_seed[(by_seed > 0) & np.isfinite(by_seed)]
    if by_seed.empty:
        return "not compared"
    if np.isinf(by_seed).all():
        return "at no σ"
    if (by_seed == 0).all():
        return "at every σ"
    if len(crossed) == len(by_seed):
        return f"above σ = {quoted(crossed, 2, log=True)}"
    each = ", ".join(f"{sigma:.2g}" for sigma in crossed) or "none inside the grid"
    never, always = int(np.isinf(by_seed).sum()), int((by_seed == 0).sum())
    return f"by seed above σ = {each} (at no σ in {never} seeds, at every σ in {always})"


def _largest(rows: pd.DataFrame, sigma: float) -> tuple[str, str]:
    """The largest term at `sigma`, and the share of all the others."""
    share = shares(rows[np.isclose(rows["sigma"], sigma)])
    largest = share.mean().idxmax() if share.notna().any(axis=None) else "value"
    return largest, quoted(1 - share[largest], 2, log=True, nothing="nothing measured")


def _caption(terms: pd.DataFrame, sigma: float, was_cut: bool) -> str:
    found, exceeded = [], []
    for regime in regimes_of(terms):
        rows, verb = _at(terms, regime, FULL), "" if found else "makes "
        largest, rest = _largest(rows, sigma)
        found.append(f"{REGIMES[regime]} the {largest} {verb}all but {rest}")
        crossed = takeovers(rows, "slope", "value")
        seeds = "" if exceeded else " seeds"
        exceeded.append(f"{np.isfinite(crossed).sum()} of {len(crossed)}{seeds} {REGIMES[regime]}")
    first, *others = found
    told = ", ".join([f"{first[0].upper()}{first[1:]} of Δ₂'s terms", *others])
    return (
        f"{told} (expected next sample, full space, σ = {sigma:g}, "
        f"largest k). Slope exceeds value at some σ up to {terms['sigma'].max():g} in {', '.join(exceeded)}. {CUT * was_cut}"
        f"{repeats(terms, scale=f'N = {size_of(terms):,}')}"
    )


def _numbers(terms: pd.DataFrame, columns: list[tuple[str, str]], sigma: float) -> dict[str, str]:
    """Of every column: the largest term at the middle σ, and from which σ on one term exceeds another."""
    low, high = terms["sigma"].min(), terms["sigma"].max()
    numbers = {}
    for regime, probe in columns:
        rows = _at(terms, regime, probe)
        where = f"{REGIMES[regime]}, {probe}, k = {rows['k'].max()}"
        largest, rest = _largest(rows, sigma)
        numbers[f"largest term, {where}, σ = {sigma:g}"] = (
            f"{largest}, all but {rest} of the sum of four sizes"
        )
        for upper, lower in PAIRS:
            numbers[f"{upper} exceeds {lower}, {where}"] = _crossing(takeovers(rows, upper, lower))
    return numbers | {
        "grid of σ": f"{low:g} to {high:g}; crossings are interpolated in logarithms within a seed"
    }
