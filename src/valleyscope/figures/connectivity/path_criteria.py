"""Paper A's probe along Paper B's path: does Var δ rise where Tr H does?"""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from valleyscope.figures.captions import repeats
from valleyscope.figures.connectivity.shared import (
    ARC,
    MAIN,
    NO_DIFFERENCE,
    Window,
    against_ends,
    compared,
    judged,
    ratio_axis,
    ratio_point,
    span,
)
from valleyscope.figures.panels import CUT, band, cut, legend_above, plain_ticks, shades, widths
from valleyscope.figures.style import COLOURS, Picture, new_figure
from valleyscope.readings.intervals import interval_of, quoted, side
from valleyscope.readings.landscape import moments
from valleyscope.readings.paths import middle_over_ends, over_ends, rows_of

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
IN_WORDS = {
    "trace": "Tr H",
    "value": "a²",
    "slope": "slope term",
    "curvature": "curvature term",
    "variance": "Var δ",
    "moment": "Δ₂^(D)",
}
Ratios = dict[
    str, dict
]  # middle over ends by pair: of Tr H and the terms without σ ("alone"), of the others by σ


def draw(criteria: pd.DataFrame, curvature: pd.DataFrame, *, middle: Window) -> Picture:
    """Relative to the ends, beside Tr H: the terms at the largest D, Var δ and Δ₂^(D) at each σ; middle over ends."""
    criteria, curvature = at_largest_dim(rows_of(criteria)), rows_of(curvature)
    criteria = criteria.assign(moment=moments(criteria))
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
    trimmed = cut(profiles)
    for panel in profiles:
        plain_ticks(panel.yaxis)
    found = _found(criteria, curvature, middle)
    trimmed |= _draw_ratios(ratios, found, colours)
    _draw_legend(figure, colours)
    ends = repeats(criteria, "pair", scale=f"{MAIN}, D = {dim}, middle: {span(middle)}")
    largest = max(share.mean() for share in _shares(criteria).values())
    caption = (
        f"{_finding(found)} Var δ makes at most {largest:.2g} of Δ₂^(D) in the mean. {CUT * trimmed}{ends}"
    )
    return Picture(figure, caption, _numbers(criteria, curvature, found))


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


def _found(criteria: pd.DataFrame, curvature: pd.DataFrame, window: Window) -> Ratios:
    by_sigma = dict(list(criteria.groupby("sigma")))
    alone = {name: middle_over_ends(by_sigma[min(by_sigma)], name, window) for name in ALONE}
    found = {"alone": {"trace": middle_over_ends(curvature, "trace", window), **alone}}
    for name in BY_SIGMA:
        found[name] = {sigma: middle_over_ends(rows, name, window) for sigma, rows in by_sigma.items()}
    return found


def _draw_relative(panel: plt.Axes, table: pd.DataFrame, name: str, **style) -> None:
    band(panel, table.assign(relative=over_ends(table, name)), "position", "relative", log=True, **style)


def _draw_ratios(panel: plt.Axes, found: Ratios, colours: dict) -> bool:
    """Rows: Tr H, the terms, then a row a σ with Var δ (full) above Δ₂^(D) (open)."""
    looks = {"trace": (r"$\mathrm{Tr}\,H$", BARRIER)} | ALONE
    for place, (name, (_, style)) in enumerate(looks.items()):
        ratio_point(panel, place, found["alone"][name], fmt="o", ms=4.5, color=style["color"])
    names = [label for label, _ in looks.values()]
    for place, (sigma, colour) in enumerate(colours.items(), start=len(names)):
        for shift, column, fill in ((-0.15, "variance", "full"), (0.15, "moment", "none")):
            style = {"fmt": "o", "ms": 4.5, "fillstyle": fill, "color": colour}
            ratio_point(panel, place + shift, found[column][sigma], **style)
    trimmed = ratio_axis(panel, [*names, *(rf"$\sigma$ = {sigma:g}" for sigma in colours)], "middle / ends")
    panel.set_title("Middle over ends")
    return trimmed


def _draw_legend(figure: Figure, colours: dict) -> None:
    entries = {r"$\mathrm{Tr}\,H$": BARRIER} | dict(ALONE.values())
    entries |= {rf"$\sigma$ = {sigma:g}": {"color": colour} for sigma, colour in colours.items()}
    point = {"color": "0.3", "ls": "", "marker": "o", "ms": 4.5}
    for (_, label), fill in zip(BY_SIGMA.items(), ("full", "none"), strict=True):
        entries[f"{label}, middle / ends"] = point | {"fillstyle": fill}
    legend_above(figure, entries, columns=-(-len(entries) // 2))


def _finding(found: Ratios) -> str:
    """Whether Var δ rises where Tr H does, at which σ, and what a² does."""
    trace, value = found["alone"]["trace"], found["alone"]["value"]
    if judged(trace) != 1:
        return (
            "Tr H shows no clear barrier on these paths, so there is none for the probe to see: in the middle it is "
            f"{against_ends(trace)}."
        )
    at = {
        1: "rises with it at σ =",
        0: f"is {NO_DIFFERENCE} from its ends at σ =",
        -1: "falls at σ =",
    }
    point = {1: "rises too", 0: f"is {NO_DIFFERENCE} from its ends", -1: "falls"}[judged(value)]
    variance = {f"{sigma:g}": ratios for sigma, ratios in found["variance"].items()}
    return (
        f"Where Tr H has its barrier ({quoted(trace, log=True)} times the ends), Var δ of the curvature-aligned probe "
        f"{compared(variance, at)}; a² {point} ({quoted(value, log=True)} times)."
    )


def _shares(criteria: pd.DataFrame) -> dict[float, pd.Series]:
    """Var δ over Δ₂^(D), mean over the path by pair: by σ."""
    share = (criteria["variance"] / criteria["moment"]).groupby([criteria["sigma"], criteria["pair"]]).mean()
    return dict(list(share.groupby("sigma")))


def _numbers(criteria: pd.DataFrame, curvature: pd.DataFrame, found: Ratios) -> dict[str, str]:
    numbers = {f"{IN_WORDS[name]} in the middle": against_ends(r) for name, r in found["alone"].items()}
    for name in BY_SIGMA:
        for sigma, ratios in found[name].items():
            numbers[f"{IN_WORDS[name]} in the middle, σ = {sigma:g}"] = against_ends(ratios)
    by_sigma = dict(list(criteria.groupby("sigma")))
    following_of = {
        f"Var δ (σ = {sigma:g})": following(rows, curvature, "variance") for sigma, rows in by_sigma.items()
    }
    following_of["a²"] = following(by_sigma[min(by_sigma)], curvature, "value")
    for name, by_pair in following_of.items():
        numbers[f"rank correlation with Tr H along the path, {name}"] = _correlation(by_pair)
    for sigma, share in _shares(criteria).items():
        numbers[f"Var δ over Δ₂^(D), mean over the path, σ = {sigma:g}"] = quoted(share, 2)
    numbers["terms"] = (
        "means over held-out candidates for the next sample; the cross term, which has a sign, enters Δ₂^(D) only"
    )
    return numbers


def _correlation(by_pair: pd.Series) -> str:
    """Its interval, which ends at ±1; whether it is told apart from 0."""
    if len(by_pair) < 2:
        return "not measured"
    mean, low, high = interval_of(by_pair)
    unclear = "" if side(by_pair) else f", {NO_DIFFERENCE} from 0"
    return f"{mean:.2g} [{max(low, -1):.2g}, {min(high, 1):.2g}]{unclear}"
