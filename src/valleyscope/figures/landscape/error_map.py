"""The closed form against direct Monte Carlo over (D, σ): as published, without scatter, without a²."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import LogNorm

from valleyscope.figures.captions import repeats
from valleyscope.figures.landscape.shared import star_numbers
from valleyscope.figures.style import COLOURS, Picture, new_figure
from valleyscope.readings.intervals import geometric_mean, quoted
from valleyscope.readings.landscape import at_largest_k, holds_up_to, nearest, sigma_star


def draw(estimators: pd.DataFrame, validity: pd.DataFrame, *, fig6: dict[str, float]) -> Picture:
    """Three heat maps in %, means over seeds; cells above the thick line have σ > σ*.

    fig6: samples and sigma, draws and largest σ of the published map; the nearest of the grid are taken.
    """
    rows = at_largest_k(estimators).query("regime == 'trained'")
    draws = nearest(rows["samples"], fig6["samples"])
    errors = relative_errors(rows, draws)
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
    found = [_cells(errors[name], table) for name, table in maps.items()]
    first, largest = next(iter(maps)), nearest(rows["sigma"], fig6["sigma"])
    (published, where), _ = _cells(errors[first], maps[first].loc[:largest])
    inside = _inside(maps, stars)
    told = _numbers([draws, rows["samples"].max()], found)
    told[f"left map, up to the published σ: worst cell ({where})"] = published
    if inside:
        told["right map, where σ ≤ σ*: worst cell"] = inside
    told |= star_numbers({f"D = {dim}": star for dim, star in stars.items()})
    return Picture(figure, _caption(rows, found[-1], f"σ ≤ {largest:g}", published, inside), told)


def relative_errors(rows: pd.DataFrame, draws: int) -> dict[str, pd.DataFrame]:
    """The three errors in %, one a seed and cell, by the title of their map; `draws`: S of the first."""
    most = rows["samples"].max()
    few, many = rows[rows["samples"] == draws], rows[rows["samples"] == most]
    off, left = few["gaussian_moment"] - few["direct"], many["difference"]
    parts = {
        "|closed form − direct| / direct" + f"\nS = {draws}, as published": (few, off / few["direct"]),
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


def _cells(error: pd.DataFrame, table: pd.DataFrame) -> list[tuple[str, str]]:
    """Of the worst and the median cell of a map: its error with the interval, and where it is."""
    order = table.stack().dropna().sort_values()
    found = []
    for sigma, dim in (order.index[-1], order.index[(len(order) - 1) // 2]):
        values = error.query("sigma == @sigma and dim == @dim")["error"]
        found.append((f"{quoted(values, 2)} %", f"D = {dim}, σ = {sigma:.2g}"))
    return found


def _inside(maps: dict, stars: dict[int, pd.Series]) -> str:
    """The largest cell of the last map whose σ is valid."""
    last = list(maps.values())[-1].stack().dropna()
    below = last[[sigma <= holds_up_to(stars[dim]) for sigma, dim in last.index]]
    return f"{below.max():.2g} %" if len(below) else ""


def _caption(
    rows: pd.DataFrame, beyond: list[tuple[str, str]], grid: str, published: str, inside: str
) -> str:
    """beyond: worst and median cell of the last map; published: the worst of the first, in the published range."""
    (worst, where), (typical, _) = beyond
    limit = f" and at most {inside} up to σ* (thick lines)" if inside else ""
    scale = f"trained weights, k = {rows['k'].iloc[0]}"
    return (
        f"With a² taken out (right), the quadratic model leaves out {worst} of Var q at worst ({where}), {typical} in the "
        f"median cell{limit}. With a² in, as published (left, {grid}), the closed form is off direct Monte Carlo by "
        f"at most {published}. {repeats(rows, means='Means of absolute values', scale=scale)}"
    )


def _numbers(draws: list[int], found: list[list[tuple[str, str]]]) -> dict[str, str]:
    """Worst and median cell of each map; `draws`: S of the first and of the others."""
    names = (
        f"closed form off direct Monte Carlo, S = {draws[0]} as published, scatter of the draws included",
        f"left out by the quadratic model, same S = {draws[1]} draws, of direct Monte Carlo",
        f"left out by the quadratic model, same S = {draws[1]} draws, of Var q",
    )
    return {
        f"{name}: {kind} cell ({where})": value
        for name, cells in zip(names, found, strict=True)
        for kind, (value, where) in zip(("worst", "median"), cells, strict=True)
    }
