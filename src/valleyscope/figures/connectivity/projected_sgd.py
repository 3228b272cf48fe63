"""Where projected SGD goes on the path, beside full-batch descent and noise without a force (Paper B, Fig. 3)."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from valleyscope.figures.repeats import band, headroom, listed, points, quoted, shown, thinned, worded
from valleyscope.figures.style import COLOURS, new_figure
from valleyscope.readings.sgd import (
    OFF_FLOOR,
    beyond_control,
    by_start,
    final_changes,
    inside,
    last_common_step,
    outward,
    shared_starts,
    uphill,
)

RUNS = {"momentum": "SGD with momentum", "descent": "full batch (control)", "noise": "noise, no force (null)"}
STYLES = {
    "momentum": {"color": COLOURS[0], "fmt": "o"},
    "descent": {"color": "k", "fmt": "s", "ms": 3},
    "noise": {"color": COLOURS[1], "fmt": "D", "ms": 3, "mfc": "w"},
}
TIME = r"$t_\mathrm{eff}$ = steps $\times$ learning rate"


def draw(table: pd.DataFrame, path_losses: pd.DataFrame) -> tuple[Figure, str]:
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
    changes = {run: final_changes(table, path_losses, run) for run in ("momentum", "noise")}
    _draw_losses(losses, changes)
    replicas = table.query("run == 'momentum'").groupby(["pair", "start"])["replica"].nunique().max()
    return figure, _caption(final, excess, changes, replicas)


def _at(rows: pd.DataFrame) -> str:
    return rf"At $t_\mathrm{{eff}}$ = {rows['t_eff'].max():.3g}"


def _draw_course(axes: plt.Axes, means: pd.DataFrame) -> None:
    starts = sorted(means["start"].unique())
    for start, colour in zip(starts, sns.color_palette("viridis", len(starts)), strict=True):
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


def _caption(final: pd.DataFrame, excess: pd.DataFrame, changes: dict, replicas: int) -> str:
    judged = inside(final[final["start"].isin(shared_starts(final))])
    early = {run: rows.groupby("pair")["outward"].mean() for run, rows in judged.groupby("run")}
    beyond = inside(excess).groupby("pair")["excess"].mean()
    sgd, null = changes["momentum"], changes["noise"]
    moved, change = (sgd.groupby("pair")[name].mean() for name in ("outward", "loss_change"))
    found = worded(
        moved,
        "moves outward, to the nearer end of the path",
        "moves inward, away from the nearer end of the path",
        "shows no direction on the path",
    )
    climbed = (sgd["outward"] > 0) & (sgd["loss_change"] > 0)
    return (
        f"Projected SGD with momentum {found}: by {_time(sgd)} its mean outward displacement from starts in [0.2, 0.8] is "
        f"{quoted(moved)} of the path. By {_time(final)}, the last step that all runs share, it is, from the starts that all share ({listed(sorted(judged['start'].unique()))}), "
        f"{quoted(early['momentum'])}, that of full-batch descent (control) {quoted(early['descent'])}, that of noise without "
        f"a force (null) {quoted(early['noise'])}, SGD minus descent {quoted(beyond)}; beyond descent SGD goes outward from the "
        f"starts {_starts(excess, 1)} and inward from {_starts(excess, -1)} (named where the interval excludes 0). Of {len(sgd)} "
        f"replicas with starts in [0.2, 0.8], {(sgd['outward'] > 0).sum()} have moved outward by {_time(sgd)} and "
        f"{(~sgd['on_floor']).sum()} are off the valley floor (filled: own minibatch loss above {OFF_FLOOR:g} times the path's); those on "
        f"it have moved {quoted(sgd[sgd['on_floor']].groupby('pair')['outward'].mean())}. Outward and "
        f"uphill are {climbed.sum()}, to where the path's own training loss is higher: a share of {quoted(uphill(sgd))} of "
        f"all replicas (null, by {_time(null)}: {quoted(uphill(null))}). The path's loss "
        f"{worded(change, 'is higher at the end than at the start', 'is lower at the end than at the start', 'is not shown to differ between start and end')}"
        f" ({quoted(change)} nats per token). Outward is undefined from 0.5, which is left out. Mean and 95 % t-interval over "
        f"{final['pair'].nunique()} independent pairs of minima, {replicas} replicas of SGD a start averaged in each; lower "
        "right: single replicas, symbols: SGD by pair, crosses: null."
    )


def _time(rows: pd.DataFrame) -> str:
    return f"t_eff = {rows['t_eff'].max():.3g}"


def _starts(excess: pd.DataFrame, side: int) -> str:
    return listed(start for start, values in excess.groupby("start")["excess"] if shown(values) == side)
