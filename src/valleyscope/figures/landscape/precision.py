"""Whether float32 or bfloat16 changes the ratio of the subspace's criterion to that of full space."""

import itertools

import numpy as np
import pandas as pd
import seaborn as sns

from valleyscope.figures.captions import repeats
from valleyscope.figures.landscape.shared import FULL, GEOMETRIC, PRECISIONS, mark_sigma_star, star_numbers
from valleyscope.figures.panels import positive
from valleyscope.figures.style import Picture, new_figure
from valleyscope.readings.intervals import interval_of, measured, quoted, side
from valleyscope.readings.landscape import at_largest_k, sigma_star

KEYS = ["seed", "precision", "dim", "sigma"]
LOWER = ("float32", "bfloat16")
VERDICTS = ("changed", "undecided", "unchanged")
RATIOS = {  # column of the table: axis label, name in the caption
    "estimate": (r"$\Delta_2^{(D)}\ /\ \Delta_2$", "Δ₂^(D)/Δ₂"),
    "variance": (r"$\mathrm{Var}_z\,\delta\ /\ \mathrm{Var}_w\,\delta$", "spread ratio"),
}


def draw(precision: pd.DataFrame, validity: pd.DataFrame, *, ratio: float) -> Picture:
    """Top: Δ₂^(D)/Δ₂ against σ, a column for each D. Bottom: the same for Var δ.

    ratio: a precision changes nothing whose factor's interval is within this of 1.
    """
    rows = at_largest_k(precision).query("regime == 'trained'")
    ratios, full = over_full_space(rows), rows["dim"].max()
    dims = sorted(ratios["dim"].unique())
    shown = sorted({dims[0], dims[len(dims) // 2], dims[-1]})
    stars = {dim: sigma_star(at_largest_k(validity), "trained", dim) for dim in (*shown, full)}
    figure, axes = new_figure(4.2, 2, len(shown), sharey="row", sharex=True, squeeze=False)
    for dim, column in zip(shown, axes.T, strict=True):
        for panel, (name, (label, _)) in zip(column, RATIOS.items(), strict=True):
            sns.lineplot(
                positive(ratios.query("dim == @dim"), name), x="sigma", y=name, hue="precision", style="precision",
                palette=PRECISIONS, hue_order=PRECISIONS, style_order=PRECISIONS, markers=["o", "s", "v"],
                markersize=3, ax=panel, **GEOMETRIC,
            )  # fmt: skip
            panel.set(xlabel=r"$\sigma$", ylabel=label)
            mark_sigma_star(panel, {"full": stars[full], f"top {dim}": stars[dim]})
            panel.get_legend().remove()
        column[0].axhline(1, color="0.6", lw=0.7)
        column[0].set_title(f"D = {dim}")
    for panel in axes.flat:  # not before: on a logarithmic axis seaborn would average logarithms itself
        panel.set(xscale="log", yscale="log")
        panel.minorticks_off()
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
    named = {FULL if dim == full else f"D = {dim}": star for dim, star in stars.items()}
    numbers = _numbers(ratios, rows, ratio) | star_numbers(named)
    return Picture(figure, _caption(ratios, rows, ratio), numbers)


def over_full_space(rows: pd.DataFrame) -> pd.DataFrame:
    """Every D over full space, at the same seed, precision and σ."""
    wide = rows.set_index(KEYS)[list(RATIOS)]
    full = wide.xs(rows["dim"].max(), level="dim")
    ratios = wide / full.reindex(wide.index.droplevel("dim")).set_axis(wide.index)
    return ratios.reset_index().query("dim < @rows['dim'].max()")


def _caption(ratios: pd.DataFrame, rows: pd.DataFrame, within: float) -> str:
    found = "; ".join(
        f"in {precision} Δ₂^(D)/Δ₂ is {_finding(ratios, precision, 'estimate', within)}, "
        f"the spread ratio (below) {_finding(ratios, precision, 'variance', within)}"
        for precision in LOWER
    )
    scale = f"k = {rows['k'].iloc[0]}, N = {rows['dim'].max()}"
    return (
        f"{found[0].upper()}{found[1:]}. Factors over float64 within a seed, D = {ratios['dim'].max()}, worst σ; unchanged: "
        f"within {100 * within:g} % of 1. Direct Monte Carlo, trained weights. {repeats(rows, scale=scale)}"
    )


def _finding(ratios: pd.DataFrame, precision: str, column: str, within: float) -> str:
    """The verdict that weighs most among all σ, and of its factors the one farthest from 1."""
    found = {verdict: [] for verdict in VERDICTS}
    for sigma, factor in _factors(ratios, precision, column).items():
        if len(measured(factor, log=True)):
            mean = interval_of(factor, log=True)[0]
            found[_verdict(factor, within)].append((abs(np.log(mean)), sigma, factor))
    for verdict, factors in found.items():
        if factors:
            _, sigma, worst = max(factors, key=lambda row: row[0])
            return f"{verdict} ({quoted(worst, log=True)}, σ = {sigma:g})"
    return "not measurable"


def _numbers(ratios: pd.DataFrame, rows: pd.DataFrame, within: float) -> dict[str, str]:
    dim = ratios["dim"].max()
    told = {"unchanged; changed; undecided": f"the interval within {100 * within:g} % of 1; off 1; neither"}
    for precision, (column, (_, name)) in itertools.product(LOWER, RATIOS.items()):
        for sigma, factor in _factors(ratios, precision, column).items():
            text = quoted(factor, log=True, nothing="not measurable")
            verdict = f", {_verdict(factor, within)}" if factor.notna().any() else ""
            told[f"{name} in {precision} over float64, D = {dim}, σ = {sigma:g}"] = text + verdict
    exact = ratios[(ratios["dim"] == dim) & (ratios["precision"] == "float64")]
    for column, (_, name) in RATIOS.items():
        for sigma, values in exact.groupby("sigma")[column]:
            told[f"{name} in float64, D = {dim}, σ = {sigma:g}"] = quoted(values, 2, log=True)
    low = rows[rows["precision"] == "bfloat16"]
    zeros = f"{(low['variance'] == 0).sum()} of {len(low)}"
    told["variances that are 0 in bfloat16, as rounding swallows the probe: left out"] = zeros
    return told


def _factors(ratios: pd.DataFrame, precision: str, column: str) -> dict[float, pd.Series]:
    """σ -> the factor by which a precision changes a ratio at the largest D, by seed."""
    rows = ratios[ratios["dim"] == ratios["dim"].max()]
    wide = rows.pivot(index=["sigma", "seed"], columns="precision", values=column)
    factor = (wide[precision] / wide["float64"]).where(wide[precision] > 0)
    return {sigma: factor.xs(sigma) for sigma in sorted(rows["sigma"].unique())}


def _verdict(factor: pd.Series, within: float) -> str:
    """Whether the factor's interval lies within `within` of 1, else off 1, else neither."""
    _, low, high = interval_of(factor, log=True)
    if max(abs(low - 1), abs(high - 1)) < within:
        return "unchanged"
    return "changed" if side(factor, 1, log=True) else "undecided"
