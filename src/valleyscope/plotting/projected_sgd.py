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


def excess(final: pd.DataFrame) -> pd.DataFrame:
    """Displacement of SGD minus that of the control from the same start on the same path."""
    wide = final.pivot(index=["start", "pair"], columns="noise", values="displacement")
    return (wide["minibatch"] - wide["none"]).rename("excess").reset_index()


def draw(table: pd.DataFrame) -> tuple[Figure, str]:
    """Displacement against t_eff; against start, beside the control; and beyond the control."""
    figure, (left, middle, right) = new_figure(2.7, columns=3, width_ratios=[1.2, 1, 1])
    means = by_pair(table)
    means["displacement"] = means["position"] - means["start"]
    starts = sorted(means["start"].unique())
    palette = dict(zip(starts, sns.color_palette("viridis", len(starts)), strict=True))
    sns.lineplot(
        means.query("noise == 'minibatch'"),
        x="t_eff",
        y="displacement",
        hue="start",
        palette=palette,
        errorbar=interval,
        err_kws={"alpha": 0.1},
        ax=left,
    )
    left.axhline(0, color="0.6", lw=0.7)
    left.legend(title="start", ncols=3, fontsize=6)
    left.set(xlabel=r"$t_\mathrm{eff}$ = steps x learning rate", ylabel="position - start")
    left.set_title("Minibatch SGD")

    final = displacements(table)
    points = {"x": "start", "errorbar": interval, "native_scale": True, "linestyles": "none"}
    points |= {"markersize": 3.5, "capsize": 0.01, "err_kws": {"linewidth": 1}}
    sns.pointplot(
        final,
        y="displacement",
        hue="noise",
        hue_order=list(NOISES),
        palette=[COLOURS[0], "k"],
        dodge=0.02,
        ax=middle,
        **points,
    )
    low, high = middle.get_ylim()
    middle.set_ylim(low, high + 0.3 * (high - low))  # room for the legend above every interval
    middle.legend(*_labels(middle), title=None, loc="upper left")
    middle.set(xlabel="start on the path", ylabel="position - start")
    middle.set_title(rf"At $t_\mathrm{{eff}}$ = {final['t_eff'].max():g}")
    sns.pointplot(excess(final), y="excess", color=COLOURS[0], ax=right, **points)
    right.set(xlabel="start on the path", ylabel="SGD - control")
    right.set_title("Beyond the control")
    for axes in (middle, right):
        axes.axhline(0, color="0.6", lw=0.7)
    return figure, _caption(final, table)


def _labels(axes) -> tuple[list, list[str]]:
    handles, names = axes.get_legend_handles_labels()
    return handles, [NOISES[name] for name in names]


def _caption(final: pd.DataFrame, table: pd.DataFrame) -> str:
    sgd = final[final["noise"] == "minibatch"]
    largest = final.groupby(["noise", "start"])["displacement"].mean().abs().groupby("noise").max()
    far = table.query("noise == 'minibatch' and step > 0")["distance"]
    return (
        f"By t_eff = {final['t_eff'].max():g} minibatch SGD has moved {_directions(sgd, 'displacement')}. The full-batch "
        "control, gradient descent with the same rate and momentum, shows how much of that is the slope of the loss: "
        f"beyond it SGD has moved {_directions(excess(final), 'excess')}. The largest mean displacement is {largest['minibatch']:.2g} of "
        f"the path for SGD and {largest['none']:.2g} for the control. Before each projection a replica is {far.mean():.2g} "
        f"(mean) and up to {far.max():.2g} (largest) away from the path. Mean and 95 % t-interval over "
        f"{final['pair'].nunique()} independent pairs of minima, {table['replica'].nunique() // final['start'].nunique()} "
        "replicas averaged in each; a direction is named where the interval excludes 0."
    )


def _directions(table: pd.DataFrame, column: str) -> str:
    """Towards which end from which starts, where the interval over pairs excludes 0."""
    moved = {"1": [], "0": []}
    for start, values in table.groupby("start")[column]:
        _, low, high = student_interval(values)
        if low > 0:
            moved["1"].append(f"{start:g}")
        elif high < 0:
            moved["0"].append(f"{start:g}")
    return f"towards 1 from {_listed(moved['1'])} and towards 0 from {_listed(moved['0'])}"


def _listed(names: list[str]) -> str:
    return ", ".join(names) if names else "no start"
