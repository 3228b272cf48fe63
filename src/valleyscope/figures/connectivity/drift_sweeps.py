"""How the speed of the drift depends on batch, learning rate and steps between projections (B5)."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.ticker import NullFormatter

from valleyscope.figures.captions import repeats
from valleyscope.figures.connectivity.shared import Window, span
from valleyscope.figures.panels import CUT, band, cut, legend_above, points
from valleyscope.figures.style import COLOURS, Picture, new_figure
from valleyscope.readings.drift import SETTING, base_setting, sweep
from valleyscope.readings.intervals import quoted, side

LABELS = {
    "batch": "batch $B$",
    "learning_rate": r"learning rate $\eta$",
    "steps": "steps $m$ of a period",
}
SYMBOLS = {"batch": "B", "learning_rate": "η", "steps": "m"}
STYLES = {
    "velocity": {"color": "k", "fmt": "o", "ls": "none"},
    "predicted": {"color": COLOURS[0], "ls": "-", "lw": 1.2},
    "descent": {"color": "0.5", "fmt": "D", "ms": 3, "mfc": "w", "ls": "none"},
}
NAMES = {
    "velocity": "measured, minus descent",
    "predicted": "predicted",
    "descent": "full-batch descent, in size",
}


def draw(velocities: pd.DataFrame, exponents: pd.DataFrame, *, inside: Window) -> Picture:
    """Outward velocity against B, η and m, the other two at the base; exponents beside the formula's.

    `inside`: positions over which the velocities are means.
    """
    figure, panels = new_figure(2.9, columns=4, width_ratios=[1, 1, 1, 0.95])
    for axes, variable in zip(panels, LABELS, strict=False):
        _draw_sweep(axes, sweep(velocities, variable), variable)
    clause = CUT * cut(list(panels[:3]))
    panels[0].set_ylabel(r"outward velocity (length per $t_\mathrm{eff}$)")
    _draw_exponents(panels[3], exponents)
    entries = {
        NAMES[name]: {"marker": style.get("fmt"), "ms": 3.5}
        | {key: value for key, value in style.items() if key != "fmt"}
        for name, style in STYLES.items()
    }
    legend_above(figure, entries | {"formula": {"color": COLOURS[3], "marker": "_", "ls": "none", "ms": 9}})
    by = {variable: rows.set_index("pair") for variable, rows in exponents.groupby("variable")}
    means = "Geometric means (exponents: means)"
    ends = repeats(velocities, "pair", means, f"positions {span(inside)}")
    return Picture(figure, f"{_finding(by)} {clause}{ends}", _numbers(velocities, by, inside))


def _draw_sweep(axes: plt.Axes, rows: pd.DataFrame, variable: str) -> None:
    axes.set(xscale="log", yscale="log")
    band(axes, rows, variable, "predicted", log=True, **STYLES["predicted"])
    for name, shift in (("descent", 1.05), ("velocity", 1.0)):
        sized = rows.assign(descent=rows["descent"].abs())
        points(axes, sized, variable, name, log=True, shift=lambda x, by=shift: x * by, **STYLES[name])
    grid = sorted(rows[variable].unique())
    axes.set_xticks(grid, [f"{value:g}" for value in grid])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", which="minor", bottom=False)
    axes.margins(x=0.15)
    axes.set_xlabel(LABELS[variable])


def _draw_exponents(axes: plt.Axes, exponents: pd.DataFrame) -> None:
    for place, variable in enumerate(LABELS):
        rows = exponents[exponents["variable"] == variable].assign(place=place)
        axes.plot([place - 0.35, place + 0.35], [rows["formula"].mean()] * 2, color=COLOURS[3], lw=1.5)
        for name, shift, column in (("velocity", -0.12, "exponent"), ("predicted", 0.12, "predicted")):
            style = {"color": STYLES[name]["color"], "shift": lambda x, by=shift: x + by}
            points(axes, rows, "place", column, **style)
    axes.axhline(0, color="0.6", lw=0.7, zorder=0)
    axes.set_xticks(range(3), [f"${name}$" for name in ("B", r"\eta", "m")])
    axes.set(xlim=(-0.5, 2.5), ylabel="exponent")


def _finding(by: dict[str, pd.DataFrame]) -> str:
    """The paper's claim, only as far as the intervals show it, and the exponents."""
    faster = {
        "batch": {-1: "smaller B", 1: "larger B"},
        "learning_rate": {1: "larger η", -1: "smaller η"},
        "steps": {1: "more steps m between projections", -1: "fewer steps m between projections"},
    }
    signs = {name: side(rows["exponent"]) for name, rows in by.items()}
    found = [faster[name][signs[name]] for name in LABELS if signs.get(name)]
    unclear = [SYMBOLS[name] for name in LABELS if signs.get(name) == 0]
    sentences = [f"The entropic drift is faster for {_joined(found)}."] if found else []
    if unclear:
        sentences.append(f"A dependence of the drift's speed on {_joined(unclear)} is not shown.")
    powers = [
        f"{quoted(by[name]['exponent'])} in {SYMBOLS[name]} (formula: {by[name]['formula'].mean():.3g})"
        for name in LABELS
        if name in by
    ]
    return f"{' '.join(sentences)} Exponents of its velocity: {', '.join(powers)}."


def _joined(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def _numbers(velocities: pd.DataFrame, by: dict[str, pd.DataFrame], inside: Window) -> dict[str, str]:
    numbers = {}
    for name in LABELS:
        if name in by:
            numbers |= _exponents(SYMBOLS[name], by[name])
    base = base_setting(velocities)
    at = velocities[(velocities[SETTING] == base).all(axis=1)]
    where = f"at B = {base['batch']:g}, η = {base['learning_rate']:g}, m = {base['steps']:g}"
    numbers |= {
        f"outward velocity {where}, lengths of weights per t_eff": quoted(at["velocity"], log=True),
        f"predicted velocity {where}": quoted(at["predicted"], log=True),
        f"velocity of full-batch descent {where}": quoted(at["descent"]),
        "formula": "η²(m − 1)/B, the first order in ηλ",
        "prediction": "theory with the linear recursion on the same grid, no free parameter",
        "velocity": "entropic displacement (minus descent) towards the nearer end per t_eff = steps x learning rate, mean over "
        f"positions in {span(inside)}; one variable at a time",
    }
    lost = int((~(velocities["velocity"] > 0)).sum())
    if lost:
        numbers["velocities that are not outward (not drawn; their pair has no exponent)"] = f"{lost}"
    return numbers


def _exponents(symbol: str, rows: pd.DataFrame) -> dict[str, str]:
    """Measured, predicted and the formula's; whether the last lies in the interval of the first."""
    formula = rows["formula"].mean()
    holds = "outside the interval" if side(rows["exponent"], formula) else "in the interval"
    known = rows["exponent"].notna().sum() > 1
    return {
        f"exponent of {symbol}": quoted(rows["exponent"]),
        f"exponent of {symbol}, predicted": quoted(rows["predicted"]),
        f"exponent of {symbol}, formula": f"{formula:.3g} ({holds})" if known else f"{formula:.3g}",
    }
