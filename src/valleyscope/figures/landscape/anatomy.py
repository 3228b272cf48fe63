"""The four terms of the closed form against k and σ: what Δ₂ and Δ₂^(D) are made of."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from valleyscope.figures.landscape.shared import (
    CUT,
    FULL,
    intervals_over,
    k_axis,
    legend_above,
    mark_sigma_star,
    probe_colours,
    probe_names,
    quoted,
    trace,
    trim,
    without_star,
)
from valleyscope.figures.style import COLOURS, new_figure, spread
from valleyscope.readings.landscape import (
    MEASURED_AT,
    REGIMES,
    TERMS,
    holds_up_to,
    middle,
    regimes_of,
    sigma_star,
)

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


def draw(terms: pd.DataFrame, validity: pd.DataFrame) -> tuple[Figure, str]:
    """Top: against k at the middle σ. Bottom: against σ at the largest k. A column a regime and probe."""
    terms = terms.query("next == 'expected'").assign(probe=probe_names)
    sigma = middle(terms["sigma"])
    columns = [(regime, probe) for regime in regimes_of(terms) for probe in probes_of(terms)]
    dims = terms.groupby("probe")["dim"].first()
    stars = {
        (regime, probe): sigma_star(validity, MEASURED_AT[regime], dims[probe]) for regime, probe in columns
    }
    figure, axes = new_figure(4.4, rows=2, columns=len(columns), squeeze=False, sharey="row")
    for (top, bottom), (regime, probe) in zip(axes.T, columns, strict=True):
        rows = terms[(terms["regime"] == regime) & (terms["probe"] == probe)]
        _draw_terms(top, rows[np.isclose(rows["sigma"], sigma)], "k")
        k_axis(top, rows["k"])
        top.set_yscale("log")
        mark = "" if sigma <= holds_up_to(stars[regime, probe]) else r" $>\ \sigma^*$"
        top.set_title(f"{regime.capitalize()}\n{probe}, $\\sigma$ = {sigma:g}{mark}")
        _draw_terms(bottom, rows[rows["k"] == rows["k"].max()], "sigma")
        bottom.set(xscale="log", yscale="log", xlabel=r"$\sigma$")
        bottom.set_title(f"{probe}, k = {rows['k'].max()}")
    cut = trim(list(axes[0])) | trim(list(axes[1]))
    for panel, column in zip(axes[1], columns, strict=True):
        mark_sigma_star(panel, {"": stars[column]})
    for panel in axes[:, 0]:
        panel.set_ylabel(r"term of $\Delta_2$ (nats$^2$)")
    legend_above(figure, {LABELS[name]: style for name, style in STYLES.items()})
    return figure, _caption(terms, stars, sigma, cut)


def probes_of(terms: pd.DataFrame) -> list[str]:
    """Full space and the largest D."""
    return [FULL, list(probe_colours(terms))[-1]]


def _draw_terms(panel: plt.Axes, rows: pd.DataFrame, x: str) -> None:
    rows = rows.assign(cross=rows["cross"].abs())
    for name, style in STYLES.items():
        trace(panel, rows, x, name, marker="o", ms=2.5, lw=1, **style)


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


def _above(rows: pd.DataFrame, upper: str, lower: str) -> str:
    """The same over seeds, in words."""
    by_seed = pd.Series(
        {seed: takeover(cells, upper, lower) for seed, cells in rows.groupby("seed")}
    ).dropna()
    crossed = by_seed[(by_seed > 0) & np.isfinite(by_seed)]
    verb = f"{upper} exceeds {lower}"
    if by_seed.empty:
        return f"{upper} and {lower} were not compared"
    if np.isinf(by_seed).all():
        return f"{verb} at no σ"
    if (by_seed == 0).all():
        return f"{verb} at every σ"
    if len(crossed) == len(by_seed):
        return f"{verb} above σ = {quoted(crossed, digits=2)}"
    each = ", ".join(f"{sigma:.2g}" for sigma in crossed) or "none inside the grid"
    never, always = int(np.isinf(by_seed).sum()), int((by_seed == 0).sum())
    return f"{verb} by seed above σ = {each} (at no σ in {never} seeds, at every σ in {always})"


def shares(rows: pd.DataFrame) -> pd.DataFrame:
    """Size of each term over the sum of the four sizes, a row a seed."""
    sizes = rows.set_index("seed")[TERMS].abs()
    return sizes.div(sizes.sum(axis=1), axis=0).dropna()


def _sentence(terms: pd.DataFrame, regime: str, probe: str, sigma: float) -> str:
    """Which term is largest at the middle σ, and from which σ on another one is."""
    rows = terms[(terms["regime"] == regime) & (terms["probe"] == probe)]
    rows = rows[rows["k"] == rows["k"].max()]
    share = shares(rows[np.isclose(rows["sigma"], sigma)])
    largest = share.mean().idxmax() if len(share) else "value"
    pairs = [("slope", "value"), ("curvature", "value"), ("curvature", "slope")]
    return (
        f"{REGIMES[regime].capitalize()}, {probe}, k = {rows['k'].max()}: {largest} holds all but {quoted(1 - share[largest], spread, 2)} at "
        f"σ = {sigma:g}; {', '.join(_above(rows, *pair) for pair in pairs)}."
    )


def _caption(terms: pd.DataFrame, stars: dict, sigma: float, cut: bool) -> str:
    sentences = [_sentence(terms, *column, sigma) for column in stars]
    missing = without_star({f"{probe} ({regime})": star for (regime, probe), star in stars.items()})
    low, high = terms["sigma"].min(), terms["sigma"].max()
    return (
        f'{" ".join(sentences)} "All but" is of the sum of the four sizes; "at no" or "every σ" is of the grid, '
        f"{low:g} to {high:g}; crossings are interpolated in logarithms within a seed. Closed form of the expected next "
        "sample (means over held-out candidates; the cross term has a sign and is drawn by its size). σ*, dotted and "
        f"in titles: limit of the quadratic model (increment, float64). {missing}{CUT * cut}Geometric means "
        f'("all but": means) and {intervals_over(terms)}'
    )
