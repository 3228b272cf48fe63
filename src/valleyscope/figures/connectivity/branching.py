"""Barriers between children of one run against the step at which they branched (Paper B, Fig. 4; B7, B11)."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from valleyscope.figures.connectivity.shared import CUT
from valleyscope.figures.repeats import GEOMETRIC, band, cut, listed, points, quoted, shown
from valleyscope.figures.style import COLOURS, log_spread, new_figure
from valleyscope.readings.branching import TOLERANCES, line_barriers, rises, vanishing_times

MIDDLE = 0.1  # the tolerance whose times the caption tells
QUANTITIES = {
    "loss": ("loss", {"color": COLOURS[0], "fmt": "o"}),
    "curvature": (r"$\mathrm{Tr}\,H$", {"color": COLOURS[3], "fmt": "s"}),
}
LINES = {
    "checkpoint": ("checkpoint to end", {"color": COLOURS[2], "fmt": "o"}),
    "children": ("child to child", {"color": "k", "fmt": "D", "ms": 3, "mfc": "w"}),
}
CLEAR = 2.0  # standard errors from which a curvature barrier is told from noise


def draw(children: pd.DataFrame, children_curvature: pd.DataFrame) -> tuple[Figure, str]:
    """Barriers against branch step; vanishing times against tolerance; lines from checkpoints to the end."""
    barriers = line_barriers(children, children_curvature)
    times, ratios = vanishing_times(barriers, TOLERANCES), rises(children)
    figure, ((height, when), (profile, rise)) = new_figure(4.9, rows=2, columns=2)
    _draw_barriers(height, barriers)
    _draw_times(when, times, barriers["branch"].unique())
    _draw_profiles(profile, children.query("line == 'checkpoint'"))
    _draw_rises(rise, ratios)
    trimmed = [cut([axes]) for axes in (height, profile, rise)]
    return figure, _caption(barriers, times, ratios, children, CUT * any(trimmed))


def _branch_axis(axes: plt.Axes, branches) -> None:
    """Linear up to the first branch after 0, logarithmic beyond."""
    branches = sorted(branches)
    first = next((b for b in branches if b > 0), 1)
    axes.set_xscale("symlog", linthresh=first, linscale=0.5)
    axes.set_xticks(branches, [f"{b:g}" for b in branches])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", which="minor", bottom=False)
    axes.set_xlabel("branch step")


def _draw_barriers(axes: plt.Axes, barriers: pd.DataFrame) -> None:
    axes.set_yscale("log")
    for name, (label, style) in QUANTITIES.items():
        points(
            axes, barriers, "branch", f"{name}_relative", GEOMETRIC, **style, ls="-", label=f"{label} barrier"
        )
        open_ = style | {"ls": "--", "mfc": "w", "label": f"{label}, over the line's ends"}
        points(axes, barriers, "branch", f"{name}_over_ends", GEOMETRIC, **open_)
    _branch_axis(axes, barriers["branch"].unique())
    axes.set(ylabel="barrier over the largest (full)")
    axes.set_title("Between two children")
    axes.legend(loc="lower left")


def _draw_times(axes: plt.Axes, times: pd.DataFrame, branches: np.ndarray) -> None:
    """Where every parent has a time: the mean of the others would be too early."""
    for (name, (label, style)), factor in zip(QUANTITIES.items(), (0.98, 1.02), strict=True):
        column = f"{name}_time"
        reached = times.groupby("tolerance")[column].transform(lambda values: values.notna().all())
        points(
            axes, times[reached], "tolerance", column, shift=lambda x, by=factor: x * by, **style, ls="-",
            label=f"{label} barrier",
        )  # fmt: skip
    axes.set(xscale="log", xlabel="tolerance: barrier over the largest", ylabel="branch step")
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, -0.05 * branches.max()), min(high, 1.1 * branches.max()))
    shown_ticks = [0.02, 0.05, 0.1, 0.2, 0.5, 0.9]
    axes.set_xticks(shown_ticks, [f"{value:g}" for value in shown_ticks])
    axes.minorticks_off()
    axes.set_title("Below the tolerance from here on")
    axes.legend(loc="upper right")


def _draw_profiles(axes: plt.Axes, lines: pd.DataFrame) -> None:
    branches = sorted(lines["branch"].unique())
    for branch, colour in zip(branches, sns.color_palette("viridis", len(branches)), strict=True):
        rows = lines[lines["branch"] == branch]
        band(axes, rows, "position", "train_loss", GEOMETRIC, color=colour, lw=1.2, label=f"{branch:g}")
    axes.set(
        yscale="log", xlabel="position between checkpoint and end", ylabel="training loss (nats per token)"
    )
    axes.set_title("Checkpoint (step) to end")
    axes.legend(title="step", loc="upper right", ncols=2 if len(branches) > 4 else 1)


def _draw_rises(axes: plt.Axes, ratios: pd.DataFrame) -> None:
    axes.set_yscale("log")
    for (line, (label, style)), factor in zip(LINES.items(), (0.98, 1.02), strict=True):
        rows = ratios[ratios["line"] == line]
        points(
            axes, rows, "branch", "ratio", GEOMETRIC, shift=lambda x, by=factor: x * by, **style, label=label
        )
    axes.axhline(1, color="0.6", lw=0.7, zorder=0)
    _branch_axis(axes, ratios["branch"].unique())
    axes.set(ylabel="highest loss over the higher end's")
    axes.set_title("Rise on the line")
    axes.legend(loc="upper right")


def order(times: pd.DataFrame) -> dict[float, str]:
    """By tolerance which barrier vanishes first over parents: loss, curvature, undecided or, if one is never below, open."""
    verdicts = {}
    for tolerance, rows in times.groupby("tolerance"):
        lag = rows["curvature_time"] - rows["loss_time"]
        word = {1: "loss", -1: "curvature", 0: "undecided"}[shown(lag)]
        verdicts[tolerance] = "open" if lag.isna().any() else word
    return verdicts


def _caption(
    barriers: pd.DataFrame, times: pd.DataFrame, ratios: pd.DataFrame, children: pd.DataFrame, clause: str
) -> str:
    verdicts = order(times)
    having = {kind: [t for t, verdict in verdicts.items() if verdict == kind] for kind in ("loss", "curvature", "undecided", "open")}  # fmt: skip
    at = times[times["tolerance"] == MIDDLE]
    parents = barriers["parent"].nunique()
    within = barriers[barriers["curvature_barrier"] < CLEAR * barriers["curvature_se"]]
    last = barriers["branch"].max()
    final = barriers[barriers["branch"] == last]
    curved = children.groupby("line")["position"].nunique()["children"]
    return (
        f"{_finding(having)} At tolerance {MIDDLE:g} the loss barrier stays below from step {_when(at['loss_time'])} on, that of "
        f"Tr H from {_when(at['curvature_time'])} on. Loss vanishes first at tolerances {listed(having['loss'])}, Tr H first at "
        f"{listed(having['curvature'])}, undecided at {listed(having['undecided'])}, not comparable at {listed(having['open'])}, "
        "where one of the two never stays below in some parent. Branched at step "
        f"{last:g}, children keep {quoted(final['loss_relative'], log_spread)} of the largest loss barrier and "
        f"{quoted(final['curvature_relative'], log_spread)} of the largest Tr H barrier; {len(within)} of {len(barriers)} Tr H barriers are "
        f"within {CLEAR:g} standard errors of 0. {_over_ends(barriers)} {_basin(ratios)} Barrier: highest value on the straight line ({curved} positions "
        f"for the loss) minus the mean of its ends, over the parent's largest at any branch; times: barriers are "
        f"interpolated linearly between branches. {clause}Geometric mean (times: mean) and 95 % t-interval over {parents} independent parents."
    )


def _over_ends(barriers: pd.DataFrame) -> str:
    """The order if barriers are taken over the ends of their lines instead."""
    verdicts = list(order(vanishing_times(barriers, TOLERANCES, "over_ends")).values())
    return (
        f"Over the mean of the line's ends instead, loss vanishes first at {verdicts.count('loss')} and Tr H first at "
        f"{verdicts.count('curvature')} of {len(verdicts)} tolerances."
    )


def _finding(having: dict[str, list]) -> str:
    if having["loss"] and not having["curvature"]:
        ahead = (
            f"at {len(having['loss'])} of {sum(map(len, having.values()))} tolerances and after it at none"
        )
        return f"The loss barrier between children vanishes before that of Tr H {ahead}."
    if having["curvature"] and not having["loss"]:
        return "The barrier of Tr H between children vanishes before that of the loss."
    if having["loss"]:
        return "Which barrier between children vanishes first depends on the tolerance."
    return "Which barrier between children vanishes first is not shown."


def _when(times: pd.Series) -> str:
    if times.isna().any():
        return f"no step in {times.isna().sum()} of {len(times)} parents"
    return quoted(times)


def _basin(ratios: pd.DataFrame) -> str:
    """Whether a run's checkpoints see a rise on the way to its end, beside the line between children."""
    lines = {line: rows.groupby("branch")["ratio"] for line, rows in ratios.groupby("line")}
    risen = [branch for branch, values in lines["checkpoint"] if shown(np.log(values)) > 0]
    flat = [branch for branch, values in lines["checkpoint"] if (values <= 1 + 1e-9).all()]
    first, last = (key(ratios["branch"]) for key in (min, max))
    beside = quoted(lines["children"].get_group(first), log_spread)
    ends = " and ".join(
        f"{quoted(lines['checkpoint'].get_group(b), log_spread)} (step {b:g})"
        for b in dict.fromkeys([first, last])
    )
    return (
        f"Straight from a checkpoint to the run's end the loss is shown to rise above the higher end from {_steps(risen)} "
        f"and rises in no parent from {_steps(flat)}: its highest value is {ends} times the higher end, between "
        f"children of step {first:g} {beside} times."
    )


def _steps(branches: list) -> str:
    return f"step {listed(branches)}" if branches else "no step"
