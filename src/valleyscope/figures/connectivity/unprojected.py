"""SGD that starts on the path and is never projected back, beside the same SGD with projection (B9)."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from valleyscope.figures.captions import repeats, worded
from valleyscope.figures.connectivity.projected_sgd import TIME
from valleyscope.figures.connectivity.shared import Window, span
from valleyscope.figures.panels import CUT, band, cut, plain_ticks, thinned
from valleyscope.figures.style import COLOURS, Picture, new_figure
from valleyscope.readings.intervals import quoted
from valleyscope.readings.sgd import courses, late_losses, recession

RUNS = {"free": "never projected", "momentum": "projected"}
COLOUR = dict(zip(RUNS, (COLOURS[3], COLOURS[0]), strict=True))
QUANTITIES = [  # column, label, whether logarithmic, title
    ("distance", "length of weights", True, "Distance to the path"),
    ("outward", "outward displacement (of path)", False, "Nearest point of the path"),
    ("loss", "loss (nats per token)", True, "Minibatch loss"),
]


def draw(table: pd.DataFrame, path_losses: pd.DataFrame, *, inside: Window, late: float) -> Picture:
    """Distance to the path, outward displacement of its nearest point, and loss, against t_eff."""
    pairs = courses(table, path_losses, inside)
    figure, panels = new_figure(2.9, columns=3)
    trimmed = False
    for axes, (column, label, log, title) in zip(panels, QUANTITIES, strict=True):
        for run, name in RUNS.items():
            rows = thinned(pairs[pairs["run"] == run], "step")
            band(axes, rows, "t_eff", column, log, color=COLOUR[run], lw=1.2, label=name)
            if column == "loss":
                path = {"ls": ":", "label": f"path, nearest ({name})"}
                band(axes, rows, "t_eff", "path_loss", log, color=COLOUR[run], lw=1.2, **path)
        axes.set(xlabel=TIME, ylabel=label, yscale="log" if log else "linear")
        if log:
            trimmed |= cut([axes])
            plain_ticks(axes.yaxis)
        axes.set_title(title)
    panels[1].axhline(0, color="0.6", lw=0.7, zorder=0)
    _legend(figure, panels[2])
    finding, numbers = _found(pairs, late)
    ends = repeats(
        pairs, "pair", "Geometric means (outward: means)", f"same rate and starts, in {span(inside)}"
    )
    return Picture(figure, f"{finding} {CUT * trimmed}{ends}", numbers)


def _legend(figure: Figure, axes: plt.Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4)


def _found(pairs: pd.DataFrame, late: float) -> tuple[str, dict[str, str]]:
    """The finding and all numbers."""
    end = pairs[pairs["step"] == pairs["step"].max()].set_index(["run", "pair"])
    losses, growth = late_losses(pairs, late), recession(pairs)
    moved, held = end.loc["free", "outward"], end.loc["momentum", "outward"]
    gap = losses.loc["free", "loss"] - losses.loc["momentum", "loss"]
    time = f"t_eff = {pairs['t_eff'].max():.3g}"
    away, loss = end.loc["free", "distance"], losses.loc["free", "loss"]
    finding = (
        f"Without projection SGD {worded(growth - 1, 'goes on leaving', 'comes back to', 'is not shown to go on leaving')} "
        f"the path: at {time} it is {quoted(away, log=True)} away, {quoted(growth, log=True)} times as far as at half time. "
        f"The nearest point {worded(moved, 'moves outward', 'moves inward', 'shows no direction')} ({quoted(moved)} of the "
        f"path). Its minibatch loss is {worded(gap, 'higher than', 'lower than', 'not shown to differ from')} that with "
        "projection."
    )
    numbers = {
        f"distance from the path at {time}, lengths of weights": quoted(away, log=True),
        "distance from the path with projection, just before each": quoted(
            end.loc["momentum", "distance"], log=True
        ),
        "distance over that at half the time": quoted(growth, log=True),
        "outward displacement of the nearest point, of the path": quoted(moved),
        "outward displacement with projection, of the path": quoted(held),
        "outward displacement, never projected minus projected": quoted(moved - held),
        f"minibatch loss over the last {late:g} of the run, nats per token": quoted(loss, log=True),
        "minibatch loss with projection": quoted(losses.loc["momentum", "loss"], log=True),
        "training loss of the path at the nearest points": quoted(losses.loc["free", "path_loss"], log=True),
    }
    return finding, numbers
