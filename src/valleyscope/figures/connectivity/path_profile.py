"""Loss and curvature along the paths between minima (Paper B, Fig. 2), and how high their middle is."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from valleyscope.figures.connectivity.shared import (
    ARC,
    CUT,
    KINDS,
    NAMES,
    VARIANTS,
    against_ends,
    compared,
    intervals_over_pairs,
    kinds_of,
    not_drawn,
    plain_ticks,
    ratio_axis,
    ratio_point,
    rows_of,
    told,
)
from valleyscope.figures.landscape.shared import legend_above, trace, trim
from valleyscope.figures.repeats import thinned
from valleyscope.figures.style import new_figure
from valleyscope.readings.intervals import geometric_mean
from valleyscope.readings.paths import MIDDLE, barrier, dip_over_ends, middle_over_ends

DRAWN = 34  # positions of a loss
LOSSES = {"train_loss": "training loss", "held_out_loss": "held-out loss"}
CURVATURES = {"trace": r"$\mathrm{Tr}\,H$", "lambda_max": r"$\lambda_{\max}$"}
IN_WORDS = {"trace": "Tr H", "lambda_max": "λ_max"}
MARKERS = {"trace": "o", "lambda_max": "s"}
FISHER = {"color": "k", "ls": "--", "lw": 1}
Key = tuple[str, str]  # variant, kind


def draw(
    losses: pd.DataFrame, curvature: pd.DataFrame, paths: pd.DataFrame, *, low_loss: float
) -> tuple[Figure, str]:
    """Losses, Tr H and λ_max against position between AdamW minima; middle over ends, all kinds and variants.

    `low_loss`: highest loss over the higher end's up to which a path counts as low in loss.
    """
    figure, axes = new_figure(4.2, rows=2, columns=3)
    tall = figure.add_subplot(axes[0, 2].get_gridspec()[:, 2])
    for panel in axes[:, 2]:
        panel.remove()
    panels = dict(zip([*LOSSES, *CURVATURES], axes[:, :2].flat, strict=True))
    for name, panel in panels.items():
        _draw_profile(panel, thinned(losses, "position", DRAWN) if name in LOSSES else curvature, name)
        panel.set(yscale="log", xlabel=ARC)
        panel.set_ylabel(f"{LOSSES[name]} (nats/token)" if name in LOSSES else f"{CURVATURES[name]} (nats)")
    trace(panels["trace"], rows_of(curvature).sort_values("position"), "position", "fisher", **FISHER)
    cut = [trim([panel]) for panel in panels.values()]
    for panel in panels.values():
        plain_ticks(panel.yaxis)
    ratios = _ratios(curvature)
    high = {key for key, highest in barriers(losses).items() if geometric_mean(highest) > low_loss}
    cut.append(_draw_ratios(tall, ratios, high))
    _draw_legend(figure, kinds_of(curvature))
    return figure, _caption(losses, curvature, paths, ratios, any(cut), low_loss)


def barriers(losses: pd.DataFrame) -> dict[Key, pd.Series]:
    """Highest training loss over the higher end, by pair, for each variant and kind."""
    return {key: barrier(rows_of(losses, key[1], key[0])) for key in _keys(losses)}


def _keys(table: pd.DataFrame) -> list[Key]:
    return [(variant, kind) for variant in VARIANTS for kind in kinds_of(table, variant)]


def _ratios(curvature: pd.DataFrame) -> dict[Key, dict[str, pd.Series]]:
    """Middle over ends by pair, of each curvature."""
    return {
        (variant, kind): {
            name: middle_over_ends(rows_of(curvature, kind, variant), name) for name in CURVATURES
        }
        for variant, kind in _keys(curvature)
    }


def _draw_profile(panel: plt.Axes, table: pd.DataFrame, name: str) -> None:
    for kind in kinds_of(table):
        rows = rows_of(table, kind).sort_values("position")
        trace(panel, rows, "position", name, color=KINDS[kind], lw=1.2)
    for _, rows in rows_of(table).sort_values("position").groupby("pair"):
        shown = rows[rows[name] > 0]
        panel.plot(shown["position"], shown[name], color=KINDS["autoneb"], lw=0.5, alpha=0.7)


def _draw_ratios(panel: plt.Axes, ratios: dict, high: set[Key]) -> bool:
    """A row a variant and kind, a marker a curvature; open where the path is high in loss."""
    for place, ((variant, kind), by_name) in enumerate(ratios.items()):
        fill = "none" if (variant, kind) in high else "full"
        for shift, (name, marker) in zip((-0.15, 0.15), MARKERS.items(), strict=True):
            style = {"fmt": marker, "ms": 4.5, "fillstyle": fill, "color": KINDS[kind]}
            ratio_point(panel, place + shift, by_name[name], **style)
    names = [f"{VARIANTS[variant]},\n{NAMES[kind]}" for variant, kind in ratios]
    return ratio_axis(panel, names, "curvature, middle / ends")


def _draw_legend(figure: Figure, kinds: list[str]) -> None:
    entries = {NAMES[kind]: {"color": KINDS[kind]} for kind in kinds}
    entries["AutoNEB, single pair"] = {"color": KINDS["autoneb"], "lw": 0.5}
    entries["AutoNEB, Fisher's trace"] = FISHER
    point = {"color": "0.3", "ls": "", "ms": 4.5}
    entries |= {label: {"marker": MARKERS[name], **point} for name, label in CURVATURES.items()}
    entries["path of high loss"] = {"marker": "o", "fillstyle": "none", **point}
    legend_above(figure, entries, columns=-(-len(entries) // 2))


def _caption(
    losses: pd.DataFrame,
    curvature: pd.DataFrame,
    paths: pd.DataFrame,
    ratios: dict,
    cut: bool,
    low_loss: float,
) -> str:
    main = rows_of(curvature)
    found = " ".join(_found(ratios, variant) for variant in VARIANTS if any(v == variant for v, _ in ratios))
    shown = curvature[curvature["variant"] == "adamw"]
    left_out = not_drawn(pd.concat([shown["trace"], shown["lambda_max"], main["fisher"]]))
    return (
        f"{_finding(ratios)} {found} Highest training loss over that of the higher end: {_by_variant(barriers(losses))}; kinds whose mean "
        f"exceeds {low_loss:g} are high in loss (open markers). {_autoneb(losses, main)} Length over the distance of the ends: "
        f"{_by_variant(_lengths(paths), 2)}. Curves: between minima of AdamW; thin lines: single pairs of AutoNEB. "
        f"{left_out}{CUT * cut}{intervals_over_pairs(main)} Scale is not separated here."
    )


def _finding(ratios: dict) -> str:
    """What the middle of AutoNEB's paths between minima of AdamW is like."""
    by = ratios["adamw", "autoneb"]
    parts = " and ".join(f"{word} is {against_ends(by[name], 2)}" for name, word in IN_WORDS.items())
    return (
        f"In the middle ({MIDDLE[0]:g} to {MIDDLE[1]:g}) of AutoNEB's paths between minima of AdamW {parts}."
    )


