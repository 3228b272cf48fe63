"""Do both Monte Carlo estimators converge to the closed form, with and without the a² that all three share?"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from valleyscope.figures.landscape.shared import WEIGHTS, grid_axis, intervals_over, legend_above
from valleyscope.figures.style import interval, new_figure, spread
from valleyscope.readings.intervals import student_interval
from valleyscope.readings.landscape import at_largest_k, nearest

PUBLISHED = {"dim": 10, "sigma": 1e-3}  # Fig. 5 of the paper
LINES = [
    {"ls": "-", "marker": "o", "ms": 3.5, "lw": 1, "capsize": 2},
    {"ls": "--", "marker": "s", "ms": 3.5, "lw": 1, "capsize": 2, "mfc": "w"},
]


def draw(estimators: pd.DataFrame) -> tuple[Figure, str]:
    """Against S. Left: both estimators over the closed form. Then δ² − q² with a² taken out, at two σ."""
    rows = at_largest_k(estimators)
    dim, sigma = (nearest(rows[name], value) for name, value in PUBLISHED.items())
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
    return figure, _caption(cell, large, dim)


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
            groups = part.groupby("samples")[column]
            mean = groups.mean()
            low, high = np.array([interval(values.dropna()) for _, values in groups]).T
            errors = [mean - low, high - mean]
            panel.errorbar(mean.index * next(shifts), mean, errors, color=WEIGHTS[weights], **style)
    panel.axhline(0, color="k", lw=0.7)
    grid_axis(panel, rows["samples"], "S (draws)")
    panel.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3), useMathText=True)


def _draw_legend(figure: Figure, kinds: list[str]) -> None:
    entries = {kind: {"color": WEIGHTS[kind]} for kind in kinds}
    meanings = ("left: direct; else: over Var $q$", "left: quadratic; else: over closed form $-\\,a^2$")
    for style, label in zip(LINES, meanings, strict=True):
        entries[label] = {"color": "0.3"} | {
            name: value for name, value in style.items() if name != "capsize"
        }
    legend_above(figure, entries)


def _fit_to(panel: plt.Axes, rows: pd.DataFrame) -> None:
    """Limits from the main ratio: where closed form − a² is near 0 the other one leaves the panel."""
    groups = rows.groupby(["regime", "samples"])["over_variance"]
    reach = np.abs([interval(values.dropna()) for _, values in groups])
    reach = reach[np.isfinite(reach) & (reach > 0)]
    if len(reach):
        panel.set_ylim(-1.2 * reach.max(), 1.2 * reach.max())


def _caption(cell: pd.DataFrame, large: pd.DataFrame, dim: int) -> str:
    samples = cell["samples"].max()
    last = cell[cell["samples"] == samples]
    found = "; ".join(
        f"direct {_against(rows['direct'])} and quadratic {_against(rows['quadratic'])}, and of the closed "
        f"form all but {spread(1 - rows['share'], 2)} is a² ({weights}, k = {rows['k'].iloc[0]})"
        for weights, rows in last.groupby("regime", sort=False)
    )
    # One number of a cell where the two σ coincide.
    beyond_a = "; ".join(
        f"{_against(rows['over_variance'])} ({weights}, σ = {sigma:g})"
        for (sigma, weights), rows in pd.concat([last, large.query("samples == @samples")])
        .drop_duplicates(["regime", "seed", "sigma"])
        .groupby(["sigma", "regime"], sort=False)
    )
    negative = last.query("beyond <= 0")
    return (
        f"At S = {samples}, D = {dim} and σ = {cell['sigma'].iloc[0]:g} the estimates are off the closed form by, "
        f"relative to it, {found}. With a² taken out, the mean of δ² − q² over the same draws is, over Var q, "
        f"{beyond_a}. Left: both estimators share their draws, and those at one S hold those at a smaller S. Dashed, "
        f"middle and right: the same difference over the closed form less a², which is 0 or negative in {len(negative)} "
        f"of {len(last)} runs (middle) and where it is near 0 leaves the panel. Means and {intervals_over(cell)}"
    )


def _against(values: pd.Series) -> str:
    """The interval, and whether it leaves 0 out."""
    values = values.dropna()
    if len(values) < 2:
        return "unknown (fewer than two seeds)"
    _, low, high = student_interval(values)
    return f"{spread(values, 2)} ({'holds 0' if low <= 0 <= high else 'not 0'})"
