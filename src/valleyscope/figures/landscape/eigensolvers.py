"""Hessian-vector products each eigensolver spends, and the residual it gets for them."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from valleyscope.figures.landscape.shared import intervals_over, quoted
from valleyscope.figures.style import COLOURS, log_interval, new_figure
from valleyscope.readings.intervals import geometric_mean

REFERENCE = "Lanczos"
TOLERANCE = 1e-3  # what the other stages ask of it
NAMES = {
    "Lanczos": "Lanczos",
    "eigsh": "eigsh (SciPy)",
    "power": "deflated power iteration",
    "published": "published procedure",
}
MARKERS = "osD^"


def draw(eigensolvers: pd.DataFrame) -> tuple[Figure, str]:
    """Worst residual against products, a line a solver, a marker a setting."""
    k, count = eigensolvers["k"].max(), eigensolvers["count"].max()
    at_k = (eigensolvers["k"] == k) & (eigensolvers["count"] == count)
    table = eigensolvers[at_k & (eigensolvers["residual"] > 0) & (eigensolvers["products"] > 0)]
    figure, panel = new_figure(3.2)
    for solver, colour, marker in zip(NAMES, COLOURS, MARKERS, strict=False):
        _draw_solver(panel, table[table["solver"] == solver], colour, marker, NAMES[solver])
    settings = table.loc[table["solver"] == REFERENCE, "setting"]
    if (settings == TOLERANCE).any():
        panel.axhline(TOLERANCE, color="0.5", ls="--", lw=0.8, label=f"tolerance {TOLERANCE:g}")
    panel.set(xscale="log", yscale="log", xlabel=f"Hessian-vector products for {count} eigenpairs")
    panel.set_ylabel(r"worst $\|Hu-(u^\top Hu)u\|\,/\,\lambda_{\max}$")
    panel.set_title(f"Residual for the products spent, k = {k}")
    panel.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure, _caption(table, k, count)


def _draw_solver(panel: plt.Axes, rows: pd.DataFrame, colour, marker: str, label: str) -> None:
    if rows.empty:
        return
    panel.plot(rows["products"], rows["residual"], marker, ms=2.5, alpha=0.4, color=colour, mew=0)
    means = rows.groupby("setting")[["products", "residual"]].agg(geometric_mean).sort_values("products")
    panel.errorbar(
        means["products"], means["residual"], xerr=_bars(rows, means, "products"),
        yerr=_bars(rows, means, "residual"), fmt=marker + "-", ms=4, lw=1, elinewidth=0.7, capsize=1.5,
        color=colour, label=label,
    )  # fmt: skip
    for setting, point in means.iterrows():
        panel.annotate(f"{setting:g}", tuple(point), (4, 4), textcoords="offset points", size=6, color=colour)


def _bars(rows: pd.DataFrame, means: pd.DataFrame, column: str) -> np.ndarray:
    """Distances (2, settings) from the geometric mean down and up to the ends of its interval."""
    by_setting = rows.groupby("setting")[column]
    low, high = np.array([log_interval(by_setting.get_group(setting)) for setting in means.index]).T
    return np.array([means[column] - low, high - means[column]])


def best(table: pd.DataFrame) -> pd.Series:
    """The setting of each solver with the smallest residual (geometric mean over seeds)."""
    means = table.groupby(["solver", "setting"])["residual"].agg(geometric_mean).reset_index("setting")
    return means.sort_values("residual").groupby(level="solver")["setting"].first()


def product_ratios(table: pd.DataFrame, solver: str) -> pd.DataFrame:
    """Products of `solver` over those of Lanczos to reach the same residual: a row a seed.

    The residual is the larger of the two best ones of that seed; of each solver the cheapest setting
    that reaches it counts, so nothing is interpolated.
    """
    rows = []
    for _, runs in table[table["solver"].isin([solver, REFERENCE])].groupby("seed"):
        smallest = runs.groupby("solver")["residual"].min()
        if len(smallest) == 2:
            reached = runs[runs["residual"] <= smallest.max()]
            cheapest = reached.groupby("solver")["products"].min()
            rows.append((cheapest[solver] / cheapest[REFERENCE], smallest.max()))
    return pd.DataFrame(rows, columns=["ratio", "residual"], dtype=float)


def _caption(table: pd.DataFrame, k: int, count: int) -> str:
    present = [solver for solver in NAMES if solver in set(table["solver"])]
    ratios = {solver: product_ratios(table, solver) for solver in present if solver != REFERENCE}
    compared = [
        f"{NAMES[solver]} {quoted(rows['ratio'])} (at {geometric_mean(rows['residual']):.1e})"
        for solver, rows in ratios.items()
        if len(rows)
    ]
    settings = best(table)
    bests = []
    for solver in present:
        rows = table[(table["solver"] == solver) & (table["setting"] == settings[solver])]
        bests.append(
            f"{NAMES[solver]} ({settings[solver]:g}) {_range(rows['residual'], '.1e')} for {_range(rows['products'], ',.0f')} products"
        )
    return (
        f"Products over those of Lanczos, to the same worst residual (relative to λ_max): {', '.join(compared)}. Within a "
        "seed that residual is the larger of the two best ones, and of each solver the cheapest setting that reaches it "
        f"counts. Each solver at its best setting (in parentheses), worst residual: {'; '.join(bests)}. Numbers beside the markers are settings: tolerances, "
        f"for the published procedure steps a pair. Leading {count} eigenpairs of H^(k) at trained weights, k = {k}. "
        "Small points are seeds, large ones geometric means with "
        f"{intervals_over(table)}"
    )


def _range(values: pd.Series, form: str) -> str:
    """Geometric mean and its interval in the given format."""
    low, high = log_interval(values)
    return f"{geometric_mean(values):{form}} [{low:{form}}, {high:{form}}]"
