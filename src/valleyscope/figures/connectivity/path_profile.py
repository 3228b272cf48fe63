"""Loss and curvature along the paths between minima (Paper B, Fig. 2), and how high their middle is."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from valleyscope.figures.captions import repeats
from valleyscope.figures.connectivity.shared import (
    ARC,
    FINDER_COLOURS,
    NO_DIFFERENCE,
    Window,
    against_ends,
    compared,
    not_drawn,
    ratio_axis,
    ratio_point,
    span,
)
from valleyscope.figures.panels import CUT, band, cut, legend_above, plain_ticks, thinned
from valleyscope.figures.style import Picture, new_figure
from valleyscope.readings.intervals import quoted
from valleyscope.readings.paths import (
    FINDERS,
    VARIANTS,
    barrier,
    dip_over_ends,
    kinds_of,
    low_in_loss,
    middle_over_ends,
    rows_of,
)

DRAWN = 34  # positions of a loss
LOSSES = {"train_loss": "training loss", "held_out_loss": "held-out loss"}
CURVATURES = {"trace": r"$\mathrm{Tr}\,H$", "lambda_max": r"$\lambda_{\max}$"}
IN_WORDS = {"trace": "Tr H", "lambda_max": "λ_max"}
MARKERS = {"trace": "o", "lambda_max": "s"}
FISHER = {"color": "k", "ls": "--", "lw": 1}
Key = tuple[str, str]  # variant, kind


def draw(
    losses: pd.DataFrame, curvature: pd.DataFrame, paths: pd.DataFrame, *, comparable: float, middle: Window
) -> Picture:
    """Losses, Tr H and λ_max against position between AdamW minima; middle over ends, all kinds and variants.

    `comparable`: highest loss over the higher end's up to which a path counts as low in loss.
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
    band(panels["trace"], rows_of(curvature), "position", "fisher", log=True, **FISHER)
    trimmed = [cut([panel]) for panel in panels.values()]
    for panel in panels.values():
        plain_ticks(panel.yaxis)
    ratios = _ratios(curvature, middle)
    low = {(v, kind) for v, kind in _keys(losses) if low_in_loss(losses, comparable, kind, v)}
    trimmed.append(_draw_ratios(tall, ratios, low))
    _draw_legend(figure, kinds_of(curvature))
    ends = repeats(rows_of(curvature), "pair", scale=f"middle: {span(middle)}, scale not taken out")
    caption = f"{_finding(ratios, low, comparable)} {CUT * any(trimmed)}{ends}"
    return Picture(figure, caption, _numbers(losses, curvature, paths, ratios, middle))


def barriers(losses: pd.DataFrame) -> dict[Key, pd.Series]:
    """Highest training loss over the higher end, by pair, for each variant and kind."""
    return {key: barrier(rows_of(losses, key[1], key[0])) for key in _keys(losses)}


def _keys(table: pd.DataFrame) -> list[Key]:
    return [(variant, kind) for variant in VARIANTS for kind in kinds_of(table, variant)]


def _ratios(curvature: pd.DataFrame, window: Window) -> dict[Key, dict[str, pd.Series]]:
    """Middle over ends by pair, of each curvature."""
    return {
        (variant, kind): {
            name: middle_over_ends(rows_of(curvature, kind, variant), name, window) for name in CURVATURES
        }
        for variant, kind in _keys(curvature)
    }


def _draw_profile(panel: plt.Axes, table: pd.DataFrame, name: str) -> None:
    for kind in kinds_of(table):
        band(panel, rows_of(table, kind), "position", name, log=True, color=FINDER_COLOURS[kind], lw=1.2)
    for _, rows in rows_of(table).sort_values("position").groupby("pair"):
        shown = rows[rows[name] > 0]
        panel.plot(shown["position"], shown[name], color=FINDER_COLOURS["autoneb"], lw=0.5, alpha=0.7)


