"""How fast optimisers move along the path, each beside the plain SGD that is its fair partner (B6)."""

import matplotlib.pyplot as plt
import pandas as pd

from valleyscope.figures.captions import listed, repeats, worded
from valleyscope.figures.connectivity.shared import Window, span
from valleyscope.figures.panels import CUT, band, cut, plain_ticks, points, thinned
from valleyscope.figures.style import COLOURS, Picture, new_figure
from valleyscope.readings.intervals import quoted
from valleyscope.readings.sgd import (
    FAIR,
    by_start,
    directed,
    final_changes,
    shared_starts,
    speed_ratio,
    step_sizes,
)

STYLES = {
    "sgd": {"color": "k"},
    "momentum": {"color": COLOURS[0]},
    "slow": {"color": COLOURS[0], "ls": "--"},
    "nesterov": {"color": COLOURS[2], "ls": "-."},
    "decay": {"color": COLOURS[4], "ls": ":"},
    "adam": {"color": COLOURS[3]},
    "matched": {"color": COLOURS[3], "ls": "--"},
}
NAMES = {
    "sgd": "plain SGD",
    "momentum": "momentum",
    "slow": "plain, $\\eta/(1-\\beta)$",
    "nesterov": "Nesterov",
    "decay": "momentum, decay",
    "adam": "Adam",
    "matched": "plain, Adam's step",
}
IN_WORDS = NAMES | {
    "sgd": "plain SGD at the same rate",
    "slow": "plain SGD at η/(1−β)",
    "decay": "momentum with decay",
    "matched": "plain SGD with Adam's RMS step",
}
RATIOS = [*FAIR.values(), ("momentum", "sgd"), ("nesterov", "momentum"), ("decay", "momentum")]


def draw(
    table: pd.DataFrame,
    path_losses: pd.DataFrame,
    *,
    inside: Window,
    off_floor: float,
    kept: float,
    late: float,
    reach: float,
) -> Picture:
    """Outward displacement against steps; ratios of speed; RMS step, in the first period and over the run."""
    table = directed(table[table["run"].isin(STYLES)], inside)
    shared, runs = shared_starts(table), [run for run in STYLES if run in set(table["run"])]
    means = by_start(table, ["outward"])
    pairs = (
        means[means["start"].isin(shared)].groupby(["run", "pair", "step"], as_index=False)["outward"].mean()
    )
    limits = {"inside": inside, "off_floor": off_floor, "late": late}
    ratios = {
        names: speed_ratio(table, path_losses, *names, reach=reach, kept=kept, **limits)
        for names in RATIOS
        if set(names) <= set(runs)
    }
    figure, (course, speeds, steps) = new_figure(3.3, columns=3, width_ratios=[1.1, 1, 1])
    for run in runs:
        rows = thinned(pairs[pairs["run"] == run], "step")
        band(course, rows, "step", "outward", lw=1.2, label=NAMES[run], **STYLES[run])
    course.axhline(0, color="0.6", lw=0.7, zorder=0)
    course.set(xlabel="steps", ylabel="outward displacement (of path)", xlim=(0, None))
    course.set_title(f"From starts {listed(shared)}" if len(shared) < 4 else "From shared starts")
    figure.legend(loc="outside upper center", ncols=4)
    _draw_ratios(speeds, ratios)
    clause = CUT * cut([speeds])
    plain_ticks(speeds.yaxis)
    sizes = step_sizes(table)
    _draw_steps(steps, sizes)
    told = [names for names in FAIR.values() if names in ratios] or ratios
    found = "; ".join(_sentence(names, ratios[names][0]) for names in told)
    caption = (
        f"Per step along the path, {found}. Grey points: single "
        f"pairs. {clause}{repeats(table, 'pair', scale=f'speeds up to {reach:g} of the path')}"
    )
    off = {run: ~final_changes(table, path_losses, run, **limits)["on_floor"] for run in runs}
    return Picture(
        figure,
        caption,
        _speeds(ratios, shared, inside, reach, kept) | _steps(sizes) | _off(off, off_floor, late),
    )


