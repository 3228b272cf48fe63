"""Δ₂^(D) by three estimators, what it is made of, and how much of the slope the subspace holds."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from valleyscope.plotting.style import (
    COLOURS,
    geometric_mean,
    interval,
    log_interval,
    log_spread,
    new_figure,
    spread,
)

NAMES = {
    "gaussian_moment": "closed form",
    "quadratic": "quadratic Monte Carlo",
    "direct": "direct Monte Carlo",
}
KEYS = ["seed", "k", "dim", "sigma"]


def draw(criteria: pd.DataFrame, terms: pd.DataFrame) -> tuple[Figure, str]:
    """Top: Var δ against σ for three D. Bottom: the model's error, share of a², share of the slope."""
    k = criteria["k"].max()
    dims = sorted(criteria["dim"].unique())
    figure, axes = new_figure(4.6, rows=2, columns=3)
    at_k, terms_k = criteria.query("k == @k"), terms.query("k == @k")
    shown = _three_of(dims)
    for panel, dim in zip(axes[0], shown, strict=False):
        _draw_spread(panel, at_k.query("dim == @dim"), terms_k.query("dim == @dim"))
        panel.set_title(f"D = {dim}, k = {k}")
        panel.set(xlabel=r"$\sigma$")
    axes[0][0].set_ylabel(r"$\mathrm{Var}\,\delta_k$ (nats$^2$)")
    axes[0][0].legend()
    for panel in axes[0][len(shown) :]:
        panel.set_visible(False)

    by_dim = {
        "x": "sigma",
        "hue": "dim",
        "palette": sns.color_palette("viridis", len(dims)),
        "marker": "o",
        "markersize": 4,
    }
    ratio = _variance_ratio(at_k)
    sns.lineplot(ratio, y="ratio", estimator=geometric_mean, errorbar=log_interval, ax=axes[1][0], **by_dim)
    axes[1][0].axhline(1, color="0.6", lw=0.7)
    axes[1][0].set(xscale="log", yscale="log", xlabel=r"$\sigma$")
    axes[1][0].set_ylabel(r"$\mathrm{Var}\,\delta\ /\ \mathrm{Var}\,q$ (same draws)")
    axes[1][0].set_title("True over quadratic model")
    axes[1][0].legend(title="D")

    share = terms_k.assign(share=terms_k["value"] / _moment(terms_k))
    sns.lineplot(share, y="share", errorbar=interval, ax=axes[1][1], legend=False, **by_dim)
    axes[1][1].set(xscale="log", xlabel=r"$\sigma$", ylabel=r"$a^2\ /\ \Delta_2^{(D)}$")
    axes[1][1].set_title("Share of the single point")

    once = terms[terms["sigma"] == terms["sigma"].min()]
    _draw_slope_share(axes[1][2], once)
    return figure, _caption(ratio, share, once, k)


def _three_of(dims: list[int]) -> list[int]:
    """The smallest, middle and largest of the grid."""
    return sorted({dims[0], dims[len(dims) // 2], dims[-1]})


def _moment(terms: pd.DataFrame) -> pd.Series:
    return terms[["value", "slope", "curvature", "cross"]].sum(axis=1)


def _variance_ratio(criteria: pd.DataFrame) -> pd.DataFrame:
    """Sample variance of the true δ over that of the quadratic model, on the same draws.

    Unlike Δ₂ it holds nothing of a², and unlike the closed form it shares the draws' own scatter.
    """
    wide = criteria.pivot(index=KEYS, columns="estimator", values="variance")
    return (wide["direct"] / wide["quadratic"]).rename("ratio").reset_index()


def _draw_spread(panel: plt.Axes, rows: pd.DataFrame, terms: pd.DataFrame) -> None:
    markers = {"gaussian_moment": "-", "quadratic": "s", "direct": "o"}
    for (name, label), colour, shift in zip(NAMES.items(), COLOURS, (1, 0.9, 1.1), strict=False):
        groups = rows[rows["estimator"] == name].groupby("sigma")["variance"]
        mean = groups.apply(geometric_mean)
        low, high = np.array([log_interval(values) for _, values in groups]).T
        panel.errorbar(
            mean.index * shift,
            mean,
            yerr=[mean - low, high - mean],
            fmt=markers[name],
            ms=3.5,
            lw=1,
            capsize=2,
            color=colour,
            label=label,
        )
    panel.axhline(geometric_mean(terms["value"]), color="0.5", ls="--", lw=0.8, label="$a^2$")
    panel.set(xscale="log", yscale="log")


def _draw_slope_share(panel: plt.Axes, terms: pd.DataFrame) -> None:
    sns.lineplot(
        terms,
        x="dim",
        y="gradient_share",
        hue="k",
        palette=sns.color_palette("crest", terms["k"].nunique()),
        marker="o",
        markersize=4,
        estimator=geometric_mean,
        errorbar=log_interval,
        ax=panel,
    )
    chance = terms.groupby("dim")["chance"].first()
    panel.plot(chance.index, chance, "k:", lw=1, label="D/N")
    panel.set(xscale="log", yscale="log", xlabel="D")
    panel.set_xticks(chance.index, [str(d) for d in chance.index])
    panel.minorticks_off()
    panel.set_ylabel(r"$\|U^\top\Delta g\|^2 / \|\Delta g\|^2$")
    panel.set_title("Share of the slope")
    panel.legend(title="k", ncols=2)


def _caption(ratio: pd.DataFrame, share: pd.DataFrame, once: pd.DataFrame, k: int) -> str:
    top = once.query("dim == dim.max() and k == @k")
    small = share.query("dim == dim.max() and sigma == sigma.min()")
    # How far the interval over seeds reaches from 1, for the worst D.
    off = {
        sigma: max(abs(edge - 1) for _, cell in rows.groupby("dim") for edge in log_interval(cell["ratio"]))
        for sigma, rows in ratio.groupby("sigma")
    }
    return (
        "On the same draws the variance of the true increment agrees with the quadratic model's within "
        f"{', '.join(f'{edge:.2g} at σ = {sigma:g}' for sigma, edge in off.items())} (relative, whole interval over "
        f"seeds, every D). At σ = {small['sigma'].iloc[0]:g} and D = {small['dim'].iloc[0]} the single point a² is all "
        f"but {spread(1 - small['share'], 2)} of Δ₂^(D), whatever the subspace, which holds "
        f"{log_spread(top['gradient_share'])} of the squared slope (a random one: {top['chance'].iloc[0]:.1e}). k = {k} "
        "unless a line says otherwise. Geometric means (share of the single point: means) and 95 % t-intervals over "
        f"{ratio['seed'].nunique()} seeds of weights and data order; brackets hold intervals."
    )