def _draw_ratios(panel: plt.Axes, ratios: dict, low: set[Key]) -> bool:
    """A row a variant and kind, a marker a curvature; open where the path is high in loss."""
    for place, ((variant, kind), by_name) in enumerate(ratios.items()):
        fill = "full" if (variant, kind) in low else "none"
        for shift, (name, marker) in zip((-0.15, 0.15), MARKERS.items(), strict=True):
            style = {"fmt": marker, "ms": 4.5, "fillstyle": fill, "color": FINDER_COLOURS[kind]}
            ratio_point(panel, place + shift, by_name[name], **style)
    names = [f"{VARIANTS[variant]},\n{FINDERS[kind]}" for variant, kind in ratios]
    return ratio_axis(panel, names, "curvature, middle / ends")


def _draw_legend(figure: Figure, kinds: list[str]) -> None:
    entries = {FINDERS[kind]: {"color": FINDER_COLOURS[kind]} for kind in kinds}
    entries["AutoNEB, single pair"] = {"color": FINDER_COLOURS["autoneb"], "lw": 0.5}
    entries["AutoNEB, Fisher's trace"] = FISHER
    point = {"color": "0.3", "ls": "", "ms": 4.5}
    entries |= {label: {"marker": MARKERS[name], **point} for name, label in CURVATURES.items()}
    entries["path of high loss"] = {"marker": "o", "fillstyle": "none", **point}
    legend_above(figure, entries, columns=-(-len(entries) // 2))


def _finding(ratios: dict, low: set[Key], comparable: float) -> str:
    """What the middle of AutoNEB's paths is like, and whether the other finders that stay low in loss agree."""
    by = ratios["adamw", "autoneb"]
    parts = " and ".join(f"{word} is {against_ends(by[name], 2)}" for name, word in IN_WORDS.items())
    stay = {FINDERS[kind]: ratios["adamw", kind]["trace"] for variant, kind in low if variant == "adamw"}
    stay = {name: stay[name] for name in FINDERS.values() if name in stay}
    words = {1: "is higher for", -1: "is lower for", 0: f"is {NO_DIFFERENCE} for"}
    return (
        f"In the middle of AutoNEB's paths between minima of AdamW {parts}. Finders within {comparable:g} times the "
        f"higher end's loss (full markers): Tr H {compared(stay, words) or 'of none'}."
    )


def _numbers(
    losses: pd.DataFrame, curvature: pd.DataFrame, paths: pd.DataFrame, ratios: dict, window: Window
) -> dict[str, str]:
    main = rows_of(curvature)
    by_pair = main.groupby("pair")[["fisher", "trace"]].mean()
    error = (main["trace_se"] / main["trace"].abs()).median()
    drawn = curvature[curvature["variant"] == "adamw"]
    return (
        {
            f"{word} in the middle, {_named(key)}": against_ends(by[name], 2)
            for key, by in ratios.items()
            for name, word in IN_WORDS.items()
        }
        | {
            f"highest training loss over the higher end's, {_named(key)}": quoted(values, log=True)
            for key, values in barriers(losses).items()
        }
        | {
            f"length over the distance of the ends, {_named(key)}": quoted(values, 2, log=True)
            for key, values in _lengths(paths).items()
        }
        | {
            "Tr H where it is lowest on the other pairs' paths (distance from the nearer end)": against_ends(
                dip_over_ends(main, "trace"), 2
            ),
            "held-out loss in the middle": against_ends(
                middle_over_ends(rows_of(losses), "held_out_loss", window), 2
            ),
            "trace of the Fisher (drawn labels) in the middle": against_ends(
                middle_over_ends(main, "fisher", window), 2
            ),
            "mean trace of the Fisher over mean Tr H": quoted(
                by_pair["fisher"] / by_pair["trace"], 2, log=True
            ),
            "standard error of one Tr H (median)": f"{100 * error:.2g} %",
        }
        | not_drawn(pd.concat([drawn["trace"], drawn["lambda_max"], main["fisher"]]))
    )


def _named(key: Key) -> str:
    """ "AdamW, Bézier"."""
    return f"{VARIANTS[key[0]]}, {FINDERS[key[1]]}"


def _lengths(paths: pd.DataFrame) -> dict[Key, pd.Series]:
    """Of the paths that are not straight, over the distance of their ends."""
    paths = paths.assign(ratio=paths["length"] / paths["straight"])
    bent = [key for key in _keys(paths) if key[1] != "straight"]
    return {key: rows_of(paths, key[1], key[0]).set_index("pair")["ratio"] for key in bent}
