"""Paper A's probe along Paper B's path: does Var δ rise where Tr H does?"""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from valleyscope.figures.connectivity.shared import (
    ARC,
    CUT,
    NO_DIFFERENCE,
    against_ends,
    compared,
    intervals_over_pairs,
    plain_ticks,
    ratio_axis,
    ratio_point,
    rows_of,
    side,
)
from valleyscope.figures.landscape.shared import legend_above, shades, trace, trim, widths
from valleyscope.figures.style import COLOURS, new_figure, spread
from valleyscope.readings.intervals import student_interval
from valleyscope.readings.landscape import TERMS
from valleyscope.readings.paths import middle_over_ends, over_ends

BARRIER = {"color": "k", "ls": "--", "lw": 1.2}
ALONE = {  # terms whose ratio to the ends does not depend on σ: label and look
    "value": (r"$a^2$", {"color": "0.55", "lw": 1.4}),
    "slope": (r"slope $\sigma^2\|c\|^2$", {"color": COLOURS[0], "lw": 1.2}),
    "curvature": (r"curvature, $\propto \sigma^4$", {"color": COLOURS[1], "lw": 1.2}),
}
BY_SIGMA = {  # column: label
    "variance": r"$\mathrm{Var}\,\delta$",
    "moment": r"$\Delta_2^{(D)}$",
}
Ratios = dict[str, pd.Series]  # middle over ends by pair, of each term or σ


def draw(criteria: pd.DataFrame, curvature: pd.DataFrame) -> tuple[Figure, str]:
    """Relative to the ends, beside Tr H: the terms at the largest D, Var δ and Δ₂^(D) at each σ; middle over ends."""
    criteria, curvature = at_largest_dim(rows_of(criteria)), rows_of(curvature)
    criteria = criteria.assign(moment=criteria[TERMS].sum(axis="columns"))
    one = criteria[criteria["sigma"] == criteria["sigma"].min()]
    colours = shades(criteria["sigma"], "Greens_d")
    dim = one["dim"].iloc[0]
    figure, ((terms, variance), (moment, ratios)) = new_figure(5.0, rows=2, columns=2)
    for name, (_, style) in ALONE.items():
        _draw_relative(terms, one, name, **style)
    terms.set_title(f"Terms at D = {dim} (σ cancels)")
    for panel, (name, label) in zip((variance, moment), BY_SIGMA.items(), strict=True):
        _draw_relative(panel, one, "value", **ALONE["value"][1])
        for sigma, width in widths(colours).items():
            rows = criteria[criteria["sigma"] == sigma]
            _draw_relative(panel, rows, name, color=colours[sigma], lw=0.8 * width)
        panel.set_title(f"{label} at D = {dim}")
    profiles = [terms, variance, moment]
    for panel in profiles:
        _draw_relative(panel, curvature, "trace", **BARRIER)
        panel.axhline(1, color="0.6", lw=0.7, zorder=0)
        panel.set(yscale="log", xlabel=ARC, ylabel="over the mean of the ends")
        panel.sharey(terms)
    cut = trim(profiles)
    for panel in profiles:
        plain_ticks(panel.yaxis)
    found = _found(criteria, curvature)
    cut |= _draw_ratios(ratios, found, colours)
    _draw_legend(figure, colours)
    return figure, _caption(criteria, curvature, found, cut)


def at_largest_dim(criteria: pd.DataFrame) -> pd.DataFrame:
    """The rows of the widest probe."""
    return criteria[criteria["dim"] == criteria["dim"].max()]


def following(rows: pd.DataFrame, curvature: pd.DataFrame, name: str) -> pd.Series:
    """Rank correlation along the path of a column and Tr H, by pair; 0 where one of them is constant."""
    both = rows.merge(curvature[["pair", "position", "trace"]], on=["pair", "position"])
    values = {}
    for pair, part in both.groupby("pair"):
        ranks = part[[name, "trace"]].rank()
        constant = (ranks.nunique() < 2).any()
        values[pair] = 0.0 if constant else ranks[name].corr(ranks["trace"])
    return pd.Series(values)


def _found(criteria: pd.DataFrame, curvature: pd.DataFrame) -> dict[str, Ratios]:
    """Middle over ends: of Tr H and the terms without σ ("alone"), of Var δ and Δ₂^(D) by σ."""
    by_sigma = dict(list(criteria.groupby("sigma")))
    alone = {name: middle_over_ends(by_sigma[min(by_sigma)], name) for name in ALONE}
    found = {"alone": {"trace": middle_over_ends(curvature, "trace"), **alone}}
    for name in BY_SIGMA:
        found[name] = {f"σ = {sigma:g}": middle_over_ends(rows, name) for sigma, rows in by_sigma.items()}
    return found


def _draw_relative(panel: plt.Axes, table: pd.DataFrame, name: str, **style) -> None:
    rows = table.assign(relative=over_ends(table, name)).sort_values("position")
    trace(panel, rows, "position", "relative", **style)


