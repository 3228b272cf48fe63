"""How much of the rise in curvature along a path is scale: norms and Tr H by group of weights."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

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
    told,
)
from valleyscope.figures.landscape.shared import legend_above, trace, trim
from valleyscope.figures.style import COLOURS, new_figure, spread
from valleyscope.readings.intervals import student_interval
from valleyscope.readings.paths import ends, middle, middle_over_ends, over_ends

CLEAR = 2.0  # standard errors above 0 from which a Tr H_g is shown
RAW, SCALED = {"fmt": "o", "ms": 4.5}, {"fmt": "D", "ms": 4, "fillstyle": "none"}
TOTAL = {"color": "k", "lw": 1.4}
MEASURES = {  # column: label, and that of the sum
    "trace": (r"$\mathrm{Tr}\,H_g$ (nats)", r"$\mathrm{Tr}\,H$"),
    "scaled": (r"$\|W_g\|^2\,\mathrm{Tr}\,H_g$ (nats)", "their sum"),
}


def draw(groups: pd.DataFrame, curvature: pd.DataFrame) -> tuple[Figure, str]:
    """AutoNEB between AdamW minima: norms, Tr H_g, ‖W_g‖² Tr H_g along the path; middle over ends of both."""
    groups, curvature = scaled(rows_of(groups)), rows_of(curvature)
    names = list(groups["group"].unique())
    colours = dict(zip(names, COLOURS, strict=False))
    figure, ((norms, raw), (scale, ratios)) = new_figure(4.8, rows=2, columns=2)
    for name, rows in groups.groupby("group"):
        rows = rows.assign(relative=over_ends(rows, "norm")).sort_values("position")
        trace(norms, rows, "position", "relative", color=colours[name], lw=1)
    norms.axhline(1, color="0.6", lw=0.7, zorder=0)
    norms.set(yscale="log", ylabel=r"$\|W_g\|$ over its mean at the ends")
    plain_ticks(norms.yaxis)
    sums = {"trace": curvature, "scaled": total(groups)}
    for panel, (column, (label, of_sum)) in zip((raw, scale), MEASURES.items(), strict=True):
        for name, rows in groups[clear_in_all(groups)].groupby("group"):
            trace(panel, rows.sort_values("position"), "position", column, color=colours[name], lw=1)
        trace(panel, sums[column].sort_values("position"), "position", column, **TOTAL)
        panel.set(yscale="log", ylabel=label)
        panel.set_title(f"By group; black: {of_sum}")
    cut = [trim([panel]) for panel in (norms, raw, scale)]
    norms.set_title("Norm of each group's weights")
    for panel in (norms, raw, scale):
        panel.set_xlabel(ARC)
    found = {name: group_ratios(rows) for name, rows in groups.groupby("group", sort=False)}
    found["sum"] = {column: middle_over_ends(table, column) for column, table in sums.items()}
    cut.append(_draw_ratios(ratios, found, colours))
    legend_above(figure, {name: {"color": colour, "lw": 2} for name, colour in colours.items()})
    return figure, _caption(groups, found, any(cut))


def scaled(groups: pd.DataFrame) -> pd.DataFrame:
    """With ‖W_g‖² Tr H_g: Tr H_g per square of relative change, which a scale-invariant group's norm leaves alone."""
    return groups.assign(scaled=groups["norm"] ** 2 * groups["trace"])


def total(groups: pd.DataFrame) -> pd.DataFrame:
    """Sum of ‖W_g‖² Tr H_g over groups."""
    return groups.groupby(["pair", "position"], as_index=False)["scaled"].sum()


def is_clear(groups: pd.DataFrame) -> pd.Series:
    """Rows whose Tr H_g is above CLEAR standard errors."""
    return groups["trace"] > CLEAR * groups["trace_se"]


def clear_in_all(groups: pd.DataFrame) -> pd.Series:
    """Rows whose Tr H_g is clear in every pair at that position: a curve's pairs stay the same along it."""
    return is_clear(groups).groupby([groups["group"], groups["position"]]).transform("all")


