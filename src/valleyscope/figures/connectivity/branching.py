"""Barriers between children of one run against the step at which they branched (Paper B, Fig. 4; B7, B11)."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import NullFormatter

from valleyscope.figures.captions import listed, repeats, worded
from valleyscope.figures.panels import CUT, band, cut, points, spread
from valleyscope.figures.style import COLOURS, Picture, new_figure
from valleyscope.readings.branching import MEASURES, bulges, lags, line_barriers, rises, vanishing_times
from valleyscope.readings.intervals import quoted, side

QUANTITIES = {
    "loss": ("loss", {"color": COLOURS[0], "fmt": "o"}),
    "curvature": (r"$\mathrm{Tr}\,H$", {"color": COLOURS[3], "fmt": "s"}),
}
LINES = {
    "checkpoint": ("checkpoint to end", {"color": COLOURS[2], "fmt": "o"}),
    "children": ("child to child", {"color": "k", "fmt": "D", "ms": 3, "mfc": "w"}),
}


def draw(
    children: pd.DataFrame,
    children_curvature: pd.DataFrame,
    *,
    tolerances: list[float],
    vanished: float,
    lag: float,
    resolved: float,
) -> Picture:
    """Barriers against branch step; vanishing times against tolerance; lines from checkpoints to the end.

    `vanished`: the tolerance whose times the caption tells; `lag`: branch steps over the last from which one
    barrier counts as later. `resolved`: standard errors from which a barrier
    of Tr H is told from noise.
    """
    barriers = line_barriers(children, children_curvature)
    times, ratios = vanishing_times(barriers, tolerances), rises(children)
    figure, ((height, when), (profile, rise)) = new_figure(4.9, rows=2, columns=2)
    _draw_barriers(height, barriers)
    _draw_times(when, times, barriers["branch"].unique())
    _draw_profiles(profile, children.query("line == 'checkpoint'"))
    _draw_rises(rise, ratios)
    trimmed = [cut([axes]) for axes in (height, profile, rise)]
    verdicts = {measure: order(barriers, tolerances, measure, lag) for measure in MEASURES}
    gone = vanishing_times(barriers, [vanished])
    ends = repeats(barriers, "parent", "Geometric means (times: means)")
    caption = f"{_finding(barriers, verdicts, vanished, lag)} {_basin(ratios)} {CUT * any(trimmed)}{ends}"
    numbers = (
        _orders(verdicts)
        | _times(gone, vanished)
        | _last(barriers, resolved)
        | _lines(ratios)
        | _bulges(bulges(children))
        | _definition(children)
    )
    return Picture(figure, caption, numbers)


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
            axes, barriers, "branch", f"{name}_relative", log=True, **style, ls="-", label=f"{label} barrier"
        )
        open_ = style | {"ls": "--", "mfc": "w", "label": f"{label}, over the line's ends"}
        points(axes, barriers, "branch", f"{name}_over_ends", log=True, **open_)
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
    grid = sorted(times["tolerance"].unique())
    shown = [value for value in grid if f"{value:e}"[0] in "125" or value == grid[-1]]
    axes.set_xticks(shown, [f"{value:g}" for value in shown])
    axes.minorticks_off()
    axes.set_title("Below the tolerance from here on")
    axes.legend(loc="upper right")


def _draw_profiles(axes: plt.Axes, lines: pd.DataFrame) -> None:
    branches = sorted(lines["branch"].unique())
    for branch, colour in zip(branches, spread(len(branches)), strict=True):
        rows = lines[lines["branch"] == branch]
        band(axes, rows, "position", "train_loss", log=True, color=colour, lw=1.2, label=f"{branch:g}")
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
            axes, rows, "branch", "ratio", log=True, shift=lambda x, by=factor: x * by, **style, label=label
        )
    axes.axhline(1, color="0.6", lw=0.7, zorder=0)
    _branch_axis(axes, ratios["branch"].unique())
    axes.set(ylabel="highest loss over the higher end's")
    axes.set_title("Rise on the line")
    axes.legend(loc="upper right")


def order(barriers: pd.DataFrame, tolerances: list[float], measure: str, least: float) -> dict[float, str]:
    """By tolerance which barrier vanishes first over parents, by more than `least` of the last branch step.

    loss, curvature, undecided or, if the lag is only bounded in some parent, open.
    """
    verdicts = {}
    for tolerance in tolerances:
        lag = lags(barriers, tolerance, measure, least)
        word = "loss" if side(lag, least) > 0 else "curvature" if side(lag, -least) < 0 else "undecided"
        verdicts[tolerance] = "open" if lag.isna().any() else word
    return verdicts


def _finding(barriers: pd.DataFrame, verdicts: dict, vanished: float, least: float) -> str:
    first, other = (lags(barriers, vanished, measure, least) for measure in ("relative", "over_ends"))
    counts = {name: list(found.values()) for name, found in verdicts.items()}
    told = worded(first, "vanishes after", "vanishes before", "is not shown to vanish before or after")
    return (
        f"At tolerance {vanished:g} of the largest barrier that of Tr H between children {told} that of the loss: lag "
        f"{quoted(first)} of the last branch step; over the line's ends {quoted(other)}. It exceeds {least:g} at "
        f"{counts['relative'].count('loss')} of {len(counts['relative'])} tolerances (over the ends: "
        f"{counts['over_ends'].count('loss')})."
    )


def _when(times: pd.Series) -> str:
    if times.isna().any():
        return f"no step in {times.isna().sum()} of {len(times)} parents"
    return f"step {quoted(times)}"


def _basin(ratios: pd.DataFrame) -> str:
    """Whether a run's checkpoints see a rise on the way to its end."""
    risen, _ = _risen(ratios)
    count = ratios["branch"].nunique()
    return f"Straight from checkpoint to end the loss rises for {len(risen)} of {count} steps."