def _found(ratios: dict, variant: str) -> str:
    """Which kinds of path have a higher middle."""
    parts = [
        f"{word} is {compared({NAMES[kind]: by[name] for (v, kind), by in ratios.items() if v == variant}, 2)}"
        for name, word in IN_WORDS.items()
    ]
    return f"Between minima of {VARIANTS[variant]}, {', and '.join(parts)}."


def _autoneb(losses: pd.DataFrame, main: pd.DataFrame) -> str:
    """What the other panels show of AutoNEB between minima of AdamW."""
    held_out, fisher = middle_over_ends(rows_of(losses), "held_out_loss"), middle_over_ends(main, "fisher")
    by_pair = main.groupby("pair")[["fisher", "trace"]].mean()
    error = (main["trace_se"] / main["trace"].abs()).median()
    return (
        "AutoNEB, AdamW: where it is lowest on the other pairs' paths (distance from the nearer end), Tr H is "
        f"{against_ends(dip_over_ends(main, 'trace'), 2)}; the held-out loss in the middle is {against_ends(held_out, 2)} and the trace of "
        f"the Fisher (drawn labels) {against_ends(fisher, 2)}. Mean trace of the Fisher over mean Tr H: "
        f"{told(by_pair['fisher'] / by_pair['trace'], 2)}; standard error of one Tr H: {100 * error:.2g} % (median)."
    )


def _lengths(paths: pd.DataFrame) -> dict[Key, pd.Series]:
    """Of the paths that are not straight, over the distance of their ends."""
    paths = paths.assign(ratio=paths["length"] / paths["straight"])
    bent = [key for key in _keys(paths) if key[1] != "straight"]
    return {key: rows_of(paths, key[1], key[0]).set_index("pair")["ratio"] for key in bent}


def _by_variant(values: dict[Key, pd.Series], digits: int = 3) -> str:
    """ "AdamW, A 2 [1, 3], B ...; SGD, ..."."""
    parts = []
    for variant, name in VARIANTS.items():
        cells = [
            f"{NAMES[kind]} {told(by_pair, digits)}" for (v, kind), by_pair in values.items() if v == variant
        ]
        if cells:
            parts.append(f"{name}, {', '.join(cells)}")
    return "; ".join(parts)
