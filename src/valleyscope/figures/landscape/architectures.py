"""Paper A's measurements on every architecture, and the rise of curvature on paths of two of them (A11)."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from valleyscope.figures.connectivity.shared import plain_ticks
from valleyscope.figures.repeats import GEOMETRIC, MEAN, band, quoted, summary
from valleyscope.figures.style import COLOURS, log_spread, new_figure
from valleyscope.readings.intervals import geometric_mean
from valleyscope.readings.paths import barrier, middle_over_ends, over_ends

FLOOR = 1e-7  # smallest distance of a ratio from 1 that is drawn: float32 has no more digits


def label(name: str) -> str:
    """An architecture as the figure calls it."""
    return name.replace("_", " ")


def draw(
    table: pd.DataFrame, costs: pd.DataFrame, losses: pd.DataFrame, curvature: pd.DataFrame
) -> tuple[Figure, str]:
    """A row an architecture and a panel a quantity; below, Tr H and loss along the paths."""
    names = list(dict.fromkeys(table["architecture"]))
    figure, _ = new_figure(5.2)
    figure.clear()
    upper, lower = figure.subfigures(2, 1, height_ratios=[1.7, 1])
    rate, ratio, spread, star, cost = upper.subplots(1, 5, sharey=True)
    table = table.assign(place=table["architecture"].map(names.index))
    costs = costs.assign(place=costs["architecture"].map(names.index))
    for column in ("ratio_off", "shared_off"):
        table[column] = table[column].clip(lower=FLOOR)
    control = {"color": "0.55", "mfc": "w"}
    _dots(rate, table, "rate_fixed", MEAN, 0.2, **control)
    _dots(rate, table, "rate_delta2", MEAN, 0, color=COLOURS[0])
    rate.axvline(0, color="0.6", lw=0.7, zorder=0)
    rate.set(xlabel="$\\gamma$")
    rate.set_title("Rate: $\\Delta_2\\propto k^{-2+\\gamma}$")
    _dots(ratio, table, "shared_off", GEOMETRIC, 0.2, **control)
    _dots(ratio, table, "ratio_off", GEOMETRIC, 0, color=COLOURS[0])
    ratio.set(xscale="log", xlabel="off 1 by, worst k")
    ratio.set_title("$\\Delta_2^{(D)}/\\Delta_2$")
    _dots(spread, table, "gradient_share", GEOMETRIC, 0.2, **control)
    _dots(spread, table, "spread_ratio", GEOMETRIC, 0, color=COLOURS[0])
    spread.axvline(1, color="0.6", lw=0.7, zorder=0)
    spread.set(xscale="log", xlabel="of full space")
    spread.set_title("Spread, share")
    _dots(star, table, "sigma_star", GEOMETRIC, 0, color=COLOURS[0])
    star.set(xscale="log", xlabel="$\\sigma^*$")
    star.set_title("Valid radius")
    _dots(cost, costs, "gradients", GEOMETRIC, 0, color=COLOURS[0])
    cost.set(xscale="log", xlabel="gradients of $L_k$")
    cost.set_title("Eigenspace")
    plain_ticks(star.xaxis)
    plain_ticks(cost.xaxis)
    rate.set_yticks(range(len(names)), [label(name) for name in names])
    rate.invert_yaxis()
    _draw_paths(lower, losses, curvature)
    return figure, _caption(table, costs, losses, curvature)


def _dots(axes: plt.Axes, table: pd.DataFrame, column: str, statistics, shift: float, **style) -> None:
    """Mean and interval of a column by architecture, horizontally."""
    rows = summary(table, "place", column, statistics)
    if len(rows):
        errors = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]
        options = {"fmt": "o", "ms": 3.5, "capsize": 1.5, "lw": 1} | style
        axes.errorbar(rows["mean"], rows.index.to_numpy(float) + shift, xerr=errors, **options)


def _draw_paths(figure, losses: pd.DataFrame, curvature: pd.DataFrame) -> None:
    trace, loss = figure.subplots(1, 2)
    for index, name in enumerate(dict.fromkeys(curvature["architecture"])):
        style = {
            "color": COLOURS[index + 1],
            "ls": ("-", "--", ":")[index % 3],
            "label": label(name),
            "lw": 1.2,
        }
        bent = curvature[curvature["architecture"] == name]
        band(trace, bent.assign(relative=over_ends(bent, "trace")), "position", "relative", **style)
        high = losses[losses["architecture"] == name]
        band(loss, high.assign(relative=over_ends(high, "train_loss")), "position", "relative", **style)
    for axes, title in ((trace, "Tr H on a path, over its ends"), (loss, "Training loss, over its ends")):
        axes.axhline(1, color="0.6", lw=0.7, zorder=0)
        axes.set(xlabel="position on the path", xlim=(0, 1))
        axes.set_title(title)
    trace.legend()


def _extremes(table: pd.DataFrame, column: str, mean=np.mean) -> str:
    """ "lowest (architecture) to highest (architecture)" of the means over seeds."""
    if table.empty:
        return "nothing to nothing"
    means = table.groupby("architecture", sort=False)[column].agg(mean)
    low, high = means.idxmin(), means.idxmax()
    return f"{means[low]:.3g} ({label(low)}) to {means[high]:.3g} ({label(high)})"


def _caption(table: pd.DataFrame, costs: pd.DataFrame, losses: pd.DataFrame, curvature: pd.DataFrame) -> str:
    paths = []
    for name, bent in curvature.groupby("architecture", sort=False):
        rise = middle_over_ends(bent, "trace")
        top = barrier(losses[losses["architecture"] == name])
        paths.append(
            f"{label(name)} {quoted(rise, log_spread)} (highest loss over the higher end's {top.mean():.3g})"
        )
    means = table.groupby("architecture", sort=False)[["spread_ratio", "ratio_off"]].mean()
    alone = "a² alone over Δ₂ in grey"
    if means["spread_ratio"].max() < 0.5 and means["ratio_off"].median() < 0.5:
        alone = "so a ratio Δ₂^(D)/Δ₂ near 1 is the shared a² (grey: a² alone over Δ₂)"
    none = int((table["sigma_star"] == 0).sum())
    seeds, pairs = table["seed"].nunique(), curvature["pair"].nunique()
    fixed = table["rate_fixed"].abs().max()
    return (
        f"Over {table['architecture'].nunique()} architectures γ of the expected next sample runs from "
        f"{_extremes(table, 'rate_delta2')}; with untrained weights, the same for all k (grey), ∣γ∣ is at most {fixed:.2g}. "
        f"The subspace's spread ratio runs from {_extremes(table, 'spread_ratio', geometric_mean)} and the captured "
        f"share (grey) from {_extremes(table, 'gradient_share', geometric_mean)}, {alone}. σ* runs from "
        f"{_extremes(table[table['sigma_star'] > 0], 'sigma_star', geometric_mean)} (none in {none} of {len(table)} runs), the eigenspace's cost from {_extremes(costs, 'gradients', geometric_mean)} "
        f"gradients. Below: middle over ends of Tr H on AutoNEB's paths between minima with weight decay, "
        f"{'; '.join(paths)}. Mean (logarithmic axes: geometric) and 95 % t-interval over {seeds} seeds of weights and "
        f"data order with one held-out set, {pairs} pairs of minima; the eigenspace is timed beside another job; N from {table['parameters'].min():,} to {table['parameters'].max():,}."
    )
