"""SGD that starts on the path and is never projected back, beside the same SGD with projection (B9)."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from valleyscope.figures.connectivity.projected_sgd import TIME
from valleyscope.figures.connectivity.shared import CUT, plain_ticks
from valleyscope.figures.repeats import GEOMETRIC, MEAN, band, cut, quoted, thinned, worded
from valleyscope.figures.style import COLOURS, log_spread, new_figure
from valleyscope.readings.sgd import LATE, courses

RUNS = {"free": "never projected", "momentum": "projected"}
COLOUR = dict(zip(RUNS, (COLOURS[3], COLOURS[0]), strict=True))


def draw(table: pd.DataFrame, path_losses: pd.DataFrame) -> tuple[Figure, str]:
    """Distance to the path, outward displacement of its nearest point, and loss, against t_eff."""
    pairs = courses(table, path_losses)
    figure, panels = new_figure(2.9, columns=3)
    trimmed = False
    quantities = [
        ("distance", "length of weights", GEOMETRIC, "Distance to the path"),
        ("outward", "outward displacement (of path)", MEAN, "Nearest point of the path"),
        ("loss", "loss (nats per token)", GEOMETRIC, "Minibatch loss"),
    ]
    for axes, (column, label, statistics, title) in zip(panels, quantities, strict=True):
        for run, name in RUNS.items():
            rows = thinned(pairs[pairs["run"] == run], "step")
            band(axes, rows, "t_eff", column, statistics, color=COLOUR[run], lw=1.2, label=name)
            if column == "loss":
                path = {"ls": ":", "label": f"path, nearest ({name})"}
                band(axes, rows, "t_eff", "path_loss", statistics, color=COLOUR[run], lw=1.2, **path)
        axes.set(xlabel=TIME, ylabel=label, yscale="log" if statistics is GEOMETRIC else "linear")
        if statistics is GEOMETRIC:
            trimmed |= cut([axes])
            plain_ticks(axes.yaxis)
        axes.set_title(title)
    panels[1].axhline(0, color="0.6", lw=0.7, zorder=0)
    _legend(figure, panels[2])
    return figure, _caption(pairs, CUT * trimmed)


def _legend(figure: Figure, axes: plt.Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4)


def _caption(pairs: pd.DataFrame, clause: str) -> str:
    steps = np.sort(pairs.loc[pairs["step"] > 0, "step"].unique())
    last = steps[-1]
    half = steps[max(np.searchsorted(steps, last / 2, "right") - 1, 0)]
    at = pairs.set_index(["run", "pair"])
    end, middle = at[at["step"] == last], at[at["step"] == half]
    late = at[at["step"] >= (1 - LATE) * last].groupby(["run", "pair"])[["loss", "path_loss"]].mean()
    growth = end.loc["free", "distance"] / middle.loc["free", "distance"]
    beyond = end.loc["free", "outward"] - end.loc["momentum", "outward"]
    gap = late.loc["free", "loss"] - late.loc["momentum", "loss"]
    return (
        f"Without projection SGD {worded(growth - 1, 'goes on leaving', 'comes back to', 'is not shown to go on leaving')} the "
        f"path: at t_eff = {pairs['t_eff'].max():.3g} replicas are {quoted(end.loc['free', 'distance'], log_spread)} away from "
        f"it (lengths of weights), {quoted(growth, log_spread)} times as far as at half the time; with projection, "
        f"{quoted(end.loc['momentum', 'distance'], log_spread)} before each. The nearest point of the path "
        f"{worded(end.loc['free', 'outward'], 'moves outward', 'moves inward', 'shows no direction')}: "
        f"{quoted(end.loc['free', 'outward'])} of the path (projected: {quoted(end.loc['momentum', 'outward'])}; free minus "
        f"projected: {quoted(beyond)}). The minibatch loss over the last tenth of the run is "
        f"{quoted(late.loc['free', 'loss'], log_spread)} nats per token, "
        f"{worded(gap, 'higher than', 'lower than', 'not shown to differ from')} with projection "
        f"({quoted(late.loc['momentum', 'loss'], log_spread)}); the path's own training loss at the nearest points is "
        f"{quoted(late.loc['free', 'path_loss'], log_spread)} (dotted). Same learning rate, momentum and starts, in [0.2, 0.8] without 0.5. {clause}Mean "
        f"(distance, loss: geometric) and 95 % t-interval over {pairs['pair'].nunique()} independent pairs of minima, starts "
        "and replicas averaged in each."
    )
