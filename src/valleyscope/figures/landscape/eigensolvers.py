"""Hessian-vector products each eigensolver spends, and the residual it gets for them."""

import matplotlib.pyplot as plt
import pandas as pd

from valleyscope.figures.captions import repeats
from valleyscope.figures.panels import summary
from valleyscope.figures.style import COLOURS, Picture, new_figure
from valleyscope.readings.intervals import geometric_mean, quoted

REFERENCE = "Lanczos"
NAMES = {
    "Lanczos": "Lanczos",
    "eigsh": "eigsh (SciPy)",
    "power": "deflated power iteration",
    "published": "published procedure",
}
MARKERS = "osD^"


def draw(eigensolvers: pd.DataFrame) -> Picture:
    """Worst residual against products, a line a solver, a marker a setting."""
    k, count = eigensolvers["k"].max(), eigensolvers["count"].max()
    at_k = (eigensolvers["k"] == k) & (eigensolvers["count"] == count)
    table = eigensolvers[at_k & (eigensolvers["residual"] > 0) & (eigensolvers["products"] > 0)]
    figure, panel = new_figure(3.2)
    for solver, colour, marker in zip(NAMES, COLOURS, MARKERS, strict=False):
        _draw_solver(panel, table[table["solver"] == solver], colour, marker, NAMES[solver])
    tolerance = table.loc[table["solver"] == REFERENCE, "setting"].min()
    if tolerance > 0:
        panel.axhline(tolerance, color="0.5", ls="--", lw=0.8, label=f"tolerance {tolerance:g}")
    panel.set(xscale="log", yscale="log", xlabel=f"Hessian-vector products for {count} eigenpairs")
    panel.set_ylabel(r"worst $\|Hu-(u^\top Hu)u\|\,/\,\lambda_{\max}$")
    panel.set_title(f"Residual for the products spent, k = {k}")
    panel.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return Picture(figure, _caption(table, k, count), _numbers(table))


def _draw_solver(panel: plt.Axes, rows: pd.DataFrame, colour, marker: str, label: str) -> None:
    if rows.empty:
        return
    panel.plot(rows["products"], rows["residual"], marker, ms=2.5, alpha=0.4, color=colour, mew=0)
    products, residual = (summary(rows, "setting", column, log=True) for column in ("products", "residual"))
    products = products.sort_values("mean")
    residual = residual.loc[products.index]
    panel.errorbar(
        products["mean"], residual["mean"], xerr=_bars(products), yerr=_bars(residual), fmt=marker + "-", ms=4,
        lw=1, elinewidth=0.7, capsize=1.5, color=colour, label=label,
    )  # fmt: skip
    for setting, *point in zip(products.index, products["mean"], residual["mean"], strict=True):
        panel.annotate(f"{setting:g}", point, (4, 4), textcoords="offset points", size=6, color=colour)


def _bars(rows: pd.DataFrame) -> list[pd.Series]:
    """Distances from the geometric mean down and up to the ends of its interval."""
    return [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]


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
    compared = ", ".join(
        f"{quoted(rows['ratio'], log=True)} at {geometric_mean(rows['residual']):.1e} for {NAMES[solver]}"
        for solver, rows in _compared(table).items()
    )
    return (
        f"To the same worst residual (over λ_max) Hessian-vector products over those of Lanczos are {compared or 'not comparable'}. "
        "Numbers beside markers are settings: tolerances, for the published procedure steps a pair. Small points are "
        f"seeds. {repeats(table, scale=f'leading {count} eigenpairs of H^(k) at trained weights, k = {k}')}"
    )


def _compared(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """`product_ratios` of each solver that can be compared with Lanczos."""
    ratios = {solver: product_ratios(table, solver) for solver in NAMES if solver != REFERENCE}
    return {solver: rows for solver, rows in ratios.items() if len(rows)}


def _numbers(table: pd.DataFrame) -> dict[str, str]:
    """Products over those of Lanczos, and each solver at its best setting."""
    told = {}
    for solver, rows in _compared(table).items():
        told[f"{NAMES[solver]}: products over those of Lanczos to the same residual"] = quoted(
            rows["ratio"], log=True
        )
        told[f"{NAMES[solver]}: that residual, the larger of the two best in a seed, over λ_max"] = (
            f"{geometric_mean(rows['residual']):.1e}"
        )
    settings = best(table)
    for solver in NAMES:
        if solver in settings:
            rows = table[(table["solver"] == solver) & (table["setting"] == settings[solver])]
            at = f"{NAMES[solver]} at its best setting, {settings[solver]:g}"
            told[f"{at}: worst residual over λ_max"] = quoted(rows["residual"], 1, log=True, form="e")
            told[f"{at}: products"] = quoted(rows["products"], 0, log=True, form="f")
    return told
