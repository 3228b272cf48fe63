"""Barriers of loss and curvature on lines between weights of one training run, and when they vanish.

Tables: children (parent, line, branch, position, train_loss) and children_curvature (parent, branch,
position, trace, trace_se), see results/README.md. Parents are the independent repeats.
"""

import numpy as np
import pandas as pd

KEYS = ["parent", "branch"]
MEASURES = {"relative": "the largest barrier of any branch", "over_ends": "the ends of the line"}


def line_barriers(children: pd.DataFrame, children_curvature: pd.DataFrame) -> pd.DataFrame:
    """Barriers on the line between two children, a row a parent and branch, sorted.

    loss_barrier (nats per token) and curvature_barrier (of Tr H, nats): the highest value on the line minus
    the mean of its two ends, so 0 or more. curvature_se: standard error of curvature_barrier from those of
    Tr H at its place and at the ends; the highest of noisy values is biased upwards by about as much.
    Both normalised in two ways, NaN where that is over 0: *_relative, over the parent's largest barrier at
    any branch; *_over_ends, over the mean of the line's ends.
    """
    lines = children[children["line"] == "children"]
    error = pd.Series({key: _error(rows) for key, rows in children_curvature.groupby(KEYS)})
    parts = [error.rename_axis(KEYS).rename("curvature_se")]
    for name, table, quantity in (
        ("loss", lines, "train_loss"),
        ("curvature", children_curvature, "trace"),
    ):
        values = table.sort_values("position").groupby(KEYS)[quantity]
        ends = (values.first() + values.last()) / 2
        barrier = values.max() - ends
        largest = barrier.groupby("parent").transform("max")
        parts += [
            barrier.rename(f"{name}_barrier"),
            (barrier / largest.where(largest > 0)).rename(f"{name}_relative"),
            (barrier / ends.where(ends > 0)).rename(f"{name}_over_ends"),
        ]
    return pd.concat(parts, axis=1).sort_index().reset_index()


def _error(rows: pd.DataFrame) -> float:
    """Standard error of the highest Tr H minus the mean of the ends, as if they were independent.

    All positions share their random vectors, so the true one is likely smaller.
    """
    rows = rows.sort_values("position")
    weights = np.zeros(len(rows))
    weights[rows["trace"].to_numpy().argmax()] = 1
    weights[[0, -1]] -= 0.5
    return float(np.sqrt((weights**2 * rows["trace_se"].to_numpy() ** 2).sum()))


def vanishing_times(
    barriers: pd.DataFrame, tolerances: list[float], measure: str = "relative"
) -> pd.DataFrame:
    """Branch steps from which on the normalised barriers stay below: a row a parent and tolerance.

    `barriers` as `line_barriers` gives them, `measure` "relative" or "over_ends". loss_time and
    curvature_time are where the barrier, interpolated linearly between branches, falls below the tolerance
    for good; NaN if that of the last branch is not below.
    """
    rows = []
    for parent, table in barriers.sort_values("branch").groupby("parent"):
        for tolerance in tolerances:
            row = {"parent": parent, "tolerance": tolerance}
            for name in ("loss", "curvature"):
                row[f"{name}_time"] = _stays_below(table["branch"], table[f"{name}_{measure}"], tolerance)
            rows.append(row)
    return pd.DataFrame(rows)


def lags(barriers: pd.DataFrame, tolerance: float, measure: str, least: float) -> pd.Series:
    """Branch steps by which Tr H's barrier vanishes later than the loss's, over the last branch, by parent.

    A barrier that is not below the tolerance at the last branch counts as vanishing there, which bounds the
    lag; a bound that does not reach `least` tells nothing and is NaN.
    """
    last = barriers["branch"].max()
    times = vanishing_times(barriers, [tolerance], measure).set_index("parent")
    times = times[["loss_time", "curvature_time"]]
    lag = (times["curvature_time"].fillna(last) - times["loss_time"].fillna(last)) / last
    return lag.where(times.notna().all(axis=1) | (lag < 0) | (lag > least))


def _stays_below(branch: pd.Series, barrier: pd.Series, tolerance: float) -> float:
    step, height = branch.to_numpy(float), barrier.to_numpy()
    below = height < tolerance  # False for NaN
    later = np.logical_and.accumulate(below[::-1])[::-1]
    if not later.any():
        return np.nan
    first = int(later.argmax())
    if first == 0:
        return float(step[0])
    passed = (height[first - 1] - tolerance) / (height[first - 1] - height[first])
    return float(step[first - 1] + passed * (step[first] - step[first - 1]))


def bulges(children: pd.DataFrame) -> pd.DataFrame:
    """Highest ratio of the loss on each line to the chord between its ends: parent, line, branch, ratio.

    At most 1 where the loss is convex along the line.
    """

    def ratio(values: pd.DataFrame) -> float:
        loss, t = values["train_loss"].to_numpy(), values["position"].to_numpy()
        return float((loss / (loss[0] + (loss[-1] - loss[0]) * t)).max())

    groups = children.sort_values("position").groupby(["parent", "line", "branch"])
    return groups[["position", "train_loss"]].apply(ratio).rename("ratio").reset_index()


def rises(children: pd.DataFrame) -> pd.DataFrame:
    """Highest loss on each line over that of its higher end: parent, line, branch, ratio; 1 is no rise."""
    values = children.sort_values("position").groupby(["parent", "line", "branch"])["train_loss"]
    ratio = values.max() / np.maximum(values.first(), values.last())
    return ratio.rename("ratio").reset_index()
