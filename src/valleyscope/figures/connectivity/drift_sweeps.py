"""How the speed of the drift depends on batch, learning rate and steps between projections (B5)."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from valleyscope.figures.connectivity.shared import CUT
from valleyscope.figures.landscape.shared import legend_above
from valleyscope.figures.repeats import GEOMETRIC, band, cut, points, quoted, shown
from valleyscope.figures.style import COLOURS, log_spread, new_figure
from valleyscope.readings.drift import SETTING, base_setting, sweep

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


def draw(velocities: pd.DataFrame, exponents: pd.DataFrame) -> tuple[Figure, str]:
    """Outward velocity against B, η and m, the other two at the base; exponents beside the formula's."""
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
    return figure, _caption(velocities, exponents, clause)


def _draw_sweep(axes: plt.Axes, rows: pd.DataFrame, variable: str) -> None:
    axes.set(xscale="log", yscale="log")
    band(axes, rows, variable, "predicted", GEOMETRIC, **STYLES["predicted"])
    for name, shift in (("descent", 1.05), ("velocity", 1.0)):
        sized = rows.assign(descent=rows["descent"].abs())
        points(axes, sized, variable, name, GEOMETRIC, shift=lambda x, by=shift: x * by, **STYLES[name])
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


def _caption(velocities: pd.DataFrame, exponents: pd.DataFrame, clause: str) -> str:
    by = {variable: rows.set_index("pair") for variable, rows in exponents.groupby("variable")}
    parts = [_sentence(SYMBOLS[name], by[name]) for name in LABELS if name in by]
    base = base_setting(velocities)
    at = velocities[(velocities[SETTING] == base).all(axis=1)].set_index("pair")
    lost = int((~(velocities["velocity"] > 0)).sum())
    return (
        f"{_claim(by)} Outward velocity goes as a power of {'; of '.join(parts)}. At the base (B = {base['batch']:g}, η = "
        f"{base['learning_rate']:g}, m = {base['steps']:g}) it is {quoted(at['velocity'], log_spread)}, predicted "
        f"{quoted(at['predicted'], log_spread)}, that of full-batch descent {quoted(at['descent'])} lengths of weights per t_eff. "
        "Formula: η²(m − 1)/B, the first order in ηλ; predicted: theory with the linear recursion on the same grid, no free "
        "parameter. Velocity: entropic displacement (minus descent) towards the nearer end per t_eff = steps x learning rate, "
        f"mean over positions in [0.2, 0.8]; one variable at a time. {clause}Mean (velocities: geometric) and 95 % t-interval over "
        f"{velocities['pair'].nunique()} independent pairs of minima."
        + (f" {lost} velocities that are not outward cannot be drawn and leave their pair without an exponent." if lost else "")
    )  # fmt: skip


def _claim(by: dict) -> str:
    """The paper's claim, only as far as the intervals show it."""
    faster = {
        "batch": {-1: "smaller B", 1: "larger B"},
        "learning_rate": {1: "larger η", -1: "smaller η"},
        "steps": {1: "more steps m between projections", -1: "fewer steps m between projections"},
    }
    signs = {name: shown(rows["exponent"]) for name, rows in by.items()}
    found = [faster[name][signs[name]] for name in LABELS if signs.get(name)]
    open_ = [SYMBOLS[name] for name in LABELS if name in signs and not signs[name]]
    text = f"The entropic drift is faster for {_joined(found)}." if found else ""
    if open_:
        text += f"{' ' * bool(text)}A dependence of the drift's speed on {_joined(open_)} is not shown."
    return text


def _joined(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def _sentence(symbol: str, rows: pd.DataFrame) -> str:
    formula = rows["formula"].mean()
    good = rows["exponent"].notna().sum() > 1
    holds = "in the interval" if not shown(rows["exponent"], formula) else "outside the interval"
    verdict = f" ({holds})" if good else ""
    return (
        f"{symbol} with exponent {quoted(rows['exponent'])}, predicted {quoted(rows['predicted'])}, "
        f"formula {formula:.3g}{verdict}"
    )
