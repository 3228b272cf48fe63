"""How much of the rise in curvature along a path is scale: norms and Tr H by group of weights."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from valleyscope.figures.captions import repeats
from valleyscope.figures.connectivity.shared import (
    ARC,
    MAIN,
    NO_DIFFERENCE,
    Window,
    against_ends,
    judged,
    ratio_axis,
    ratio_point,
    span,
)
from valleyscope.figures.panels import CUT, band, cut, legend_above, plain_ticks
from valleyscope.figures.style import COLOURS, Picture, new_figure
from valleyscope.readings.intervals import quoted, side
from valleyscope.readings.paths import (
    SCALE_FREE,
    ends,
    middle,
    middle_over_ends,
    over_ends,
    rows_of,
    scaled,
    scaled_trace,
)

RAW, SCALED = {"fmt": "o", "ms": 4.5}, {"fmt": "D", "ms": 4, "fillstyle": "none"}
TOTAL = {"color": "k", "lw": 1.4}
MEASURES = {  # column: label, and that of the sum
    "trace": (r"$\mathrm{Tr}\,H_g$ (nats)", r"$\mathrm{Tr}\,H$"),
    "scaled": (r"$\|W_g\|^2\,\mathrm{Tr}\,H_g$ (nats)", "their sum"),
}
IN_WORDS = {"trace": "Tr H_g", "scaled": "‖W_g‖² Tr H_g"}
Ratios = dict[str, pd.Series]  # middle over ends by pair, of each measure


def draw(groups: pd.DataFrame, curvature: pd.DataFrame, *, middle: Window, resolved: float) -> Picture:
    """AutoNEB between AdamW minima: norms, Tr H_g, ‖W_g‖² Tr H_g along the path; middle over ends of both.

    `resolved`: standard errors above 0 from which a Tr H_g is shown.
    """
    groups, curvature = scaled(rows_of(groups)), rows_of(curvature)
    names = list(groups["group"].unique())
    colours = dict(zip(names, COLOURS, strict=False))
    figure, ((norms, raw), (scale, ratios)) = new_figure(4.8, rows=2, columns=2)
    for name, rows in groups.groupby("group"):
        rows = rows.assign(relative=over_ends(rows, "norm"))
        band(norms, rows, "position", "relative", log=True, color=colours[name], lw=1)
    norms.axhline(1, color="0.6", lw=0.7, zorder=0)
    norms.set(yscale="log", ylabel=r"$\|W_g\|$ over its mean at the ends")
    plain_ticks(norms.yaxis)
    sums = {"trace": curvature, "scaled": scaled_trace(groups)}
    shown = groups[clear_in_all(groups, resolved)]
    for panel, (column, (label, of_sum)) in zip((raw, scale), MEASURES.items(), strict=True):
        for name, rows in shown.groupby("group"):
            band(panel, rows, "position", column, log=True, color=colours[name], lw=1)
        band(panel, sums[column], "position", column, log=True, **TOTAL)
        panel.set(yscale="log", ylabel=label)
        panel.set_title(f"By group; black: {of_sum}")
    trimmed = [cut([panel]) for panel in (norms, raw, scale)]
    norms.set_title("Norm of each group's weights")
    for panel in (norms, raw, scale):
        panel.set_xlabel(ARC)
    found = {name: group_ratios(rows, middle, resolved) for name, rows in groups.groupby("group", sort=False)}
    of_sums = {column: middle_over_ends(table, column, middle) for column, table in sums.items()}
    trimmed.append(_draw_ratios(ratios, found | {"sum": of_sums}, colours))
    legend_above(figure, {name: {"color": colour, "lw": 2} for name, colour in colours.items()})
    caption = (
        f"{_scale(of_sums)} {CUT * any(trimmed)}"
        f"{repeats(groups, 'pair', scale=f'{MAIN}, middle: {span(middle)}')}"
    )
    return Picture(figure, caption, _numbers(groups, found, of_sums, middle, resolved))


def is_clear(groups: pd.DataFrame, resolved: float) -> pd.Series:
    """Rows whose Tr H_g is above so many standard errors."""
    return groups["trace"] > resolved * groups["trace_se"]


def clear_in_all(groups: pd.DataFrame, resolved: float) -> pd.Series:
    """Rows whose Tr H_g is clear in every pair at that position: a curve's pairs stay the same along it."""
    return is_clear(groups, resolved).groupby([groups["group"], groups["position"]]).transform("all")


