"""Up to which σ the quadratic model describes loss and increment, and where rounding hides the signal."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from valleyscope.figures.landscape.shared import (
    GEOMETRIC,
    PRECISIONS,
    WEIGHTS,
    intervals_over,
    mark_sigma_star,
    positive,
    quoted,
    shades,
)
from valleyscope.figures.style import log_interval, new_figure
from valleyscope.readings.landscape import at_largest_k, sigma_star

QUANTITIES = {"loss": "Loss $L_k$ (as published)", "increment": r"Increment $\delta_k$"}
LINES = GEOMETRIC | {"markersize": 3}


def draw(expansion: pd.DataFrame, validity: pd.DataFrame) -> tuple[Figure, str]:
    """Columns: loss, increment. Rows: error; error/signal; error/signal in float64 against σ√dim."""
    expansion, validity = at_largest_k(expansion), at_largest_k(validity)
    *_, dim, full = sorted(expansion["dim"].unique())
    names = {full: "full space", dim: f"top {dim}"}
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
    return figure, _caption(expansion, validity, names)


def _draw_collapse(panel: plt.Axes, rows: pd.DataFrame) -> None:
    palette = shades(rows["dim"])
    sns.lineplot(
        positive(rows.query("precision == 'float64'"), "ratio"), x="length", y="ratio", hue="dim", style="regime",
        palette=palette, hue_order=palette, style_order=WEIGHTS,
        ax=panel, **LINES,
    )  # fmt: skip
    panel.set(xlabel=r"$\sigma\sqrt{\mathrm{dim}}$")


def _caption(expansion: pd.DataFrame, validity: pd.DataFrame, names: dict[int, str]) -> str:
    largest = expansion["sigma"].max()
    found = "; ".join(
        f"{weights}, k = {k}: {_found(validity, names, weights, largest)}"
        for weights, k in expansion.groupby("regime", sort=False)["k"].first().items()
    )
    floors = "; ".join(
        f"{quantity} {precision} {' and '.join(_floor(validity, d, quantity, precision) for d in names)}"
        for quantity in QUANTITIES
        for precision in ("float32", "bfloat16")
    )
    return (
        "In float64 the quadratic model of the increment errs by at most "
        f"{validity['limit'].iloc[0]:g} of its signal up to σ*, in {' and '.join(names.values())}: {found}. Smallest σ within "
        f"that limit in the same spaces (trained): {floors}. Top and middle: trained weights; the model is always "
        f"that of float64. N = {max(names)}, σ from {expansion['sigma'].min():g} to {largest:g}. Geometric means and "
        f"{intervals_over(expansion)}"
    )


def _found(validity: pd.DataFrame, names: dict[int, str], regime: str, largest: float) -> str:
    stars = [sigma_star(validity, regime, d) for d in names]
    loss = [sigma_star(validity, regime, d, quantity="loss") for d in names]
    lengths = [star * np.sqrt(d) for star, d in zip(stars, names, strict=True)]
    # At the end of the grid σ* is only a lower limit, and its ratio says nothing.
    inside = [length.where(star < largest) for length, star in zip(lengths, stars, strict=True)]
    ratio = (inside[0] / inside[1]).dropna()
    verdict = "not comparable inside the grid"
    if len(ratio) > 1:
        low, high = log_interval(ratio)
        verdict = "not one number" if low > 1 or high < 1 else "one number as far as the interval tells"
        verdict += f" (ratio {quoted(ratio, digits=2)})"
    ends = [["≥ " * bool((star >= largest).any()) for star in some] for some in (stars, loss, stars)]
    texts = [
        " and ".join(
            mark + quoted(value, digits=2, nothing="none") for mark, value in zip(marks, values, strict=True)
        )
        for marks, values in zip(ends, (stars, loss, lengths), strict=True)
    ]
    return f"{texts[0]} (loss, as published: {texts[1]}), in σ*√dim {texts[2]}, {verdict}"


def _floor(validity: pd.DataFrame, dim: int, quantity: str, precision: str) -> str:
    """Where the stretch below the limit starts; it may start with the grid, or not exist."""
    rows = validity.query(
        "regime == 'trained' and dim == @dim and quantity == @quantity and precision == @precision"
    )
    held = rows[rows["sigma_star"].notna()]
    above = held["sigma_floor"].dropna()
    texts = [quoted(above, digits=2)] if len(above) else []
    for count, text in [(len(held) - len(above), "at the smallest"), (len(rows) - len(held), "nowhere")]:
        texts += [f"{text} ({count} of {len(rows)} seeds)"] if 0 < count < len(rows) else [text] * bool(count)
    return ", ".join(texts)
