"""Decay of Δ₁, Δ₂ and Δ₂^(D) with k, beside weights that do not depend on k (Paper A, Fig. 2)."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from valleyscope.figures.captions import repeats, worded
from valleyscope.figures.landscape.shared import (
    FULL,
    NEXT,
    k_axis,
    largest_probe,
    named,
    probe_colours,
    probe_names,
    size_of,
    stars_of,
    without_star,
)
from valleyscope.figures.panels import CUT, band, cut, legend_above, plain_ticks, widths
from valleyscope.figures.style import COLOURS, Picture, new_figure
from valleyscope.readings.intervals import geometric_mean, measured, quoted
from valleyscope.readings.landscape import (
    REGIMES,
    holds_up_to,
    middle,
    nearest,
    regimes_of,
    slope,
)

CONTROLS = {"random": COLOURS[3], "trained": COLOURS[1]}


def draw(
    criteria: pd.DataFrame, fixed_weights: pd.DataFrame, slopes: pd.DataFrame, validity: pd.DataFrame
) -> Picture:
    """A row a regime: Δ₁, then Δ₂ with Δ₂^(D), then (k+1)²Δ₂ beside the controls, against k."""
    criteria = criteria.assign(probe=probe_names(criteria), scaled=_scaled(criteria))
    sigma = middle(criteria.loc[criteria["criterion"] == "delta2", "sigma"])
    controls = _controls(fixed_weights, sigma)
    stars = stars_of(criteria, validity)
    beyond = {
        regime: [p for (r, p), star in stars.items() if r == regime and not sigma <= holds_up_to(star)]
        for regime in regimes_of(criteria)
    }
    figure, axes = new_figure(2 * len(beyond) + 0.7, rows=len(beyond), columns=3, squeeze=False)
    was_cut = False
    for row, regime in zip(axes, beyond, strict=True):
        rows = criteria[criteria["regime"] == regime]
        squared = rows[np.isclose(rows["sigma"], sigma) & (rows["criterion"] != "delta1")]
        _draw_first(row[0], rows.query("criterion == 'delta1'"))
        _draw_squared(row[1], squared, beyond[regime])
        _draw_scaled(row[2], squared, controls[controls["k"] <= rows["k"].max()], beyond[regime])
        labels = [r"$\Delta_1$ (nats)", r"$\Delta_2$ (nats$^2$)", r"$(k+1)^2\,\Delta_2$ (nats$^2$)"]
        for panel, label in zip(row, labels, strict=True):
            panel.set_ylabel(label)
            was_cut |= cut([panel])
        row[0].set_title(regime.capitalize())
        row[1].set_title(rf"$\sigma$ = {sigma:g}")
        row[2].set_title(rf"$\sigma$ = {sigma:g}, flat: rate $k^{{-2}}$")
    _legend(figure, probe_colours(criteria), any(beyond.values()))
    at = controls["sigma"].iloc[0]
    numbers = _numbers(slopes, criteria, sigma, at)
    numbers |= {
        "lines whose σ is above σ*, or that have no σ* in some seed": "; ".join(_lines(beyond)) or "none"
    }
    numbers |= {"seeds without σ*": without_star(named(stars)) or "none"}
    return Picture(figure, _caption(slopes, criteria, sigma, at, was_cut), numbers)


def _scaled(table: pd.DataFrame) -> pd.Series:
    """(k+1)² Δ₂ = E(ℓ_{k+1} − L_k)²: all that can drift with k."""
    return (table["k"] + 1) ** 2 * table["estimate"]


def _controls(fixed_weights: pd.DataFrame, sigma: float) -> pd.DataFrame:
    """(k+1)² Δ₂ of the control at the σ of its grid nearest to `sigma`."""
    rows = fixed_weights.query("criterion == 'delta2'")
    return rows[rows["sigma"] == nearest(rows["sigma"], sigma)].assign(scaled=_scaled)


# ---------------------------------------------------------------- panels


def _draw_first(panel: plt.Axes, rows: pd.DataFrame) -> None:
    k_axis(panel, rows["k"])
    panel.set_yscale("log")
    for name, style in NEXT.items():
        band(panel, rows[rows["next"] == name], "k", "estimate", log=True, color="k", **style)
    _guide(panel, rows, -1)


def _draw_squared(panel: plt.Axes, rows: pd.DataFrame, beyond: list[str]) -> None:
    """Closed forms as lines, direct Monte Carlo (expected) as open markers."""
    closed, direct = rows.query("estimator == 'gaussian_moment'"), rows.query("estimator == 'direct'")
    k_axis(panel, rows["k"])
    panel.set_yscale("log")
    _draw_probes(panel, closed.query("next == 'expected'"), "estimate", beyond)
    single = closed.query("next == 'single' and criterion == 'delta2'")
    band(panel, single, "k", "estimate", log=True, color="k", **NEXT["single"])
    direct = direct.query("next == 'expected' and estimate > 0")
    colours = probe_colours(rows)
    for probe, width in widths(colours).items():
        mean = direct[direct["probe"] == probe].groupby("k")["estimate"].agg(geometric_mean)
        marks = {"marker": "o", "ms": 3 + 1.5 * width, "mfc": "none", "mew": 0.7}
        panel.plot(mean.index, mean, ls="none", color=colours[probe], **marks)
    _guide(panel, closed.query("criterion == 'delta2'"), -2)


def _draw_scaled(panel: plt.Axes, rows: pd.DataFrame, controls: pd.DataFrame, beyond: list[str]) -> None:
    rows = rows.query("next == 'expected' and estimator == 'gaussian_moment'")
    _draw_probes(panel, rows, "scaled", beyond)
    for weights, colour in CONTROLS.items():
        fixed = controls[(controls["regime"] == weights) & (controls["next"] == "expected")]
        band(panel, fixed, "k", "scaled", log=True, color=colour, marker="s", ms=2.5, lw=0.8)
    k_axis(panel, rows["k"])
    panel.set_yscale("log")
    plain_ticks(panel.yaxis)


def _draw_probes(panel: plt.Axes, rows: pd.DataFrame, y: str, beyond: list[str]) -> None:
    """A line a probe, dotted beyond its σ*, full space widest and below."""
    colours = probe_colours(rows)
    for probe, width in widths(colours).items():
        style = {"color": colours[probe], "lw": width, "ls": ":" if probe in beyond else "-"}
        band(panel, rows[rows["probe"] == probe], "k", y, log=True, **style)


def _guide(panel: plt.Axes, rows: pd.DataFrame, power: int) -> None:
    """A thin line of the claimed rate, below the first point of the expected criterion."""
    first = rows.query("next == 'expected' and k == k.min() and estimate > 0")["estimate"]
    if first.empty:
        return
    k = np.array(sorted(rows["k"].unique()), dtype=float)
    line = 0.3 * geometric_mean(first) * ((k + 1) / (k[0] + 1)) ** power
    panel.plot(k, line, color="0.6", lw=0.7)
    panel.annotate(
        f"$k^{{{power}}}$", (k[-1], line[-1]), (3, -3), textcoords="offset points", color="0.4", size=7
    )


def _legend(figure: Figure, colours: dict, any_beyond: bool) -> None:
    grey = {"color": "0.4"}
    entries = {name: {"color": colours[name], "lw": width} for name, width in widths(colours).items()}
    entries |= {f"{name} next": grey | style for name, style in NEXT.items()}
    entries["direct Monte Carlo"] = grey | {"ls": "none", "marker": "o", "ms": 5, "mfc": "none"}
    for name, colour in CONTROLS.items():
        entries[f"fixed weights, {name}"] = {"color": colour, "marker": "s", "ms": 2.5, "lw": 0.8}
    if any_beyond:
        entries[r"$\sigma > \sigma^*$"] = grey | {"ls": ":"}
    legend_above(figure, entries, columns=5)


# ---------------------------------------------------------------- words


def _gamma(values: pd.Series) -> str:
    return quoted(values, 3, form="f")


def _rate(values: pd.Series) -> str:
    """On which side of the claimed rate the whole interval lies, and γ."""
    side = worded(values, "more slowly than k⁻²", "faster than k⁻²", "at a rate consistent with k⁻²")
    if len(measured(values)) < 2:
        side = "at a rate not measured in two seeds"
    return f"{side} (γ = {_gamma(values)})"


def _caption(slopes: pd.DataFrame, criteria: pd.DataFrame, sigma: float, at: float, was_cut: bool) -> str:
    (first, rate), *others = (
        (REGIMES[regime], _rate(slope(slopes, regime, "expected", "delta2", sigma=sigma)))
        for regime in regimes_of(criteria)
    )
    beside = "".join(f", {regime} {rate}" for regime, rate in others)
    control = _gamma(slope(slopes, "random", "expected", "delta2", sigma=at))
    return (
        f"{first.capitalize()} Δ₂ ~ k^(γ−2) (expected next sample, full space, σ = {sigma:g}) decays {rate}{beside}. At "
        f"fixed random weights, by algebra k⁻², γ = {control}. {CUT * was_cut}{repeats(criteria, scale=f'N = {size_of(criteria):,}')}"
    )


def _numbers(slopes: pd.DataFrame, criteria: pd.DataFrame, sigma: float, at: float) -> dict[str, str]:
    """γ of every criterion, regime and next sample, with the k over which it is fitted."""
    largest = largest_probe(criteria)
    subspace = criteria[criteria["probe"] == largest]
    kinds = {
        f"Δ₂ in {FULL}": (criteria, {"criterion": "delta2", "sigma": sigma}),
        f"Δ₂ in {largest}": (
            subspace,
            {"criterion": "delta2_D", "dim": subspace["dim"].max(), "sigma": sigma},
        ),
        "Δ₁": (criteria, {"criterion": "delta1"}),
    }
    numbers = {
        "γ": "slope of log (k+1)²Δ₂, or of log (k+1)Δ₁, on log (k+1), mean over seeds; 0 is the claimed rate, and that of fixed weights once L_k has settled"
    }
    for regime in regimes_of(criteria):
        for name, (rows, kind) in kinds.items():
            k = rows.loc[rows["regime"] == regime, "k"]
            for next_ in NEXT:
                key = f"γ of {name}, {REGIMES[regime]}, {next_} next sample, k = {k.min()} to {k.max()}"
                numbers[key] = _gamma(slope(slopes, regime, next_, **kind))
    for control in CONTROLS:
        for next_ in NEXT:
            key = f"γ of Δ₂ in {FULL}, fixed {control} weights, {next_} next sample, σ = {at:g}"
            numbers[key] = _gamma(slope(slopes, control, next_, "delta2", sigma=at))
    closed = criteria[criteria["estimator"] == "gaussian_moment"]
    return numbers | {"estimates not above 0, left out": str((closed["estimate"] <= 0).sum())}


def _lines(beyond: dict[str, list[str]]) -> list[str]:
    return [f"{REGIMES[regime]}, {probe}" for regime, probes in beyond.items() for probe in probes]