def group_ratios(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """Middle over ends of Tr H_g and ‖W_g‖² Tr H_g, by pair; NaN where Tr H_g is not clear at both.

    Every position enters the means, also those left out of the curves. All positions share their random
    vectors, so the error of a mean is taken as the mean of the errors.
    """
    clear = pd.Series(True, rows["pair"].unique())
    for part in (middle, ends):
        clear &= part(rows, "trace") > CLEAR * part(rows, "trace_se")
    return {column: middle_over_ends(rows, column).where(clear) for column in MEASURES}


def share_of_scale(found: dict[str, pd.Series]) -> pd.Series:
    """What is gone of the log-rise of Tr H once each group is scaled to norm 1, by pair."""
    return 1 - np.log(found["scaled"]) / np.log(found["trace"])


def _draw_ratios(panel: plt.Axes, found: dict, colours: dict) -> bool:
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
    cut = ratio_axis(panel, list(found), "middle / ends")
    panel.set_title("Middle over ends", pad=18)
    panel.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 0.99), ncols=2, borderaxespad=0.1)
    return cut


def _caption(groups: pd.DataFrame, found: dict, cut: bool) -> str:
    norms = {name: middle_over_ends(rows, "norm") for name, rows in groups.groupby("group", sort=False)}
    by_group = {name: ratios["scaled"] for name, ratios in found.items() if name != "sum"}
    judged = {name: ratios for name, ratios in by_group.items() if ratios.notna().all()}
    radial = groups.groupby(["pair", "position"])["radial"].sum().groupby("pair").mean()
    return (
        f"{_scale(found['sum'])} Radial, along the weights of a group, is {spread(radial)} of the tangent's square (mean "
        f"over the path). Middle over ends of ‖W_g‖ is {compared(norms, 2)}. Of ‖W_g‖² Tr H_g it is {compared(judged, None) or 'not measured'}. "
        "That is Tr H_g per square of relative change: of a scale-invariant group it does not depend on ‖W_g‖. "
        f"{_left_out(groups, by_group)}AutoNEB between minima of AdamW. {CUT * cut}{intervals_over_pairs(groups)}"
    )


def _left_out(groups: pd.DataFrame, by_group: dict[str, pd.Series]) -> str:
    """How much of Tr H_g its own error hides, as sentences; empty if nothing."""
    count = int((~is_clear(groups)).sum())
    if not count:
        return ""
    lost = [name for name, ratios in by_group.items() if ratios.isna().any()]
    without = (
        f" No ratio is drawn of {', '.join(lost)}, not as clear in the middle or at the ends." if lost else ""
    )
    return (
        f"{count} of {len(groups)} Tr H_g are not above {CLEAR:g} standard errors: curves by group leave that position out, sums "
        f"and ratios do not.{without} "
    )


def _scale(found: dict[str, pd.Series]) -> str:
    """Whether Tr H rises, whether it still does at fixed norms, and the share between."""
    raw, normed = found["trace"], found["scaled"]
    sentence = f"Tr H in the middle (0.4 to 0.6) is {against_ends(raw)}; the sum of ‖W_g‖² Tr H_g is {against_ends(normed)}."
    if side(raw) != 1 or not (raw > 1).all():
        return f"{sentence} There is no clear rise of Tr H in every pair that scale could have a share in."
    share = share_of_scale(found)
    if not np.isfinite(share).all():
        return f"{sentence} The share of scale in the rise cannot be given ({told(normed)})."
    _, low, high = student_interval(share)
    if low > 0:
        return f"Part of the rise is scale: {spread(share)} of the log-rise of Tr H is gone when each group is scaled to norm 1. {sentence}"
    if high < 0:
        return f"The rise is no matter of scale: scaled to norm 1 the log-rise of Tr H grows by {spread(-share)} of itself. {sentence}"
    return f"{sentence} The share of the log-rise of Tr H that is gone when each group is scaled to norm 1 is {NO_DIFFERENCE} from 0 ({spread(share)})."
