"""Where projected SGD goes on the path, beside gradient descent from the same starts."""

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from valleyscope.intervals import student_interval
from valleyscope.plotting.style import COLOURS, interval, new_figure

NOISES = {"minibatch": "minibatch SGD", "none": "full-batch control"}


def by_pair(table: pd.DataFrame) -> pd.DataFrame:
    """Mean over replicas: pairs are the independent repeats, replicas share a path."""
    keys = ["noise", "pair", "start", "step", "t_eff"]
    return table.groupby(keys, as_index=False)[["position", "distance"]].mean()


def displacements(table: pd.DataFrame) -> pd.DataFrame:
    """Position minus start at the last step that SGD and control share, a row a pair and start."""
    last = min(rows["step"].max() for _, rows in table.groupby("noise"))
    final = by_pair(table[table["step"] == last])
    return final.assign(displacement=final["position"] - final["start"])


def draw(table: pd.DataFrame) -> tuple[Figure, str]:
    """Left: displacement against t_eff from each start. Right: against start, beside the control."""
    figure, (left, right) = new_figure(3.0, columns=2, width_ratios=[1.3, 1])
    means = by_pair(table)
    means["displacement"] = means["position"] - means["start"]
    sns.lineplot(
        means.query("noise == 'minibatch'"),
        x="t_eff",
        y="displacement",
        hue="start",
        palette="vlag",
        errorbar=interval,
        ax=left,
    )
    left.axhline(0, color="0.6", lw=0.7)
    left.legend(title="start", ncols=3, loc="upper left")
    left.set(xlabel=r"$t_\mathrm{eff}$ = steps x learning rate", ylabel="position - start")
    left.set_title("Projected minibatch SGD")
    final = displacements(table)
    sns.pointplot(
        final,
        x="start",
        y="displacement",
        hue="noise",
        hue_order=list(NOISES),
        palette=[COLOURS[0], "k"],
        errorbar=interval,
        native_scale=True,
        linestyles="none",
        markersize=4,
        capsize=0.01,
        err_kws={"linewidth": 1},
        ax=right,
    )
    right.axhline(0, color="0.6", lw=0.7)
    right.set(xlabel="start on the path", ylabel="position - start")
    right.set_title(rf"Displacement at $t_\mathrm{{eff}}$ = {final['t_eff'].max():g}")
    right.legend(*_labels(right), title=None)
    return figure, _caption(final, table)


def _labels(axes) -> tuple[list, list[str]]:
    handles, names = axes.get_legend_handles_labels()
    return handles, [NOISES[name] for name in names]


def _caption(final: pd.DataFrame, table: pd.DataFrame) -> str:
    wide = final.pivot(index=["start", "pair"], columns="noise", values="displacement")
    excess = wide["minibatch"] - wide["none"]
    largest = wide.abs().groupby("start").mean().max()
    far = table.query("noise == 'minibatch' and step > 0")["distance"]
    return (
        f"By t_eff = {final['t_eff'].max():g} minibatch SGD has moved {_directions(wide['minibatch'])}. The full-batch "
        "control, gradient descent with the same rate and momentum, shows how much of that is the slope of the loss: "
        f"beyond it SGD has moved {_directions(excess)}. The largest mean displacement is {largest['minibatch']:.2g} of "
        f"the path for SGD and {largest['none']:.2g} for the control. Before each projection a replica is {far.mean():.2g} "
        f"(mean) and up to {far.max():.2g} (largest) away from the path. Mean and 95 % t-interval over "
        f"{final['pair'].nunique()} independent pairs of minima, {table['replica'].nunique() // final['start'].nunique()} "
        "replicas averaged in each; a direction is named where the interval excludes 0."
    )


def _directions(displacement: pd.Series) -> str:
    """Towards which end from which starts, for a series by (start, pair)."""
    moved = {"1": [], "0": []}
    for start, values in displacement.groupby("start"):
        _, low, high = student_interval(values)
        if low > 0:
            moved["1"].append(f"{start:g}")
        elif high < 0:
            moved["0"].append(f"{start:g}")
    return f"towards 1 from {_listed(moved['1'])} and towards 0 from {_listed(moved['0'])}"


def _listed(names: list[str]) -> str:
    return ", ".join(names) if names else "no start"
