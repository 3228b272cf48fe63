"""Seconds of each stage of Δ₂^(D), end to end, with k, and to one accuracy (Table 3)."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from valleyscope.figures.landscape.shared import PROCEDURES, k_axis, quoted
from valleyscope.figures.style import COLOURS, new_figure, spread
from valleyscope.readings.cost import NAMES, STAGES, TARGET, bias, shared_k, table3, time_to_target

LABELS = {
    ("gradient", ""): "one gradient of $L_k$",
    ("I subspace", ""): "I   subspace",
    ("II coefficients", ""): "II  coefficients",
} | {("III evaluation", estimator): f"III {name}" for estimator, name in NAMES.items()}


def draw(timing: pd.DataFrame, accuracy: pd.DataFrame) -> tuple[Figure, str]:
    """Top: calls by stage; end to end. Bottom: stage II against k; time to 1 % against σ."""
    figure, ((one, two), (three, four)) = new_figure(4.9, rows=2, columns=2, height_ratios=[1.5, 1])
    table = table3(timing, accuracy)
    k = shared_k(timing)
    _draw_stages(one, timing[timing["k"] == k].fillna({"estimator": ""}))
    _draw_end_to_end(two, table)
    coefficients = timing.query("procedure == 'corrected' and stage == 'II coefficients'")
    three.plot(
        coefficients["k"], coefficients["seconds"], "o", ms=3, alpha=0.5, color=PROCEDURES["corrected"]
    )
    medians = coefficients.groupby("k")["seconds"].median()
    three.plot(medians.index, medians, "k-", lw=0.8)
    three.set(yscale="log", ylabel="seconds")
    k_axis(three, coefficients["k"])
    three.set_ylim(medians.min() / 3, medians.max() * 3)
    three.set_title("Stage II, corrected (line: medians)")
    _draw_times(four, table, accuracy.sort_values("sigma"))
    return figure, _caption(timing, table, accuracy.sort_values("sigma"), medians)


def _draw_stages(panel: plt.Axes, rows: pd.DataFrame) -> None:
    calls_of = rows.groupby(["procedure", "stage", "estimator"])["seconds"]
    for row, key in enumerate(LABELS):
        for procedure, shift in (("corrected", -0.18), ("published", 0.18)):
            if (procedure, *key) in calls_of.groups:
                calls, colour = calls_of.get_group((procedure, *key)), PROCEDURES[procedure]
                panel.plot(calls, [row + shift] * len(calls), "o", ms=2.5, alpha=0.5, color=colour)
                panel.plot(calls.median(), row + shift, "|", ms=6, color="k")
                panel.annotate(
                    f"{calls.median():.2g} s", (calls.max(), row + shift), (5, 0),
                    textcoords="offset points", va="center", size=6, color=colour,
                )  # fmt: skip
    panel.set_yticks(range(len(LABELS)), LABELS.values())
    panel.set(xscale="log", xlabel="seconds (bar: median)")
    panel.invert_yaxis()
    panel.margins(x=0.25)
    handles = [plt.Line2D([], [], color=c, marker="o", ls="", ms=3, label=p) for p, c in PROCEDURES.items()]
    panel.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    panel.set_title("By stage")


def _draw_end_to_end(panel: plt.Axes, table: pd.DataFrame) -> None:
    names = [f"{NAMES[row.estimator]}\n({row.procedure})" for row in table.itertuples()]
    start = np.zeros(len(table))
    for (column, stage), colour in zip(STAGES.items(), COLOURS[2:], strict=False):
        seconds = table[column].fillna(0)
        panel.barh(names, seconds, left=start, color=colour, label=stage)
        start += seconds
    for row, total in enumerate(start):
        panel.annotate(
            f"{total:.3g} s", (total, row), (3, 0), textcoords="offset points", va="center", size=6
        )
    panel.set(xlabel="seconds", xlim=(0, 1.2 * max(start)))
    panel.invert_yaxis()
    panel.legend(loc="upper center", bbox_to_anchor=(0.4, -0.2), ncols=3, columnspacing=1, handlelength=1)
    panel.set_title("End to end")


def _draw_times(panel: plt.Axes, table: pd.DataFrame, accuracy: pd.DataFrame) -> None:
    """Hollow: the closed form where its bias exceeds the target, so that it never gets there."""
    rows = table.query("procedure == 'corrected'").set_index("estimator", drop=False)
    for name, colour in (("direct", COLOURS[3]), ("gaussian_moment", COLOURS[0])):
        times = [time_to_target(rows.loc[name], at) for _, at in accuracy.iterrows()]
        reached = np.isfinite(times)
        shown = np.where(reached, times, rows.loc[name, "end_to_end"])
        panel.plot(accuracy["sigma"], shown, "-", lw=1, color=colour)
        panel.plot(accuracy["sigma"][reached], shown[reached], "o", ms=4, color=colour, label=NAMES[name])
        panel.plot(accuracy["sigma"][~reached], shown[~reached], "o", ms=4, color=colour, mfc="white")
    panel.set(xscale="log", xlabel=r"$\sigma$", ylabel="seconds")
    longest = max(line.get_ydata().max(initial=0) for line in panel.lines)
    if longest > 10 * rows["end_to_end"].min():
        panel.set_yscale("log")
    else:
        panel.set_ylim(0, 1.3 * longest)
    panel.legend()
    panel.set_title("To 1 % relative standard error")


def _caption(timing: pd.DataFrame, table: pd.DataFrame, accuracy: pd.DataFrame, by_k: pd.Series) -> str:
    k = shared_k(timing)
    rows = table.set_index(["procedure", "estimator"])
    ours, theirs = rows.loc["corrected"], rows.loc["published"]
    closed, their_closed = ours.loc["gaussian_moment"], theirs.loc["gaussian_moment"]
    setup = [row["stage_1"] + row["stage_2"] for row in (their_closed, closed)]
    gradient = timing.query("procedure == 'corrected' and stage == 'gradient' and k == @k")["seconds"]
    corrected = ours.assign(procedure="corrected", estimator=ours.index)
    times = [
        f"{time_to_target(corrected.loc['direct'], at):.3g} s at σ = {at['sigma']:g} (bias of the closed form "
        f"{100 * bias(at):.2g} ± {100 * at['difference_se'] / at['direct']:.1g} %)"
        for _, at in accuracy.iterrows()
    ]
    never = [f"{at['sigma']:g}" for _, at in accuracy.iterrows() if bias(at) > TARGET]
    return (
        f"After setup the closed form is {ours.at['direct', 'evaluation_ratio']:,.0f} times faster than batched and "
        f"{ours.at['direct_unbatched', 'evaluation_ratio']:,.0f} times than unbatched direct Monte Carlo; end to end the "
        f"ratios are {ours.at['direct', 'end_to_end_ratio']:.2f} and {ours.at['direct_unbatched', 'end_to_end_ratio']:.2f}: "
        f"stage I, which all need, is {100 * closed['stage_1'] / closed['end_to_end']:.0f} % of the closed form's time "
        f"({closed['stage_1'] / gradient.median():.0f} gradients of L_k). In the published procedure the ratios are "
        f"{theirs.at['direct_unbatched', 'evaluation_ratio']:,.0f} after setup and "
        f"{theirs.at['direct_unbatched', 'end_to_end_ratio']:.2f} end to end (unbatched), and its stages I + II take "
        f"{setup[0] / setup[1]:.3g} times as long as the corrected ones. Stage II at k = {by_k.index[-1]} takes "
        f"{by_k.iloc[-1] / by_k.iloc[0]:.2f} times as long as at k = {by_k.index[0]}. To 1 % relative standard error, "
        f"stage I included, direct Monte Carlo needs {', '.join(times)}; the closed form takes {closed['end_to_end']:.3g} s"
        + (
            f" and never gets there at σ = {', '.join(never)} (hollow), where its bias alone is larger"
            if never
            else ""
        )
        + f". k = {k}, D = {accuracy['dim'].iloc[0]:.0f}, S = {accuracy['samples'].iloc[0]:.0f} unless a line says "
        f"otherwise. One gradient takes {quoted(gradient * 1e3, spread)} ms. One model, {len(gradient)} timed calls of each "
        "stage after a warm-up, all cores; points are calls, brackets a 95 % t-interval over calls, ± standard errors."
    )
