"""Up to which σ the quadratic model describes loss and increment, and where rounding hides the signal."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from valleyscope.figures.captions import repeats, worded
from valleyscope.figures.landscape.shared import FULL, GEOMETRIC, PRECISIONS, WEIGHTS, mark_sigma_star
from valleyscope.figures.panels import positive, shades
from valleyscope.figures.style import Picture, new_figure
from valleyscope.readings.intervals import measured, quoted
from valleyscope.readings.landscape import at_largest_k, sigma_star

QUANTITIES = {"loss": "Loss $L_k$ (as published)", "increment": r"Increment $\delta_k$"}
LOWER = ("float32", "bfloat16")
LINES = GEOMETRIC | {"markersize": 3}


def draw(expansion: pd.DataFrame, validity: pd.DataFrame) -> Picture:
    """Columns: loss, increment. Rows: error; error/signal; error/signal in float64 against σ√dim."""
    expansion, validity = at_largest_k(expansion), at_largest_k(validity)
    *_, dim, full = sorted(expansion["dim"].unique())
    names = {full: FULL, dim: f"top {dim}"}
    table = expansion.assign(
        ratio=expansion["error"] / expansion["signal"],
        length=expansion["sigma"] * np.sqrt(expansion["dim"]),
        probe=expansion["dim"].map(names),
    )
    figure, axes = new_figure(4.4, rows=3, columns=2, sharey="row")
    for (quantity, title), column in zip(QUANTITIES.items(), axes.T, strict=True):
        rows = table.query("quantity == @quantity")
        shown = rows.query("regime == 'trained' and dim in @names")
        stars = {
            names[d].removesuffix(" space"): sigma_star(validity, "trained", d, quantity=quantity)
            for d in names
        }
        for panel, y in zip(column, ["error", "ratio"], strict=False):
            sns.lineplot(
                positive(shown, y), x="sigma", y=y, hue="precision", palette=PRECISIONS, style="probe",
                style_order=names.values(), hue_order=PRECISIONS, ax=panel, **LINES,
            )  # fmt: skip
            panel.set(xlabel=r"$\sigma$" if y == "ratio" else "")
            mark_sigma_star(panel, stars)
        column[0].set_title(title)
        _draw_collapse(column[2], rows)
        for panel in column[1:]:
            panel.axhline(validity["limit"].iloc[0], color="k", lw=0.7)
    for panel in axes.flat:  # not before: on a logarithmic axis seaborn would average logarithms itself
        panel.set(xscale="log", yscale="log")
        panel.minorticks_off()
    axes[0][0].set_ylabel("RMS error (nats)")
    axes[1][0].set_ylabel("RMS error / RMS signal\n(line: limit)")
    axes[2][0].set_ylabel("the same, float64")
    for row in axes:
        row[0].get_legend().remove()
        sns.move_legend(row[1], "upper left", bbox_to_anchor=(1, 1.05))
    axes[1][1].get_legend().remove()
    return Picture(figure, _caption(expansion, validity, names), _numbers(expansion, validity, names))


def _draw_collapse(panel: plt.Axes, rows: pd.DataFrame) -> None:
    palette = shades(rows["dim"])
    sns.lineplot(
        positive(rows.query("precision == 'float64'"), "ratio").rename(columns={"regime": "weights"}),
        x="length", y="ratio", hue="dim", style="weights", palette=palette, hue_order=palette, style_order=WEIGHTS,
        ax=panel, **LINES,
    )  # fmt: skip
    panel.set(xlabel=r"$\sigma\sqrt{\mathrm{dim}}$")


def _caption(expansion: pd.DataFrame, validity: pd.DataFrame, names: dict[int, str]) -> str:
    grid = expansion["sigma"]
    full, top = (_star(sigma_star(validity, "trained", dim), grid) for dim in names)
    floors = [
        f"{_floor(validity, max(names), 'increment', precision, grid)} ({precision})" for precision in LOWER
    ]
    k = expansion.loc[expansion["regime"] == "trained", "k"].iloc[0]
    return (
        f"At trained weights the float64 quadratic model errs by at most {validity['limit'].iloc[0]:g} of the increment's "
        f"signal (line) up to σ* = {full} in full space and {top} in the top-{min(names)} eigenspace; σ*√dim is "
        f"{_alike(_scaled_ratio(validity, 'trained', names, grid))}. Smallest such σ under rounding, full space: "
        f"{', '.join(floors)}. {repeats(expansion, scale=f'k = {k}, N = {max(names)}')}"
    )


def _numbers(expansion: pd.DataFrame, validity: pd.DataFrame, names: dict[int, str]) -> dict[str, str]:
    """σ* of both quantities, with √dim and their ratio, of each regime; where rounding lets the model begin."""
    grid = expansion["sigma"]
    told = {"σ": f"{grid.min():g} to {grid.max():g} (≥ and ≤: a seed's value is the end of these)"}
    for regime, k in expansion.groupby("regime", sort=False)["k"].first().items():
        at = f"{regime}, k = {k}"
        for quantity in ("increment", "loss"):
            for dim, name in names.items():
                star = sigma_star(validity, regime, dim, quantity=quantity)
                told[f"σ* of the {quantity}, {name} ({at})"] = _star(star, grid)
                told[f"σ*√dim of the {quantity}, {name} ({at})"] = _star(star, grid, np.sqrt(dim))
        ratio = _scaled_ratio(validity, regime, names, grid)
        shown = f", {quoted(ratio, 2, log=True)}" if ratio.notna().any() else ""
        told[f"σ*√dim of the increment, {' over '.join(names.values())} ({at})"] = _alike(ratio) + shown
    for quantity in QUANTITIES:
        for precision in LOWER:
            for dim, name in names.items():
                floor = _floor(validity, dim, quantity, precision, grid)
                told[f"smallest σ within the limit, {quantity}, {precision}, {name} (trained)"] = floor
    return told


def _star(star: pd.Series, grid: pd.Series, scale: float = 1.0) -> str:
    """σ* times `scale`; only a lower limit where a seed's is the end of the grid."""
    mark = "≥ " if (star >= grid.max()).any() else ""
    return mark + quoted(scale * star, 2, log=True, nothing="none")


def _scaled_ratio(validity: pd.DataFrame, regime: str, names: dict[int, str], grid: pd.Series) -> pd.Series:
    """σ*√dim of full space over that of the subspace, by seed.

    At the end of the grid σ* is only a lower limit, and its ratio says nothing: NaN.
    """
    full, top = (sigma_star(validity, regime, dim) * np.sqrt(dim) for dim in names)
    ends = [grid.max() * np.sqrt(dim) for dim in names]
    return full.where(full < ends[0]) / top.where(top < ends[1])


def _alike(ratio: pd.Series) -> str:
    if len(measured(ratio, log=True)) < 2:
        return "not comparable inside the grid"
    differ, alike = "not one number", "one number as far as the interval tells"
    return worded(ratio, differ, differ, alike, reference=1, log=True)


def _floor(validity: pd.DataFrame, dim: int, quantity: str, precision: str, grid: pd.Series) -> str:
    """Where the stretch below the limit starts; only an upper limit where a seed's starts with the grid."""
    where = {"quantity": quantity, "precision": precision}
    holds = sigma_star(validity, "trained", dim, **where).notna()
    above = sigma_star(validity, "trained", dim, column="sigma_floor", **where)
    mark = "≤ " if (holds & above.isna()).any() else ""
    return mark + quoted(above.fillna(grid.min()).where(holds), 2, log=True, nothing="nowhere")
