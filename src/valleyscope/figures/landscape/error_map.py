"""The closed form against direct Monte Carlo over (D, σ): as published, without scatter, without a²."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from valleyscope.figures.landscape.shared import quoted, without_star
from valleyscope.figures.style import COLOURS, new_figure, spread
from valleyscope.readings.intervals import geometric_mean
from valleyscope.readings.landscape import at_largest_k, holds_up_to, nearest, sigma_star

DRAWS = 24  # Fig. 6 of the paper


def draw(estimators: pd.DataFrame, validity: pd.DataFrame) -> tuple[Figure, str]:
    """Three heat maps in %, means over seeds; cells above the thick line have σ > σ*."""
    rows = at_largest_k(estimators).query("regime == 'trained'")
    errors = relative_errors(rows)
    maps = {name: error.groupby(["sigma", "dim"])["error"].mean().unstack() for name, error in errors.items()}
    seen = np.concatenate([table.to_numpy().ravel() for table in maps.values()])
    seen = seen[seen > 0]
    norm = LogNorm(seen.min(), max(seen.max(), seen.min() * 10))
    height = 1.4 + 0.24 * len(next(iter(maps.values())))
    figure, axes = new_figure(min(height, 6.5), columns=3, sharey=True)
    validity = at_largest_k(validity)
    stars = {dim: sigma_star(validity, "trained", dim) for dim in sorted(rows["dim"].unique())}
    for panel, (name, table) in zip(axes, maps.items(), strict=True):
        _draw_map(panel, table, norm, stars)
        panel.set_title(name)
    axes[0].set_ylabel(r"$\sigma$")
    bar = figure.colorbar(axes[0].collections[0], ax=list(axes), pad=0.01)
    bar.set_label("mean over seeds (%)")
    return figure, _caption(rows, errors, maps, stars)


def relative_errors(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The three errors in %, one a seed and cell, by the title of their map."""
    published, most = nearest(rows["samples"], DRAWS), rows["samples"].max()
    few, many = rows[rows["samples"] == published], rows[rows["samples"] == most]
    off, left = few["gaussian_moment"] - few["direct"], many["difference"]
    parts = {
        "|closed form − direct| / direct" + f"\nS = {published}, as published": (few, off / few["direct"]),
        r"$|\overline{\delta^2 - q^2}|$ / direct" + f"\nS = {most}, same draws": (
            many,
            left / many["direct"],
        ),
        r"$|\overline{\delta^2 - q^2}|\ /\ \mathrm{Var}\,q$" + f"\nS = {most}, $a^2$ taken out": (
            many,
            left / many["variance"],
        ),
    }
    return {
        name: cells[["seed", "dim", "sigma"]].assign(error=100 * ratio.abs()).replace(np.inf, np.nan).dropna()
        for name, (cells, ratio) in parts.items()
    }


def _draw_map(panel: plt.Axes, table: pd.DataFrame, norm: LogNorm, stars: dict[int, pd.Series]) -> None:
    labels = table.map(lambda value: f"{value:.2g}".replace("e-0", "e-").replace("e+0", "e"))
    sns.heatmap(
        table.where(table > 0), norm=norm, cmap="viridis", annot=labels, fmt="", annot_kws={"size": 5.5},
        cbar=False, ax=panel,
    )  # fmt: skip
    for column, dim in enumerate(table.columns):
        if stars[dim].notna().any():
            edge = (table.index <= geometric_mean(stars[dim].dropna())).sum()
            panel.plot([column, column + 1], [edge, edge], color=COLOURS[3], lw=1.8, clip_on=False)
    panel.invert_yaxis()
    panel.set(xlabel="D", ylabel="")
    panel.set_xticklabels([str(dim) for dim in table.columns], rotation=0)
    panel.set_yticks(np.arange(len(table)) + 0.5, [f"{sigma:.2g}" for sigma in table.index], rotation=0)


def _caption(rows: pd.DataFrame, errors: dict, maps: dict, stars: dict[int, pd.Series]) -> str:
    published, scatter_out, a_out = (
        _cell(errors[name], table.stack().dropna()) for name, table in maps.items()
    )
    last = maps[list(maps)[-1]].stack().dropna()
    below = last[[sigma <= holds_up_to(stars[dim]) for sigma, dim in last.index]]
    inside = f"Where σ ≤ σ*, the right map has at most {below.max():.2g} %. " if len(below) else ""
    return (
        f"As published, the closed form is off direct Monte Carlo by {published}. On the same draws, so without their "
        f"scatter, what the model leaves out is, relative to direct, {scatter_out}. With a² taken out as well, relative "
        f"to Var q, it is {a_out}. {inside}Typical: the cell of median value. Cells: means over seeds of absolute "
        f"values in %; thick lines: σ* (increment, float64) of each D that has one. {without_star({f'D = {dim}': star for dim, star in stars.items()})}Trained weights, k = {rows['k'].iloc[0]}. "
        f"Brackets hold 95 % t-intervals over {rows['seed'].nunique()} seeds of weights and data order."
    )


def _cell(error: pd.DataFrame, cells: pd.Series) -> str:
    """The worst and the median cell, with intervals."""
    order = cells.sort_values()
    texts = []
    for (sigma, dim), where in ((order.index[-1], "worst"), (order.index[(len(order) - 1) // 2], "typical")):
        values = error.query("sigma == @sigma and dim == @dim")["error"]
        texts.append(f"{quoted(values, spread, 2)} % in the {where} cell (D = {dim}, σ = {sigma:.2g})")
    return " and ".join(texts)
