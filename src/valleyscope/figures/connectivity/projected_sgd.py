"""Where projected SGD goes on the path, beside full-batch descent and noise without a force (Paper B, Fig. 3)."""

import matplotlib.pyplot as plt
import pandas as pd

from valleyscope.figures.captions import listed, repeats, worded
from valleyscope.figures.connectivity.shared import Window, span
from valleyscope.figures.panels import band, headroom, points, spread, thinned
from valleyscope.figures.style import COLOURS, Picture, new_figure
from valleyscope.readings.intervals import quoted, side
from valleyscope.readings.sgd import (
    beyond_control,
    by_start,
    final_changes,
    last_common_step,
    outward,
    shared_starts,
    uphill,
    within,
)

RUNS = {"momentum": "SGD with momentum", "descent": "full batch (control)", "noise": "noise, no force (null)"}
STYLES = {
    "momentum": {"color": COLOURS[0], "fmt": "o"},
    "descent": {"color": "k", "fmt": "s", "ms": 3},
    "noise": {"color": COLOURS[1], "fmt": "D", "ms": 3, "mfc": "w"},
}
TIME = r"$t_\mathrm{eff}$ = steps $\times$ learning rate"


def draw(
    table: pd.DataFrame, path_losses: pd.DataFrame, *, inside: Window, off_floor: float, late: float
) -> Picture:
    """Position against t_eff; outward displacement against start by run; beyond descent; loss it took."""
    table = table[table["run"].isin(RUNS)].assign(outward=outward)
    figure, ((course, ends), (beyond, losses)) = new_figure(4.9, rows=2, columns=2)
    _draw_course(course, by_start(table.query("run == 'momentum'"), ["position"]))
    means = by_start(table, ["outward"])
    final = means[means["step"] == last_common_step(means)].dropna(subset="outward")
    for shift, (run, style) in zip((-0.013, 0, 0.013), STYLES.items(), strict=True):
        rows = final[final["run"] == run]
        points(ends, rows, "start", "outward", shift=lambda x, by=shift: x + by, **style, label=RUNS[run])
    ends.set(ylabel="outward displacement (of path)")
    ends.set_title(_at(final))
    headroom(ends, 0.4)
    ends.legend(loc="upper left", ncols=2, columnspacing=1, handletextpad=0.3)
    excess = beyond_control(final, "descent")
    points(beyond, excess, "start", "excess", color=COLOURS[0])
    beyond.set(ylabel="outward: SGD − full batch")
    beyond.set_title(f"Beyond descent, {_at(final)[0].lower()}{_at(final)[1:]}")
    for axes in (ends, beyond):
        axes.axhline(0, color="0.6", lw=0.7, zorder=0)
        axes.set(xlabel="start on the path", xlim=(0, 1))
    limits = {"inside": inside, "off_floor": off_floor, "late": late}
    changes = {run: final_changes(table, path_losses, run, **limits) for run in ("momentum", "noise")}
    _draw_losses(losses, changes)
    caption = f"{_finding(final, excess, changes['momentum'], inside)} {repeats(final, 'pair', 'Means')}"
    replicas = table.query("run == 'momentum'").groupby(["pair", "start"])["replica"].nunique().max()
    numbers = (
        _early(final, excess, inside)
        | _late(changes, inside, off_floor, late)
        | {"replicas of SGD a start": f"{replicas}"}
    )
    return Picture(figure, caption, numbers)


def _at(rows: pd.DataFrame) -> str:
    return rf"At $t_\mathrm{{eff}}$ = {rows['t_eff'].max():.3g}"


def _draw_course(axes: plt.Axes, means: pd.DataFrame) -> None:
    starts = sorted(means["start"].unique())
    for start, colour in zip(starts, spread(len(starts)), strict=True):
        band(axes, thinned(means[means["start"] == start], "step"), "t_eff", "position", color=colour, lw=1.2)
    axes.set(xlabel=TIME, ylabel="position on the path", ylim=(-0.03, 1.03))
    axes.set_title("SGD with momentum")


