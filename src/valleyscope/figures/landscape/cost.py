"""Seconds of each stage of Δ₂^(D), end to end, with k, and to one accuracy (Table 3)."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from valleyscope.figures.captions import listed
from valleyscope.figures.landscape.shared import PROCEDURES, k_axis
from valleyscope.figures.style import COLOURS, Picture, new_figure
from valleyscope.readings.cost import NAMES, STAGES, bias, shared_k, table3, time_to
from valleyscope.readings.intervals import quoted

LABELS = {
    ("gradient", ""): "one gradient of $L_k$",
    ("I subspace", ""): "I   subspace",
    ("II coefficients", ""): "II  coefficients",
} | {("III evaluation", estimator): f"III {name}" for estimator, name in NAMES.items()}


def draw(timing: pd.DataFrame, errors: pd.DataFrame, *, rmse: float) -> Picture:
    """Top: calls by stage; end to end. Bottom: stage II against k; time to one accuracy against σ.

    rmse: that relative standard error of Δ₂^(D).
    """
    errors = errors.sort_values("sigma")
    figure, ((one, two), (three, four)) = new_figure(4.9, rows=2, columns=2, height_ratios=[1.5, 1])
    table = table3(timing, errors, rmse)
    k = shared_k(timing)
    _draw_stages(one, timing[timing["k"] == k].fillna({"estimator": ""}))
    _draw_end_to_end(two, table)
    coefficients = _stage_two(timing)
    three.plot(
        coefficients["k"], coefficients["seconds"], "o", ms=3, alpha=0.5, color=PROCEDURES["corrected"]
    )
    medians = coefficients.groupby("k")["seconds"].median()
    three.plot(medians.index, medians, "k-", lw=0.8)
    three.set(yscale="log", ylabel="seconds")
    k_axis(three, coefficients["k"])
    three.set_ylim(medians.min() / 3, medians.max() * 3)
    three.set_title("Stage II, corrected (line: medians)")
    _draw_times(four, table, errors, rmse)
    return Picture(figure, _caption(timing, table, errors, rmse), _numbers(timing, table, errors, rmse))


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


def _draw_times(panel: plt.Axes, table: pd.DataFrame, errors: pd.DataFrame, rmse: float) -> None:
    """Hollow: the closed form where its bias exceeds the accuracy, so that it never gets there."""
    rows = table.query("procedure == 'corrected'").set_index("estimator", drop=False)
    for name, colour in (("direct", COLOURS[3]), ("gaussian_moment", COLOURS[0])):
        times = [time_to(rmse, rows.loc[name], at) for _, at in errors.iterrows()]
        reached = np.isfinite(times)
        shown = np.where(reached, times, rows.loc[name, "end_to_end"])
        panel.plot(errors["sigma"], shown, "-", lw=1, color=colour)
        panel.plot(errors["sigma"][reached], shown[reached], "o", ms=4, color=colour, label=NAMES[name])
        panel.plot(errors["sigma"][~reached], shown[~reached], "o", ms=4, color=colour, mfc="white")
    panel.set(xscale="log", xlabel=r"$\sigma$", ylabel="seconds")
    longest = max(line.get_ydata().max(initial=0) for line in panel.lines)
    if longest > 10 * rows["end_to_end"].min():
        panel.set_yscale("log")
    else:
        panel.set_ylim(0, 1.3 * longest)
    panel.legend()
    panel.set_title(f"To {100 * rmse:g} % relative standard error")


def _caption(timing: pd.DataFrame, table: pd.DataFrame, errors: pd.DataFrame, rmse: float) -> str:
    """Monte Carlo at the largest σ, where it has most to average."""
    ours = table[table["procedure"] == "corrected"].set_index("estimator", drop=False)
    closed, direct, unbatched = (ours.loc[name] for name in ("gaussian_moment", "direct", "direct_unbatched"))
    last = errors.iloc[-1]
    never = errors.loc[bias(errors) > rmse, "sigma"]
    bent = f" and by its bias never gets there at σ = {listed(never)} (hollow)" if len(never) else ""
    return (
        f"End to end direct Monte Carlo takes {direct['end_to_end_ratio']:.2f} times as long as the closed form (unbatched "
        f"{unbatched['end_to_end_ratio']:.2f}), against {direct['evaluation_ratio']:,.0f} "
        f"({unbatched['evaluation_ratio']:,.0f}) times after setup: stage I, which all need, is "
        f"{100 * closed['stage_1'] / closed['end_to_end']:.0f} % of the closed form's time. To {100 * rmse:g} % at σ = "
        f"{last['sigma']:g} direct Monte Carlo needs {time_to(rmse, direct, last):.3g} s; the closed form takes "
        f"{closed['end_to_end']:.3g} s{bent}. Medians of {len(_gradient(timing))} timed calls (points), one model, all cores; "
        f"k = {shared_k(timing)}, D = {errors['dim'].iloc[0]:.0f}, S = {errors['samples'].iloc[0]:.0f}."
    )


def _numbers(timing: pd.DataFrame, table: pd.DataFrame, errors: pd.DataFrame, rmse: float) -> dict[str, str]:
    """Both ratios of each procedure, stages against each other and over k, times and biases by σ."""
    gradient = _gradient(timing)["seconds"]
    rows = table.set_index(["procedure", "estimator"], drop=False)
    closed, theirs = (rows.loc[(name, "gaussian_moment")] for name in ("corrected", "published"))
    told = {"one gradient of L_k, ms (95 % t-interval over calls)": quoted(gradient * 1e3)}
    told["stage I, corrected, in gradients of L_k"] = f"{closed['stage_1'] / gradient.median():.0f}"
    for (procedure, estimator), row in rows.iterrows():
        if estimator in ("direct", "direct_unbatched"):
            name = f"{NAMES[estimator]} over closed form, {procedure}"
            told[f"{name}, after setup"] = f"{row['evaluation_ratio']:,.0f}"
            told[f"{name}, end to end"] = f"{row['end_to_end_ratio']:.2f}"
    setup = [row["stage_1"] + row["stage_2"] for row in (theirs, closed)]
    told["stages I + II, seconds, published over corrected"] = f"{setup[0] / setup[1]:.3g}"
    by_k = _stage_two(timing).groupby("k")["seconds"].median()
    told[f"stage II, corrected, k = {by_k.index[-1]} over k = {by_k.index[0]}"] = (
        f"{by_k.iloc[-1] / by_k.iloc[0]:.2f}"
    )
    for _, at in errors.iterrows():
        direct = time_to(rmse, rows.loc[("corrected", "direct")], at)
        told[f"direct MC to {100 * rmse:g} % at σ = {at['sigma']:g}, stage I included, s"] = f"{direct:.3g}"
        told[f"bias of the closed form at σ = {at['sigma']:g}, % (± standard error)"] = (
            f"{100 * bias(at):.2g} ± {100 * at['difference_se'] / at['direct']:.1g}"
        )
    return told


def _gradient(timing: pd.DataFrame) -> pd.DataFrame:
    """Calls of one gradient of L_k at the k of Table 3."""
    rows = timing[timing["k"] == shared_k(timing)]
    return rows.query("procedure == 'corrected' and stage == 'gradient'")


def _stage_two(timing: pd.DataFrame) -> pd.DataFrame:
    return timing.query("procedure == 'corrected' and stage == 'II coefficients'")
