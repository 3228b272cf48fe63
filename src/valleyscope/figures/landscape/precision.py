"""Whether float32 or bfloat16 changes the ratio of the subspace's criterion to that of full space."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from valleyscope.figures.landscape.shared import (
    FULL,
    GEOMETRIC,
    PRECISIONS,
    intervals_over,
    mark_sigma_star,
    positive,
    quoted,
    without_star,
)
from valleyscope.figures.style import log_interval, new_figure
from valleyscope.readings.landscape import at_largest_k, sigma_star

KEYS = ["seed", "precision", "dim", "sigma"]
RATIOS = {  # column of the table: axis label, name in the caption
    "estimate": (r"$\Delta_2^{(D)}\ /\ \Delta_2$", "Δ₂^(D)/Δ₂"),
    "variance": (r"$\mathrm{Var}_z\,\delta\ /\ \mathrm{Var}_w\,\delta$", "the spread ratio"),
}
TOLERANCE = 0.01  # claim A3: a ratio within 1 %


def draw(precision: pd.DataFrame, validity: pd.DataFrame) -> tuple[Figure, str]:
    """Top: Δ₂^(D)/Δ₂ against σ, a column for each D. Bottom: the same for Var δ."""
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
    missing = without_star({FULL if dim == full else f"D = {dim}": star for dim, star in stars.items()})
    return figure, _caption(ratios, rows, missing)


def over_full_space(rows: pd.DataFrame) -> pd.DataFrame:
    """Every D over full space, at the same seed, precision and σ."""
    wide = rows.set_index(KEYS)[list(RATIOS)]
    full = wide.xs(rows["dim"].max(), level="dim")
    ratios = wide / full.reindex(wide.index.droplevel("dim")).set_axis(wide.index)
    return ratios.reset_index().query("dim < @rows['dim'].max()")


def _caption(ratios: pd.DataFrame, rows: pd.DataFrame, missing: str) -> str:
    dim = ratios["dim"].max()
    largest = ratios.query("dim == @dim")
    findings = "; ".join(
        _finding(largest, precision, column) for precision in ("float32", "bfloat16") for column in RATIOS
    )
    exact = largest.query("precision == 'float64'").groupby("sigma")
    values = "; ".join(
        f"{name} is {' and '.join(quoted(exact.get_group(sigma)[column], digits=2) for sigma in _ends(largest))}"
        for column, (_, name) in RATIOS.items()
    )
    low = rows.query("precision == 'bfloat16'")
    return (
        f"Lower precision over float64, same seed, D = {dim}, σ = {' and '.join(f'{s:g}' for s in _ends(largest))}: "
        f"{findings} (changed: the interval lies off 1 and not within {TOLERANCE * 100:g} % of it). In float64 {values}. "
        f"In bfloat16 {(low['variance'] == 0).sum()} of {len(low)} variances are 0 (rounding swallows the probe) and "
        f"left out. Direct Monte Carlo, trained weights, k = {rows['k'].iloc[0]}, full space N = {rows['dim'].max()}, ratio taken "
        f"within a seed; dotted: σ* in float64. {missing}Geometric means and {intervals_over(rows)}"
    )


def _ends(table: pd.DataFrame) -> list[float]:
    return [table["sigma"].min(), table["sigma"].max()]


def _finding(ratios: pd.DataFrame, precision: str, column: str) -> str:
    """The factor by which a precision changes a ratio, at both ends of the grid."""
    wide = ratios.pivot(index=["seed", "sigma"], columns="precision", values=column)
    factor = (wide[precision] / wide["float64"]).where(wide[precision] > 0)
    texts = []
    for sigma in _ends(ratios):
        values = factor.xs(sigma, level="sigma")
        verdict = f" ({_verdict(values.dropna())})" if values.notna().any() else ""
        texts.append(quoted(values, nothing="not measurable") + verdict)
    return f"{precision} changes {RATIOS[column][1]} by the factor {' and '.join(texts)}"


def _verdict(factor: pd.Series) -> str:
    if len(factor) < 2:
        return "one seed"
    low, high = log_interval(factor)
    if np.abs(np.array([low, high]) - 1).max() < TOLERANCE:
        return "not changed"
    return "changed" if low > 1 or high < 1 else "not told apart"