def _draw_losses(axes: plt.Axes, changes: dict[str, pd.DataFrame]) -> None:
    """Single replicas; outward and uphill is the upper right quarter."""
    null = changes["noise"]
    axes.plot(null["outward"], null["loss_change"], "x", color=COLOURS[1], ms=3, mew=0.7)
    for (pair, rows), marker in zip(changes["momentum"].groupby("pair"), "osD^v<>ph*", strict=False):
        style = {"color": COLOURS[0], "ms": 4, "mew": 0.8, "ls": "none", "marker": marker}
        for there, face in ((True, "none"), (False, COLOURS[0])):
            part = rows[rows["on_floor"] == there]
            label = pair if there else "_"
            axes.plot(part["outward"], part["loss_change"], mfc=face, label=label, **style)
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    axes.fill_between([0, max(right, 0)], 0, max(high, 0), color="0.92", zorder=0, lw=0)
    axes.set(xlim=(left, right), ylim=(low, high))
    axes.axhline(0, color="0.6", lw=0.7, zorder=0)
    axes.axvline(0, color="0.6", lw=0.7, zorder=0)
    axes.set(xlabel="outward displacement", ylabel="change of the path's loss")
    axes.set_title("At the end; shaded: outward, uphill")
    axes.legend(title="SGD, pair", handletextpad=0.1, borderaxespad=0.2)


def _finding(final: pd.DataFrame, excess: pd.DataFrame, sgd: pd.DataFrame, inside: Window) -> str:
    moved, floor = sgd.groupby("pair")["outward"].mean(), _on_floor(sgd)
    words = (
        "outward, to the nearer end",
        "inward, away from the nearer end",
        "in no direction that is shown",
    )
    climbed = (sgd["outward"] > 0) & (sgd["loss_change"] > 0)
    return (
        f"By {_time(sgd)} replicas of projected SGD with momentum that are on the valley floor move {worded(floor, *words)} "
        f"({quoted(floor)} of the path); with the {(~sgd['on_floor']).sum()} of {len(sgd)} that left it (filled) the mean moves "
        f"{worded(moved, *words)} ({quoted(moved)}). SGD minus full-batch descent: {quoted(_beyond(excess, inside))} by "
        f"{_time(final)}. {climbed.sum()} replicas end outward and uphill. Starts in {span(inside)}; crosses: noise without a force."
    )


def _time(rows: pd.DataFrame) -> str:
    return f"t_eff = {rows['t_eff'].max():.3g}"


def _on_floor(sgd: pd.DataFrame) -> pd.Series:
    return sgd[sgd["on_floor"]].groupby("pair")["outward"].mean()


def _beyond(excess: pd.DataFrame, inside: Window) -> pd.Series:
    return within(excess, inside).groupby("pair")["excess"].mean()


def _early(final: pd.DataFrame, excess: pd.DataFrame, inside: Window) -> dict[str, str]:
    """At the last step that all runs share."""
    shared = within(final[final["start"].isin(shared_starts(final))], inside)
    starts = listed(sorted(shared["start"].unique()))
    numbers = {
        f"outward displacement by {_time(final)} from the starts that all runs share ({starts}), {name}": quoted(
            shared[shared["run"] == run].groupby("pair")["outward"].mean()
        )
        for run, name in RUNS.items()
    }
    numbers[f"outward displacement by {_time(final)}, SGD minus full batch"] = quoted(_beyond(excess, inside))
    for word, sign in (("outward", 1), ("inward", -1)):
        told = listed(s for s, values in excess.groupby("start")["excess"] if side(values) == sign)
        numbers[f"starts from which SGD goes {word} beyond descent (the interval excludes 0)"] = told
    return numbers


def _late(changes: dict, inside: Window, off_floor: float, late: float) -> dict[str, str]:
    """At the end of the runs."""
    sgd, null = changes["momentum"], changes["noise"]
    change = sgd.groupby("pair")["loss_change"].mean()
    changed = worded(
        change,
        "higher at the end than at the start",
        "lower at the end than at the start",
        "not shown to differ between start and end",
    )
    of = f"of {len(sgd)} with starts in {span(inside)}"
    return {
        f"replicas of SGD that have moved outward by {_time(sgd)}": f"{(sgd['outward'] > 0).sum()} {of}",
        f"replicas of SGD off the valley floor (minibatch loss above {off_floor:g} times the path's, mean over "
        f"the last {late:g} of the run)": f"{(~sgd['on_floor']).sum()} {of}",
        "outward displacement of replicas of SGD on the valley floor": quoted(_on_floor(sgd)),
        "share of replicas of SGD that end outward and uphill": quoted(uphill(sgd)),
        f"share of replicas of noise without a force that are outward and uphill by {_time(null)}": quoted(
            uphill(null)
        ),
        "the path's training loss, nats per token": f"{changed} ({quoted(change)})",
    }