def _draw_ratios(panel: plt.Axes, found: dict[str, Ratios], colours: dict) -> bool:
    """Rows: Tr H, the terms, then a row a σ with Var δ (full) above Δ₂^(D) (open)."""
    looks = {"trace": (r"$\mathrm{Tr}\,H$", BARRIER)} | ALONE
    for place, (name, (_, style)) in enumerate(looks.items()):
        ratio_point(panel, place, found["alone"][name], fmt="o", ms=4.5, color=style["color"])
    names = [label for label, _ in looks.values()]
    for place, colour in enumerate(colours.values(), start=len(names)):
        for shift, column, fill in ((-0.15, "variance", "full"), (0.15, "moment", "none")):
            ratios = list(found[column].values())[place - len(names)]
            ratio_point(panel, place + shift, ratios, fmt="o", ms=4.5, fillstyle=fill, color=colour)
    cut = ratio_axis(panel, [*names, *(rf"$\sigma$ = {sigma:g}" for sigma in colours)], "middle / ends")
    panel.set_title("Middle over ends")
    return cut


def _draw_legend(figure: Figure, colours: dict) -> None:
    entries = {r"$\mathrm{Tr}\,H$": BARRIER} | dict(ALONE.values())
    entries |= {rf"$\sigma$ = {sigma:g}": {"color": colour} for sigma, colour in colours.items()}
    point = {"color": "0.3", "ls": "", "marker": "o", "ms": 4.5}
    for (_, label), fill in zip(BY_SIGMA.items(), ("full", "none"), strict=True):
        entries[f"{label}, middle / ends"] = point | {"fillstyle": fill}
    legend_above(figure, entries, columns=-(-len(entries) // 2))


def _caption(criteria: pd.DataFrame, curvature: pd.DataFrame, found: dict[str, Ratios], cut: bool) -> str:
    alone, dim = found["alone"], criteria["dim"].iloc[0]
    shares = criteria.assign(share=criteria["variance"] / criteria["moment"]).groupby(["sigma", "pair"])
    by_sigma = shares["share"].mean().groupby("sigma")
    held = ", ".join(f"{spread(rows, 2)} at σ = {sigma:g}" for sigma, rows in by_sigma)
    return (
        f"{_seen(found)} Middle (0.4 to 0.6) over ends at D = {dim}: of Var δ {compared(found['variance'])}. Of Δ₂^(D) "
        f"{compared(found['moment'])}. Tr H is {against_ends(alone['trace'])}, a² {against_ends(alone['value'])}, the slope term "
        f"{against_ends(alone['slope'])}, the curvature term {against_ends(alone['curvature'])}. "
        f"{_follows(criteria, curvature)} Var δ over Δ₂^(D), mean over the path: {held}. Terms are means over held-out "
        "candidates for the next sample; the cross term, which has a sign, enters Δ₂^(D) only. AutoNEB between minima of "
        f"AdamW. {CUT * cut}{intervals_over_pairs(criteria)}"
    )


def _seen(found: dict[str, Ratios]) -> str:
    """Whether Var δ rises where Tr H does, at which σ, and what a² does."""
    if side(found["alone"]["trace"]) != 1:
        return "Tr H shows no clear barrier on these paths, so there is none for the probe to see."
    rises = {sign: [name for name, r in found["variance"].items() if side(r) == sign] for sign in (1, 0, -1)}
    parts = [
        f"{words} {', '.join(rises[sign])}"
        for sign, words in (
            (1, "rises with it at"),
            (0, f"is {NO_DIFFERENCE} from its ends at"),
            (-1, "falls at"),
        )
        if rises[sign]
    ]
    point = {1: "rises too", 0: f"is {NO_DIFFERENCE} from its ends", -1: "falls"}[
        side(found["alone"]["value"])
    ]
    return f"Where Tr H has its barrier, Var δ of the curvature-aligned probe {'; '.join(parts)}; a² {point}."


def _follows(criteria: pd.DataFrame, curvature: pd.DataFrame) -> str:
    """Rank correlation with Tr H along the path."""
    one = criteria[criteria["sigma"] == criteria["sigma"].min()]
    values = {
        f"Var δ (σ = {sigma:g})": following(rows, curvature, "variance")
        for sigma, rows in criteria.groupby("sigma")
    }
    values["a²"] = following(one, curvature, "value")
    parts = []
    for name, by_pair in values.items():
        if len(by_pair) > 1:
            mean, low, high = student_interval(by_pair)
            unclear = "" if low > 0 or high < 0 else f", {NO_DIFFERENCE} from 0"
            parts.append(f"{name} {mean:.2g} [{max(low, -1):.2g}, {min(high, 1):.2g}]{unclear}")
    return f"Rank correlation with Tr H along the path: {'; '.join(parts) or 'not measured'}."