def _draw_ratios(axes: plt.Axes, ratios: dict) -> None:
    for place, (ratio, _) in enumerate(ratios.values()):
        rows = pd.DataFrame({"place": place, "ratio": ratio})
        axes.plot(rows["place"] + 0.22, rows["ratio"], "o", color="0.6", ms=2.5)
        if ratio.notna().all():
            points(axes, rows, "place", "ratio", log=True, color="k")
    axes.axhline(1, color="0.6", lw=0.7, zorder=0)
    short = NAMES | {"slow": r"$\eta/(1-\beta)$", "matched": "same step", "decay": "decay"}
    names = [f"{short[over]}\n/ {short[under]}" for over, under in ratios]
    axes.set_xticks(range(len(ratios)), names, rotation=90)
    axes.set(yscale="log", ylabel="ratio", xlim=(-0.5, len(ratios) - 0.5))
    axes.set_title("Speed per step")


def _draw_steps(axes: plt.Axes, sizes: pd.DataFrame) -> None:
    order = [run for run in STYLES if run in set(sizes["run"])]
    for place, run in enumerate(order):
        rows = sizes[sizes["run"] == run].assign(place=place)
        for column, shift, face in (("first", -0.15, "w"), ("whole", 0.15, STYLES[run]["color"])):
            moved = {"shift": lambda x, by=shift: x + by, "color": STYLES[run]["color"], "mfc": face}
            points(axes, rows, "place", column, log=True, **moved)
    axes.set_xticks(range(len(order)), [NAMES[run] for run in order], rotation=90)
    axes.set(yscale="log", ylabel="length of weights", xlim=(-0.5, len(order) - 0.5))
    plain_ticks(axes.yaxis)
    axes.set_title("RMS step (open: first)")


def _sentence(names: tuple[str, str], ratio: pd.Series) -> str:
    over, under = (IN_WORDS[name] for name in names)
    if ratio.isna().any():
        return f"{over} against {under} is {_verdict(ratio)}"
    return f"{over} is {_verdict(ratio)} {under} ({quoted(ratio, log=True)} times)"


def _verdict(ratio: pd.Series) -> str:
    """Faster than, slower than, or not; not determined where a pair has no ratio."""
    if ratio.isna().any():
        return f"not determined (no drift on the valley floor in {ratio.isna().sum()} of {len(ratio)} pairs)"
    return worded(ratio, "faster than", "slower than", "not shown to differ from", 1, log=True)


def _speeds(ratios: dict, shared: list[float], inside: Window, reach: float, kept: float) -> dict[str, str]:
    told = {
        f"speed of {IN_WORDS[over]} over {IN_WORDS[under]}, by step {step}": f"{_verdict(ratio)}"
        + (f" it ({quoted(ratio, log=True)} times)" if ratio.notna().all() else "")
        for (over, under), (ratio, step) in ratios.items()
    }
    how = (
        f"outward displacement over steps, from the starts in {span(inside)} that both runs have (all runs: "
        f"{listed(shared)}; not 0.5), up to the last step they share before the mean of either exceeds {reach:g} of the "
        "path; none in a pair where one of them did not move outward or less than "
        f"{kept:g} of its replicas were on the valley floor"
    )
    return told | {"speed": how}


def _steps(sizes: pd.DataFrame) -> dict[str, str]:
    """Of Adam and its partner."""
    wide = sizes.pivot(index="pair", columns="run", values=["first", "whole"])
    if not {"adam", "matched"} <= set(sizes["run"]):
        return {}
    return {
        f"RMS step of Adam's partner over Adam's, {when}": quoted(
            wide[part]["matched"] / wide[part]["adam"], log=True
        )
        for part, when in (("first", "in the first period"), ("whole", "over the run"))
    }


def _off(off: dict[str, pd.Series], off_floor: float, late: float) -> dict[str, str]:
    """Replicas whose displacement is no drift, by run."""
    what = f"minibatch loss above {off_floor:g} times the path's, mean over the last {late:g} of the run"
    return {
        f"replicas that end off the valley floor ({what}), {IN_WORDS[run]}": f"{gone.sum()} of {len(gone)}"
        for run, gone in off.items()
    }