def _risen(ratios: pd.DataFrame) -> tuple[list, list]:
    """Branch steps from which the line to the run's end is shown to rise above its higher end, and in no parent."""
    lines = ratios[ratios["line"] == "checkpoint"].groupby("branch")["ratio"]
    risen = [branch for branch, values in lines if side(values, 1, log=True) > 0]
    return risen, [branch for branch, values in lines if (values <= 1 + 1e-9).all()]


def _steps(branches: list) -> str:
    return f"step {listed(branches)}" if branches else "no step"


def _orders(verdicts: dict[str, dict[float, str]]) -> dict[str, str]:
    """Tolerances by which barrier vanishes first, for both ways to normalise it."""
    words = {
        "loss": "the loss barrier vanishes first by more",
        "curvature": "the barrier of Tr H vanishes first by more",
        "undecided": "it is undecided",
        "open": "the lag is only bounded in some parent",
    }
    return {
        f"tolerances at which {words[kind]}, barriers over {MEASURES[measure]}": listed(
            tolerance for tolerance, verdict in found.items() if verdict == kind
        )
        for measure, found in verdicts.items()
        for kind in words
    }


def _times(gone: pd.DataFrame, vanished: float) -> dict[str, str]:
    return {
        f"from where the {name} barrier stays below {vanished:g} of the largest": _when(
            gone[f"{column}_time"]
        )
        for column, name in (("loss", "loss"), ("curvature", "Tr H"))
    }


def _last(barriers: pd.DataFrame, resolved: float) -> dict[str, str]:
    """What is left at the last branch, and how many barriers of Tr H are noise."""
    last = barriers["branch"].max()
    final = barriers[barriers["branch"] == last]
    within = barriers["curvature_barrier"] < resolved * barriers["curvature_se"]
    return {
        f"loss barrier left, branched at step {last:g}, over the largest": quoted(
            final["loss_relative"], log=True
        ),
        f"Tr H barrier left, branched at step {last:g}, over the largest": quoted(
            final["curvature_relative"], log=True
        ),
        f"Tr H barriers within {resolved:g} standard errors of 0": f"{within.sum()} of {len(barriers)}",
    }


def _lines(ratios: pd.DataFrame) -> dict[str, str]:
    """Highest loss on lines from checkpoints and between children."""
    risen, flat = _risen(ratios)
    by = {key: rows["ratio"] for key, rows in ratios.groupby(["line", "branch"])}
    first, last = ratios["branch"].min(), ratios["branch"].max()
    return {
        "checkpoints from which the line to the run's end is shown to rise above its higher end": _steps(
            risen
        ),
        "checkpoints from which the line to the run's end rises in no parent": _steps(flat),
        **{
            f"highest loss over the higher end's, from step {branch:g} to the end": quoted(
                by["checkpoint", branch], log=True
            )
            for branch in dict.fromkeys([first, last])
        },
        f"highest loss over the higher end's, between children of step {first:g}": quoted(
            by["children", first], log=True
        ),
    }


def _bulges(ratios: pd.DataFrame) -> dict[str, str]:
    """What B11 judges: loss on the line from a checkpoint to the run's end over the chord between its ends."""
    return {
        f"highest loss over the chord, from step {branch:g} to the end": quoted(rows["ratio"], log=True)
        for branch, rows in ratios[ratios["line"] == "checkpoint"].groupby("branch")
    }


def _definition(children: pd.DataFrame) -> dict[str, str]:
    positions = children.groupby("line")["position"].nunique()["children"]
    return {
        "barrier": f"highest value on the straight line ({positions} positions for the loss) minus the mean of its ends, "
        "over the parent's largest at any branch; times: interpolated linearly between branches"
    }