def group_ratios(rows: pd.DataFrame, window: Window, resolved: float) -> Ratios:
    """Middle over ends of Tr H_g and ‖W_g‖² Tr H_g, by pair; NaN where Tr H_g is not clear at both.

    Every position enters the means, also those left out of the curves. All positions share their random
    vectors, so the error of a mean is taken as the mean of the errors.
    """
    clear = pd.Series(True, rows["pair"].unique())
    for mean in (lambda column: middle(rows, column, window), lambda column: ends(rows, column)):
        clear &= mean("trace") > resolved * mean("trace_se")
    return {column: middle_over_ends(rows, column, window).where(clear) for column in MEASURES}


def share_of_scale(found: Ratios) -> pd.Series:
    """What is gone of the log-rise of Tr H once each group is scaled to norm 1, by pair."""
    return 1 - np.log(found["scaled"]) / np.log(found["trace"])


def _draw_ratios(panel: plt.Axes, found: dict[str, Ratios], colours: dict) -> bool:
    for place, (name, by_column) in enumerate(found.items()):
        style = {"color": colours.get(name, "k")}
        ratio_point(panel, place - 0.15, by_column["trace"], **RAW, **style)
        ratio_point(panel, place + 0.15, by_column["scaled"], **SCALED, **style)
    handles = [
        Line2D([], [], color="0.3", ls="", marker=style["fmt"], ms=style["ms"], fillstyle=fill, label=label)
        for style, fill, label in (
            (RAW, "full", r"$\mathrm{Tr}\,H_g$"),
            (SCALED, "none", r"$\|W_g\|^2\,\mathrm{Tr}\,H_g$"),
        )
    ]
    trimmed = ratio_axis(panel, list(found), "middle / ends")
    panel.set_title("Middle over ends", pad=18)
    panel.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 0.99), ncols=2, borderaxespad=0.1)
    return trimmed


def _scale(found: Ratios) -> str:
    """Whether Tr H rises, whether it still does at fixed norms, and the share between."""
    raw, normed = found["trace"], found["scaled"]
    sentence = (
        f"Tr H in the middle is {against_ends(raw)}, the scale-free {SCALE_FREE} {against_ends(normed)}."
    )
    if judged(raw) != 1 or not (raw > 1).all():
        return f"{sentence} There is no clear rise of Tr H in every pair that scale could have a share in."
    share = share_of_scale(found)
    if not np.isfinite(share).all():
        return f"{sentence} The share of scale in the rise cannot be given."
    of_itself = "of the log-rise of Tr H is gone when each group is scaled to norm 1"
    return {
        1: f"Part of the rise is scale: {quoted(share)} {of_itself}. {sentence}",
        -1: f"The rise is no matter of scale: scaled to norm 1 the log-rise of Tr H grows by {quoted(-share)} of itself. {sentence}",
        0: f"{sentence} What share {of_itself} is {NO_DIFFERENCE} from 0 ({quoted(share)}).",
    }[side(share)]


def _numbers(
    groups: pd.DataFrame, found: dict[str, Ratios], of_sums: Ratios, window: Window, resolved: float
) -> dict[str, str]:
    numbers = {
        f"‖W_g‖ in the middle, {name}": against_ends(middle_over_ends(rows, "norm", window), 2)
        for name, rows in groups.groupby("group", sort=False)
    }
    hidden = f"no ratio: Tr H_g is not above {resolved:g} standard errors in the middle or at the ends"
    for name, ratios in found.items():
        for column, word in IN_WORDS.items():
            known = ratios[column].notna().all()
            numbers[f"{word} in the middle, {name}"] = against_ends(ratios[column]) if known else hidden
    radial = groups.groupby(["pair", "position"])["radial"].sum().groupby("pair").mean()
    numbers["share of the tangent's square along the weights of a group (mean over the path)"] = quoted(
        radial
    )
    count = int((~is_clear(groups, resolved)).sum())
    numbers[
        f"Tr H_g not above {resolved:g} standard errors (curves by group leave that position out, sums and "
        "ratios do not)"
    ] = f"{count} of {len(groups)}"
    return numbers
