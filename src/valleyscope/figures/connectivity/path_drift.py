"""Drift along the path, measured and predicted from curvature and noise without a free parameter (B8)."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from valleyscope.figures.captions import listed, repeats
from valleyscope.figures.panels import CUT, cut, legend_above, points
from valleyscope.figures.style import COLOURS, Picture, new_figure
from valleyscope.readings.drift import NORMAL, SETTING, base_setting
from valleyscope.readings.intervals import interval_of, quoted, side

PREDICTORS = {  # of drift_slopes: column of the displacement, label, style
    "linear": ("predicted", "C from the linear recursion", {"color": COLOURS[0], "marker": "o"}),
    "followed": ("followed", "C seen in the simulation", {"color": COLOURS[1], "marker": "s"}),
    "leading": ("leading", "first order in ηλ", {"color": COLOURS[2], "marker": "^"}),
}
DESCENT = {"color": "0.5", "ls": ":", "lw": 1.2}
MEASURED = {"color": "k", "fmt": "o", "ms": 3, "lw": 0.8, "capsize": 1.5}
SLOPES = (-0.5, 2.5)  # drawn; an interval that reaches further is cut
MOST = 4  # panels of a row
FARTHEST = 3  # times the largest linear prediction: points of the others beyond are not drawn


def draw(drift: pd.DataFrame, predicted: pd.DataFrame, slopes: pd.DataFrame, *, slope: float) -> Picture:
    """By pair at the smallest learning rate; measured against predicted by rate; slopes; forces in size.

    `slope`: its distance from 1 within which theory and measurement agree.
    """
    base = base_setting(drift)[["batch", "steps"]].to_dict()
    drift, predicted, slopes = (at_base(table, base) for table in (drift, predicted, slopes))
    both = drift.merge(predicted, on=["pair", "position", *SETTING])
    figure, axes = new_figure(6.3)
    axes.remove()
    rates, pairs = sorted(both["learning_rate"].unique()), sorted(both["pair"].unique())
    shown_rates = rates[:MOST]
    rows = figure.add_gridspec(3)
    _draw_pairs(_row(figure, rows[0], len(pairs[:MOST])), both[both["learning_rate"] == rates[0]], pairs)
    for axes, rate in zip(_row(figure, rows[1], len(shown_rates)), shown_rates, strict=True):
        _draw_scatter(axes, both[both["learning_rate"] == rate], rate)
        if rate == rates[0]:
            axes.set_ylabel("measured")
    fitted, size = _row(figure, rows[2], 2)
    _draw_slopes(fitted, slopes, slope)
    forces = sizes(drift)
    _draw_sizes(size, forces)
    clause = CUT * cut([size])
    entries = {label: style | {"lw": 1.2, "ms": 3.5} for _, label, style in PREDICTORS.values()}
    measured = {"measured": {"color": "k", "marker": "o", "ls": "none", "ms": 3.5}}
    shrunk = shrinking(both[both["learning_rate"] == rates[0]])
    descent = "full-batch descent" + (f" / {shrunk:g}" if shrunk > 1 else "")
    legend_above(figure, measured | entries | {descent: DESCENT}, columns=3)
    setting = f"plain SGD, {base['steps']:g} steps, batch {base['batch']:g}"
    ends = repeats(both, "pair", "Means (sizes: geometric)", setting)
    caption = f"{_finding(slopes, forces, slope)} {clause}{ends}"
    return Picture(figure, caption, _numbers(both, slopes, forces, slope))


def at_base(table: pd.DataFrame, base: dict) -> pd.DataFrame:
    """The rows at the batch and steps from which the others are varied."""
    return table[(table[list(base)] == list(base.values())).all(axis=1)]


def _row(figure: Figure, place, count: int) -> list[plt.Axes]:
    """`count` panels of equal width."""
    return [figure.add_subplot(cell) for cell in place.subgridspec(1, count)]


def _power_of(values: pd.Series) -> int:
    """The power of ten in which to write them."""
    return int(np.floor(np.log10(values.abs().max() or 1)))


def _draw_pairs(panels: list[plt.Axes], rows: pd.DataFrame, pairs: list[str]) -> None:
    rate, power = rows["learning_rate"].iloc[0], _power_of(rows["entropic"])
    unit, shrunk = 10.0**-power, shrinking(rows)
    for axes, pair in zip(panels, pairs, strict=False):
        part = rows[rows["pair"] == pair].sort_values("position")
        for name in ("linear", "followed"):
            column, _, style = PREDICTORS[name]
            low, high = (unit * (part[column] + s * NORMAL * part[f"{column}_se"]) for s in (-1, 1))
            axes.plot(part["position"], unit * part[column], color=style["color"], lw=1)
            axes.fill_between(part["position"], low, high, color=style["color"], alpha=0.15, lw=0)
        axes.plot(part["position"], unit * part["descent"] / shrunk, **DESCENT)
        errors = 0 * part["position"], unit * NORMAL * part["displacement_se"]
        _crosses(axes, part["position"], unit * part["entropic"], *errors, color="k", marker="o", zorder=3)
        axes.axhline(0, color="0.6", lw=0.7, zorder=0)
        axes.set(xlabel="position on the path", xlim=(0, 1))
        axes.set_title(rf"Pair {pair}, $\eta$ = {rate:g}")
    panels[0].set_ylabel(f"displacement ($10^{{{power}}}$)")


def shrinking(rows: pd.DataFrame) -> float:
    """The power of ten by which descent is divided to be drawn beside the entropic displacement; at least 1."""
    return max(1.0, 10.0 ** (_power_of(rows["descent"]) - _power_of(rows["entropic"])))


def _draw_scatter(axes: plt.Axes, rows: pd.DataFrame, rate: float) -> None:
    power = _power_of(rows["entropic"])
    rows = rows.sort_values(["pair", "position"])
    unit = 10.0**-power
    for name in ("followed", "linear"):
        column, _, style = PREDICTORS[name]
        errors = [unit * NORMAL * rows[error] for error in (f"{column}_se", "displacement_se")]
        if name != "linear":
            errors = []  # the bars of both predictors would hide the points
        _crosses(axes, unit * rows[column], unit * rows["entropic"], *errors, **style)
    axes.axline((0, 0), slope=1, color="k", lw=0.7, zorder=0)
    reach = unit * 1.3 * FARTHEST * rows["predicted"].abs().max()
    low, high = axes.get_xlim()
    axes.set(xlabel="predicted", xlim=(max(low, -reach), min(high, reach)))
    axes.set_title(rf"$\eta$ = {rate:g} ($10^{{{power}}}$)")


def _crosses(axes: plt.Axes, x, y, x_error=None, y_error=None, *, color, **style) -> None:
    """Points with error bars, all bars one line with gaps: an `errorbar` makes a file several times as large."""
    axes.plot(x, y, color=color, **style, ls="none", ms=2.7, mew=0)
    if x_error is None:
        return
    gap = np.full(len(x), np.nan)
    for ends in ([x - x_error, x + x_error, gap, y, y, gap], [x, x, gap, y - y_error, y + y_error, gap]):
        ends = [np.stack(part, 1).ravel() for part in (ends[:3], ends[3:])]
        axes.plot(*ends, color=color, lw=0.7)


def _draw_slopes(axes: plt.Axes, slopes: pd.DataFrame, margin: float) -> None:
    axes.axhspan(1 - margin, 1 + margin, color="0.92", zorder=0)
    axes.axhline(1, color="0.6", lw=0.7, zorder=0)
    for name, factor in zip(PREDICTORS, (0.94, 1, 1.06), strict=True):
        style = PREDICTORS[name][2]
        rows = slopes[slopes["predictor"] == name]
        named = {"fmt": style["marker"], "color": style["color"], "ms": 3.5}
        points(axes, rows, "learning_rate", "slope", shift=lambda x, by=factor: x * by, **named)
    low, high = axes.get_ylim()
    axes.set(ylim=(max(low, SLOPES[0]), min(high, SLOPES[1])), ylabel="slope, measured on predicted")
    _rate_axis(axes, slopes)
    axes.set_title(f"Slope; shaded: 1 ± {margin:g}")


def sizes(drift: pd.DataFrame) -> pd.DataFrame:
    """RMS over positions of both displacements, the first without its own noise: pair, learning_rate, entropic, descent.

    NaN where the noise of the estimate exceeds what was seen.
    """
    squares = drift.assign(
        entropic=drift["entropic"] ** 2 - drift["displacement_se"] ** 2, descent=drift["descent"] ** 2
    )
    means = squares.groupby(["pair", "learning_rate"])[["entropic", "descent"]].mean()
    return means.where(means > 0).pow(0.5).reset_index()


def _draw_sizes(axes: plt.Axes, forces: pd.DataFrame) -> None:
    points(axes, forces, "learning_rate", "entropic", log=True, **MEASURED, ls="-", label="entropic")
    style = {
        "color": DESCENT["color"],
        "fmt": "D",
        "ms": 3,
        "ls": DESCENT["ls"],
        "label": "full-batch descent",
    }
    points(axes, forces, "learning_rate", "descent", log=True, **style)
    axes.set(yscale="log", ylabel="RMS over positions")
    _rate_axis(axes, forces)
    axes.set_title("Displacement in one period")
    axes.legend(loc="lower right")


def _rate_axis(axes: plt.Axes, table: pd.DataFrame) -> None:
    rates = sorted(table["learning_rate"].unique())
    axes.set(xscale="log", xlabel=r"learning rate $\eta$")
    axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
    axes.minorticks_off()


def agreement(slope: pd.Series, margin: float) -> str:
    """ "agrees" if the interval lies within 1 ± margin, "departs" if outside, else "undecided"."""
    if side(slope, 1 - margin) > 0 and side(slope, 1 + margin) < 0:
        return "agrees"
    if side(slope, 1 - margin) < 0 or side(slope, 1 + margin) > 0:
        return "departs"
    return "undecided"


def _by_verdict(slopes: pd.DataFrame, name: str, margin: float) -> str:
    """At which learning rates a predictor agrees, departs, is undecided."""
    rows = slopes[slopes["predictor"] == name].groupby("learning_rate")["slope"]
    verdicts = {rate: agreement(values, margin) for rate, values in rows}
    return ", ".join(
        f"{word} at {listed(rate for rate, verdict in verdicts.items() if verdict == word)}"
        for word in ("agrees", "departs", "undecided")
    )


def _finding(slopes: pd.DataFrame, forces: pd.DataFrame, margin: float) -> str:
    smallest = slopes["learning_rate"].min()
    slope = slopes[(slopes["learning_rate"] == smallest) & (slopes["predictor"] == "linear")]["slope"]
    within = f"{100 * margin:g} %"
    found = {
        "agrees": f"agrees with theory within {within}",
        "departs": f"departs from theory by more than {within}",
        "undecided": f"is not shown to agree with theory within {within}, nor to depart",
    }[agreement(slope, margin)]
    size = _over_descent(forces)[smallest]
    return (
        f"At η = {smallest:g} the entropic drift {found}: slope {quoted(slope)} of measured on predicted. Its size "
        f"is {quoted(size, log=True)} times full-batch descent's. By η: {_by_verdict(slopes, 'linear', margin)}. Bars, "
        f"bands: {NORMAL:g} standard errors."
    )


def _over_descent(forces: pd.DataFrame) -> dict[float, pd.Series]:
    """Entropic displacement over that of full-batch descent, in size: by learning rate."""
    ratio = forces["entropic"] / forces["descent"]
    return dict(list(ratio.groupby(forces["learning_rate"])))


def _numbers(both: pd.DataFrame, slopes: pd.DataFrame, forces: pd.DataFrame, margin: float) -> dict[str, str]:
    numbers = {
        f"learning rates at which the drift agrees with the prediction within 1 ± {margin:g}, {label}": _by_verdict(
            slopes, name, margin
        )
        for name, (_, label, _) in PREDICTORS.items()
    }
    for name, (_, label, _) in PREDICTORS.items():
        for rate, rows in slopes[slopes["predictor"] == name].groupby("learning_rate"):
            numbers[f"slope, η = {rate:g}, {label}"] = quoted(rows["slope"])
            numbers[f"χ² per degree of freedom, η = {rate:g}, {label}"] = quoted(rows["chi2_dof"])
    for rate, ratio in _over_descent(forces).items():
        numbers[
            f"entropic over full-batch displacement (RMS over positions, the estimate's noise taken out), η = {rate:g}"
        ] = quoted(ratio, log=True)
    numbers["displacement"] = (
        "along the path in lengths of weights; entropic: minus full-batch descent; slopes with errors in both; C seen "
        "in the same simulation tests the Taylor step only"
    )
    return numbers | _left_out(both, slopes)


def _left_out(both: pd.DataFrame, slopes: pd.DataFrame) -> dict[str, str]:
    """What is not drawn or cut."""
    told = {}
    farthest = FARTHEST * both["predicted"].abs().groupby(both["learning_rate"]).transform("max")
    beyond = int((both["followed"].abs() > farthest).sum())
    if beyond:
        told[f"predictions beyond {FARTHEST:g} times the largest linear one, not drawn"] = f"{beyond}"
    if both["pair"].nunique() > MOST or both["learning_rate"].nunique() > MOST:
        told["panels"] = f"of the first {MOST} pairs and learning rates only"
    reach = [interval_of(rows)[1:] for _, rows in slopes.groupby(["learning_rate", "predictor"])["slope"]]
    if (np.array(reach) < SLOPES[0]).any() or (np.array(reach) > SLOPES[1]).any():
        told["intervals of slopes are cut at"] = f"{SLOPES[0]:g} and {SLOPES[1]:g}"
    return told
