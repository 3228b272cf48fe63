"""How fast optimisers move along the path, each beside the plain SGD that is its fair partner (B6)."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from valleyscope.figures.connectivity.shared import CUT, plain_ticks
from valleyscope.figures.repeats import GEOMETRIC, band, cut, listed, points, quoted, thinned, worded
from valleyscope.figures.style import COLOURS, log_spread, new_figure
from valleyscope.readings.sgd import (
    OFF_FLOOR,
    REACH,
    by_start,
    final_changes,
    inside,
    outward,
    shared_starts,
    speed_ratio,
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
NAMES_IN_TEXT = NAMES | {
    "slow": "plain SGD at η/(1−β)",
    "decay": "momentum with decay",
    "matched": "Adam's partner",
}
RATIOS = [
    ("momentum", "slow"),
    ("adam", "matched"),
    ("momentum", "sgd"),
    ("nesterov", "momentum"),
    ("decay", "momentum"),
]


def draw(table: pd.DataFrame, path_losses: pd.DataFrame) -> tuple[Figure, str]:
    """Outward displacement against steps; ratios of speed; RMS step, in the first period and over the run."""
    table = inside(table[table["run"].isin(STYLES)]).assign(outward=outward)
    means = by_start(table, ["outward", "step_size"]).dropna(subset="outward")
    shared, runs = shared_starts(means), [run for run in STYLES if run in set(means["run"])]
    pairs = (
        means[means["start"].isin(shared)]
        .groupby(["run", "pair", "step"], as_index=False)[["outward", "step_size"]]
        .mean()
    )
    ratios = {
        names: speed_ratio(table, path_losses, *names) for names in RATIOS if set(names) <= set(means["run"])
    }
    left = {run: (~final_changes(table, path_losses, run)["on_floor"]).agg(["sum", "size"]) for run in runs}
    figure, (course, speeds, steps) = new_figure(3.3, columns=3, width_ratios=[1.1, 1, 1])
    for run, style in STYLES.items():
        rows = thinned(pairs[pairs["run"] == run], "step")
        if len(rows):
            band(course, rows, "step", "outward", lw=1.2, label=NAMES[run], **style)
    course.axhline(0, color="0.6", lw=0.7, zorder=0)
    course.set(xlabel="steps", ylabel="outward displacement (of path)", xlim=(0, None))
    course.set_title(f"From starts {listed(shared)}" if len(shared) < 4 else "From shared starts")
    figure.legend(loc="outside upper center", ncols=4)
    _draw_ratios(speeds, ratios)
    clause = CUT * cut([speeds])
    plain_ticks(speeds.yaxis)
    sizes = step_sizes(pairs)
    _draw_steps(steps, sizes)
    return figure, _caption(means, shared, ratios, sizes, _off_floor(left) + clause)


def step_sizes(pairs: pd.DataFrame) -> pd.DataFrame:
    """RMS length of a step in the first period and over the run (lengths of weights): run, pair, first, whole."""
    rows = pairs.dropna(subset="step_size").sort_values("step").groupby(["run", "pair"])["step_size"]
    whole = rows.agg(lambda sizes: np.sqrt(np.mean(sizes**2)))
    return pd.DataFrame({"first": rows.first(), "whole": whole}).reset_index()


def _draw_ratios(axes: plt.Axes, ratios: dict) -> None:
    for place, (ratio, _) in enumerate(ratios.values()):
        rows = pd.DataFrame({"place": place, "ratio": ratio})
        axes.plot(rows["place"] + 0.22, rows["ratio"], "o", color="0.6", ms=2.5)
        if ratio.notna().all():
            points(axes, rows, "place", "ratio", GEOMETRIC, color="k")
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
            points(axes, rows, "place", column, GEOMETRIC, **moved)
    axes.set_xticks(range(len(order)), [NAMES[run] for run in order], rotation=90)
    axes.set(yscale="log", ylabel="length of weights", xlim=(-0.5, len(order) - 0.5))
    plain_ticks(axes.yaxis)
    axes.set_title("RMS step (open: first)")


def _caption(means: pd.DataFrame, shared: list[float], ratios: dict, sizes: pd.DataFrame, clause: str) -> str:
    partners = {
        ("momentum", "slow"): "its fair partner, plain SGD at rate η/(1−β)",
        ("adam", "matched"): "plain SGD with Adam's RMS step over the run",
        ("momentum", "sgd"): "plain SGD at the same rate",
        ("nesterov", "momentum"): "momentum",
        ("decay", "momentum"): "momentum without it",
    }
    subjects = {"decay": "momentum with weight decay", "adam": "Adam", "nesterov": "Nesterov"}
    found = [
        f"{subjects.get(names[0], names[0])} {_sentence(*ratios[names], partners[names])}"
        for names in RATIOS
        if names in ratios
    ]
    wide = sizes.pivot(index="pair", columns="run", values=["first", "whole"])
    matched = ""
    if ("adam", "matched") in ratios:
        first, whole = (wide[part]["matched"] / wide[part]["adam"] for part in ("first", "whole"))
        matched = (
            f"The partner's RMS step is {quoted(first, log_spread)} times Adam's in the first period and "
            f"{quoted(whole, log_spread)} times over the run. "
        )
    used = sorted({step for _, step in ratios.values()})
    return (
        f"Per step along the path: {'; '.join(found)}. {matched}Speed: outward displacement over steps, from the starts in "
        f"[0.2, 0.8] that both runs have (all runs: {listed(shared)}; not 0.5), up to the last step they share before the mean "
        f"of either exceeds {REACH:g} of the path (step {' or '.join(map(str, used))}). {clause}Mean (ratios and steps: geometric) and 95 % t-interval "
        f"over {means['pair'].nunique()} independent pairs of minima, replicas averaged in each; grey points: single pairs."
    )


def _off_floor(left: dict[str, pd.Series]) -> str:
    """How many replicas of each run end off the valley floor."""
    told = [f"{NAMES_IN_TEXT[run]} {counts['sum']} of {counts['size']}" for run, counts in left.items()]
    return (
        f"Replicas with minibatch losses above {OFF_FLOOR:g} times the path's at the end, whose displacement is no drift: "
        f"{', '.join(told)}. "
    )


def _sentence(ratio: pd.Series, step: int, partner: str) -> str:
    if ratio.isna().any():
        missing = f"{ratio.isna().sum()} of {len(ratio)} pairs"
        return f"against {partner} is not determined (by step {step} one of them did not move outward, or most of its replicas had left the valley floor, in {missing})"
    found = worded(np.log(ratio), "is faster than", "is slower than", "is not shown to differ from")
    return f"{found} {partner} (ratio {quoted(ratio, log_spread)})"
