"""Paper A's measurements on every architecture, and the rise of curvature on paths of two of them (A11)."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import SubFigure

from valleyscope.figures.captions import repeats
from valleyscope.figures.panels import band, plain_ticks, summary
from valleyscope.figures.style import COLOURS, Picture, new_figure
from valleyscope.readings.intervals import geometric_mean, quoted, side
from valleyscope.readings.paths import barrier, middle_over_ends, over_ends

FLOOR = 1e-7  # smallest distance of a ratio from 1 that is drawn: float32 has no more digits
CONTROL = {"color": "0.55", "mfc": "w"}
Rises = dict[str, tuple[pd.Series, pd.Series]]  # architecture -> by pair, Tr H over ends and highest loss


def draw(
    architectures: pd.DataFrame,
    architecture_costs: pd.DataFrame,
    architecture_losses: pd.DataFrame,
    architecture_curvature: pd.DataFrame,
    *,
    ratio: float,
    spread_ratio: float,
    middle: tuple[float, float],
) -> Picture:
    """A row an architecture and a panel a quantity; below, Tr H and loss along the paths.

    ratio: how far from 1 counts as 1; spread_ratio: what share of the spread counts as most of it; middle:
    positions of the middle of a path.
    """
    off = ["ratio_off", "shared_off"]
    table = architectures.assign(**architectures[off].clip(lower=FLOOR))
    figure, _ = new_figure(5.2)
    figure.clear()
    upper, lower = figure.subfigures(2, 1, height_ratios=[1.7, 1])
    _draw_quantities(upper, table, architecture_costs)
    _draw_paths(lower, architecture_losses, architecture_curvature)
    rises = _rises(architecture_losses, architecture_curvature, middle)
    found = _found(table, ratio, spread_ratio)
    numbers = _numbers(table, architecture_costs, found, rises)
    return Picture(figure, _caption(table, found, rises, ratio, spread_ratio), numbers)


def label(name: str) -> str:
    """An architecture as the figure calls it."""
    return name.replace("_", " ")


# ---------------------------------------------------------------- panels


def _draw_quantities(figure: SubFigure, table: pd.DataFrame, costs: pd.DataFrame) -> None:
    names = list(dict.fromkeys(table["architecture"]))
    table, costs = (rows.assign(place=rows["architecture"].map(names.index)) for rows in (table, costs))
    rate, near, spread, star, cost = figure.subplots(1, 5, sharey=True)
    _dots(rate, table, "rate_fixed", shift=0.2, **CONTROL)
    _dots(rate, table, "rate_delta2", color=COLOURS[0])
    rate.axvline(0, color="0.6", lw=0.7, zorder=0)
    rate.set(xlabel="$\\gamma$")
    rate.set_title("Rate: $\\Delta_2\\propto k^{-2+\\gamma}$")
    _dots(near, table, "shared_off", log=True, shift=0.2, **CONTROL)
    _dots(near, table, "ratio_off", log=True, color=COLOURS[0])
    near.set(xscale="log", xlabel="off 1 by, worst k")
    near.set_title("$\\Delta_2^{(D)}/\\Delta_2$")
    _dots(spread, table, "gradient_share", log=True, shift=0.2, **CONTROL)
    _dots(spread, table, "spread_ratio", log=True, color=COLOURS[0])
    spread.axvline(1, color="0.6", lw=0.7, zorder=0)
    spread.set(xscale="log", xlabel="of full space")
    spread.set_title("Spread, share")
    _dots(star, table, "sigma_star", log=True, color=COLOURS[0])
    star.set(xscale="log", xlabel="$\\sigma^*$")
    star.set_title("Valid radius")
    _dots(cost, costs, "gradients", log=True, color=COLOURS[0])
    cost.set(xscale="log", xlabel="gradients of $L_k$")
    cost.set_title("Eigenspace")
    plain_ticks(star.xaxis)
    plain_ticks(cost.xaxis)
    rate.set_yticks(range(len(names)), [label(name) for name in names])
    rate.invert_yaxis()


def _dots(
    axes: plt.Axes, table: pd.DataFrame, column: str, log: bool = False, shift: float = 0.0, **style
) -> None:
    """Mean and interval of a column by architecture, horizontally."""
    rows = summary(table, "place", column, log)
    if len(rows):
        errors = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]
        options = {"fmt": "o", "ms": 3.5, "capsize": 1.5, "lw": 1} | style
        axes.errorbar(rows["mean"], rows.index.to_numpy(float) + shift, xerr=errors, **options)


def _draw_paths(figure: SubFigure, losses: pd.DataFrame, curvature: pd.DataFrame) -> None:
    trace, loss = figure.subplots(1, 2)
    for index, name in enumerate(dict.fromkeys(curvature["architecture"])):
        line = ("-", "--", ":")[index % 3]
        style = {"color": COLOURS[index + 1], "ls": line, "label": label(name), "lw": 1.2}
        for axes, table, column in ((trace, curvature, "trace"), (loss, losses, "train_loss")):
            rows = table[table["architecture"] == name]
            band(axes, rows.assign(relative=over_ends(rows, column)), "position", "relative", **style)
    for axes, title in ((trace, "Tr H on a path, over its ends"), (loss, "Training loss, over its ends")):
        axes.axhline(1, color="0.6", lw=0.7, zorder=0)
        axes.set(xlabel="position on the path", xlim=(0, 1))
        axes.set_title(title)
    trace.legend()


# ---------------------------------------------------------------- words


def _rises(losses: pd.DataFrame, curvature: pd.DataFrame, middle: tuple[float, float]) -> Rises:
    rises = {}
    for name, bent in curvature.groupby("architecture", sort=False):
        high = losses[losses["architecture"] == name]
        rises[label(name)] = middle_over_ends(bent, "trace", middle), barrier(high)
    return rises


def _found(table: pd.DataFrame, ratio: float, spread_ratio: float) -> dict[str, list[str]]:
    """Names of the architectures of which the whole interval says so."""

    def where(column: str, reference: float, lies: int, log: bool = True) -> list[str]:
        by_name = table.groupby("architecture", sort=False)[column]
        return [label(name) for name, values in by_name if side(values, reference, log) == lies]

    return {
        "slower": where("rate_delta2", 0, 1, log=False),
        "near": where("ratio_off", ratio, -1),
        "alone": where("shared_off", ratio, -1),
        "held": where("spread_ratio", spread_ratio, 1),
    }


def _extremes(table: pd.DataFrame, column: str, mean=geometric_mean) -> str:
    """ "lowest (architecture) to highest (architecture)" of the means over seeds."""
    if table.empty:
        return "not measured"
    means = table.groupby("architecture", sort=False)[column].agg(mean)
    low, high = means.idxmin(), means.idxmax()
    return f"{means[low]:.3g} ({label(low)}) to {means[high]:.3g} ({label(high)})"


def _caption(
    table: pd.DataFrame, found: dict[str, list[str]], rises: Rises, ratio: float, spread_ratio: float
) -> str:
    rates = table.groupby("architecture")["rate_delta2"].mean()
    slower, near, alone, held = (len(found[name]) for name in ("slower", "near", "alone", "held"))
    bent = ", ".join(f"{quoted(rise, log=True)} ({name})" for name, (rise, _) in rises.items())
    pairs = max((len(rise) for rise, _ in rises.values()), default=0)
    sizes = f"N = {table['parameters'].min():,} to {table['parameters'].max():,}"
    return (
        f"On {slower} of {len(rates)} architectures Δ₂ decays more slowly than k⁻² (γ = {rates.min():.3g} to {rates.max():.3g}). "
        f"Δ₂^(D)/Δ₂ is within {100 * ratio:g} % of 1 on {near}, a² alone on {alone}, the spread ratio over {spread_ratio:g} on {held}. "
        f"Grey: untrained weights, a² alone, captured share. Tr H, middle over ends of paths: {bent or 'not measured'}. "
        f"{repeats(table, means='Means (logarithmic axes: geometric)', scale=f'{pairs} pairs, {sizes}')}"
    )


def _numbers(
    table: pd.DataFrame, costs: pd.DataFrame, found: dict[str, list[str]], rises: Rises
) -> dict[str, str]:
    """Lowest and highest of every quantity over architectures, and what paths show."""
    valid = table[table["sigma_star"] > 0]
    numbers = {
        "γ of the expected next sample": _extremes(table, "rate_delta2", np.mean),
        "|γ| with untrained weights, the same for all k": f"at most {table['rate_fixed'].abs().max():.2g}",
        "where Δ₂ decays more slowly than k⁻²": ", ".join(found["slower"]) or "nowhere",
        "where Δ₂^(D)/Δ₂ is near 1": ", ".join(found["near"]) or "nowhere",
        "where a²/Δ₂ is near 1": ", ".join(found["alone"]) or "nowhere",
        "where the subspace holds most of the spread": ", ".join(found["held"]) or "nowhere",
        "spread ratio of the subspace": _extremes(table, "spread_ratio"),
        "captured share of the slope": _extremes(table, "gradient_share"),
        "σ*": _extremes(valid, "sigma_star"),
        "runs without σ*": f"{len(table) - len(valid)} of {len(table)}",
        "cost of the eigenspace, gradients, timed beside another job": _extremes(costs, "gradients"),
    }
    for name, (rise, top) in rises.items():
        numbers[f"Tr H, middle of AutoNEB's path over its ends, {name}"] = quoted(rise, log=True)
        numbers[f"highest loss over the higher end's, {name}"] = quoted(top, log=True)
    return numbers | {"held-out set": "one for all seeds", "ends of paths": "minima with weight decay"}
