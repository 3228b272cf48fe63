"""Do both Monte Carlo estimators converge to the closed form, with and without the a² that all three share?"""

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from valleyscope.figures.captions import repeats, worded
from valleyscope.figures.landscape.shared import WEIGHTS
from valleyscope.figures.panels import grid_axis, legend_above, points, summary
from valleyscope.figures.style import Picture, new_figure
from valleyscope.readings.intervals import measured, quoted
from valleyscope.readings.landscape import at_largest_k, nearest

LINES = [
    {"ls": "-", "marker": "o", "ms": 3.5, "lw": 1},
    {"ls": "--", "marker": "s", "ms": 3.5, "lw": 1, "mfc": "w"},
]


def draw(estimators: pd.DataFrame, *, fig5: dict[str, float]) -> Picture:
    """Against S. Left: both estimators over the closed form. Then δ² − q² with a² taken out, at two σ.

    fig5: dim and sigma of the published cell; the nearest of the grid is drawn.
    """
    rows = at_largest_k(estimators)
    dim, sigma = (nearest(rows[name], fig5[name]) for name in ("dim", "sigma"))
    rows = relative(rows[rows["dim"] == dim])
    cell, large = rows[rows["sigma"] == sigma], rows[rows["sigma"] == rows["sigma"].max()]
    figure, (left, middle, right) = new_figure(2.9, columns=3)
    _draw_lines(left, cell, ["direct", "quadratic"])
    left.set(ylabel="estimate / closed form − 1")
    left.set_title(rf"As published: $\sigma$ = {sigma:g}")
    for panel, part in ((middle, cell), (right, large)):
        _draw_lines(panel, part, ["over_variance", "over_moment"])
        _fit_to(panel, part)
        panel.set_title(rf"$a^2$ taken out: $\sigma$ = {part['sigma'].iloc[0]:g}")
    middle.set(ylabel=r"mean of $\delta^2 - q^2$, relative")
    _draw_legend(figure, list(rows["regime"].unique()))
    return Picture(figure, _caption(cell, large, dim), _numbers(cell, large, dim))


def relative(rows: pd.DataFrame) -> pd.DataFrame:
    """Every ratio within a seed; a denominator of 0 gives no value."""
    beyond = rows["gaussian_moment"] - rows["value"]
    return rows.assign(
        direct=rows["direct"] / rows["gaussian_moment"] - 1,
        quadratic=rows["quadratic"] / rows["gaussian_moment"] - 1,
        share=rows["value"] / rows["gaussian_moment"],
        over_variance=rows["difference"] / rows["variance"].where(rows["variance"] > 0),
        over_moment=rows["difference"] / beyond.where(beyond != 0),
        beyond=beyond,
    )


def _draw_lines(panel: plt.Axes, rows: pd.DataFrame, columns: list[str]) -> None:
    """Colour: weights. Filled and solid, hollow and dashed: the two columns. Side by side at each S."""
    shifts = iter(np.exp([-0.06, -0.02, 0.02, 0.06]))
    for weights, part in rows.groupby("regime", sort=False):
        for column, style in zip(columns, LINES, strict=True):
            style = style | {"fmt": "", "capsize": 2, "color": WEIGHTS[weights]}
            points(panel, part, "samples", column, shift=partial(np.multiply, next(shifts)), **style)
    panel.axhline(0, color="k", lw=0.7)
    grid_axis(panel, rows["samples"], "S (draws)")
    panel.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3), useMathText=True)


def _draw_legend(figure: Figure, kinds: list[str]) -> None:
    entries = {kind: {"color": WEIGHTS[kind]} for kind in kinds}
    meanings = ("left: direct; else: over Var $q$", "left: quadratic; else: over closed form $-\\,a^2$")
    for style, label in zip(LINES, meanings, strict=True):
        entries[label] = {"color": "0.3"} | style
    legend_above(figure, entries)


def _fit_to(panel: plt.Axes, rows: pd.DataFrame) -> None:
    """Limits from the main ratio: where closed form − a² is near 0 the other one leaves the panel."""
    reach = summary(rows, ["regime", "samples"], "over_variance")[["low", "high"]].abs().to_numpy()
    reach = reach[np.isfinite(reach) & (reach > 0)]
    if len(reach):
        panel.set_ylim(-1.2 * reach.max(), 1.2 * reach.max())


def _caption(cell: pd.DataFrame, large: pd.DataFrame, dim: int) -> str:
    """Of the first weights; the others are among the numbers."""
    first = cell["regime"].iloc[0]
    last, widest = (_last(part[part["regime"] == first]) for part in (cell, large))
    beyond = quoted(last["over_variance"], 2)
    if widest["sigma"].iloc[0] > last["sigma"].iloc[0]:
        beyond += f", and {quoted(widest['over_variance'], 2)} at σ = {widest['sigma'].iloc[0]:g}"
    scale = f"{first} weights, k = {last['k'].iloc[0]}, D = {dim}"
    return (
        f"Direct Monte Carlo (S = {cell['samples'].max()}, σ = {cell['sigma'].iloc[0]:g}) is off the closed form by "
        f"{quoted(last['direct'], 2)} of it; all of it but {quoted(1 - last['share'], 2)} is the a² that all estimators "
        f"share. With a² taken out, the quadratic model leaves out, of Var q, {beyond}. Dashed lines leave a panel where "
        f"their denominator nears 0. {repeats(cell, means='Means', scale=scale)}"
    )


def _numbers(cell: pd.DataFrame, large: pd.DataFrame, dim: int) -> dict[str, str]:
    """Each difference at the largest S, by weights; how often the closed form less a² is no denominator."""
    last, told = _last(cell), {}
    for regime, rows in last.groupby("regime", sort=False):
        widest = _last(large[large["regime"] == regime])
        at = f"{regime}, k = {rows['k'].iloc[0]}, S = {rows['samples'].iloc[0]}, D = {dim}"
        here = f"{at}, σ = {rows['sigma'].iloc[0]:g}"
        told[f"direct Monte Carlo over the closed form, less 1 ({here})"] = _against(rows["direct"])
        told[f"quadratic Monte Carlo over the closed form, less 1 ({here})"] = _against(rows["quadratic"])
        told[f"share of the closed form that is not a² ({here})"] = quoted(1 - rows["share"], 2)
        for part in (rows, widest):
            name = f"mean of δ² − q² over Var q ({at}, σ = {part['sigma'].iloc[0]:g})"
            told[name] = _against(part["over_variance"])
    negative = last.query("beyond <= 0")
    told[
        "runs in which the closed form less a², over which the dashed line is, is 0 or negative (middle)"
    ] = f"{len(negative)} of {len(last)}"
    return told | {"draws": "both estimators share them, and those at one S hold those at a smaller S"}


def _last(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["samples"] == rows["samples"].max()]


def _against(values: pd.Series) -> str:
    """The interval, and whether it leaves 0 out."""
    if len(measured(values)) < 2:
        return "unknown (fewer than two seeds)"
    return f"{quoted(values, 2)} ({worded(values, 'not 0', 'not 0', 'holds 0')})"
