"""Decay of Δ₁, Δ₂ and Δ₂^(D) with k, beside weights that do not depend on k (Paper A, Fig. 2)."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from valleyscope.figures.connectivity.shared import plain_ticks
from valleyscope.figures.landscape.shared import (
    CUT,
    FULL,
    NEXT,
    intervals_over,
    k_axis,
    legend_above,
    probe_colours,
    probe_names,
    quoted,
    trace,
    trim,
    widths,
    without_star,
)
from valleyscope.figures.style import COLOURS, new_figure
from valleyscope.readings.intervals import geometric_mean, student_interval
from valleyscope.readings.landscape import (
    MEASURED_AT,
    REGIMES,
    holds_up_to,
    middle,
    nearest,
    regimes_of,
    sigma_star,
)

CONTROLS = {"random": COLOURS[3], "trained": COLOURS[1]}


def draw(
    criteria: pd.DataFrame, fixed_weights: pd.DataFrame, slopes: pd.DataFrame, validity: pd.DataFrame
) -> tuple[Figure, str]:
    """A row a regime: Δ₁, then Δ₂ with Δ₂^(D), then (k+1)²Δ₂ beside the controls, against k."""
    criteria = criteria.assign(probe=probe_names(criteria), scaled=_scaled(criteria))
    sigma = middle(criteria.loc[criteria["criterion"] == "delta2", "sigma"])
    controls = _controls(fixed_weights, sigma)
    stars = stars_of(criteria, validity)
    # Where σ* is below `sigma` or not known, the closed form is not known to hold.
    beyond = {regime: [] for regime in regimes_of(criteria)}
    for (regime, probe), star in stars.items():
        beyond[regime] += [probe] * (not sigma <= holds_up_to(star))
    figure, axes = new_figure(2 * len(beyond) + 0.7, rows=len(beyond), columns=3, squeeze=False)
    cut = False
    for row, regime in zip(axes, beyond, strict=True):
        rows = criteria[criteria["regime"] == regime]
        squared = rows[np.isclose(rows["sigma"], sigma) & (rows["criterion"] != "delta1")]
        _draw_first(row[0], rows.query("criterion == 'delta1'"))
        _draw_squared(row[1], squared, beyond[regime])
        _draw_scaled(row[2], squared, controls[controls["k"] <= rows["k"].max()], beyond[regime])
        labels = [r"$\Delta_1$ (nats)", r"$\Delta_2$ (nats$^2$)", r"$(k+1)^2\,\Delta_2$ (nats$^2$)"]
        for panel, label in zip(row, labels, strict=True):
            panel.set_ylabel(label)
            cut |= trim([panel])
        row[0].set_title(regime.capitalize())
        row[1].set_title(rf"$\sigma$ = {sigma:g}")
        row[2].set_title(rf"$\sigma$ = {sigma:g}, flat: rate $k^{{-2}}$")
    _legend(figure, probe_colours(criteria), any(beyond.values()))
    clauses = _beyond_sentence(beyond) + without_star({f"{p} ({r})": star for (r, p), star in stars.items()})
    return figure, _caption(slopes, criteria, controls, sigma, list(beyond), clauses + CUT * cut)


def stars_of(table: pd.DataFrame, validity: pd.DataFrame) -> dict[tuple[str, str], pd.Series]:
    """σ* by seed of each (regime, probe), small D first."""
    probes = (
        table.query("criterion != 'delta1'").sort_values("dim").groupby("probe", sort=False)["dim"].first()
    )
    return {
        (regime, probe): sigma_star(validity, MEASURED_AT[regime], dim)
        for regime in regimes_of(table)
        for probe, dim in probes.items()
    }


def _scaled(table: pd.DataFrame) -> pd.Series:
    """(k+1)² Δ₂ = E(ℓ_{k+1} − L_k)²: all that can drift with k."""
    return (table["k"] + 1) ** 2 * table["estimate"]


def _controls(fixed_weights: pd.DataFrame, sigma: float) -> pd.DataFrame:
    """(k+1)² Δ₂ of the control at the σ of its grid nearest to `sigma`."""
    rows = fixed_weights.query("criterion == 'delta2'")
    return rows[rows["sigma"] == nearest(rows["sigma"], sigma)].assign(scaled=_scaled)


def _draw_first(panel: plt.Axes, rows: pd.DataFrame) -> None:
    k_axis(panel, rows["k"])
    panel.set_yscale("log")
    for name, style in NEXT.items():
        trace(panel, rows[rows["next"] == name], "k", "estimate", color="k", **style)
    _guide(panel, rows, -1)


def _draw_squared(panel: plt.Axes, rows: pd.DataFrame, beyond: list[str]) -> None:
    """Closed forms as lines, direct Monte Carlo (expected) as open markers."""
    closed, direct = rows.query("estimator == 'gaussian_moment'"), rows.query("estimator == 'direct'")
    k_axis(panel, rows["k"])
    panel.set_yscale("log")
    _draw_probes(panel, closed.query("next == 'expected'"), "estimate", beyond)
    single = closed.query("next == 'single' and criterion == 'delta2'")
    trace(panel, single, "k", "estimate", color="k", **NEXT["single"])
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
        trace(panel, fixed, "k", "scaled", color=colour, marker="s", ms=2.5, lw=0.8)
    k_axis(panel, rows["k"])
    panel.set_yscale("log")
    plain_ticks(panel.yaxis)


def _draw_probes(panel: plt.Axes, rows: pd.DataFrame, y: str, beyond: list[str]) -> None:
    """A line a probe, dotted beyond its σ*, full space widest and below."""
    colours = probe_colours(rows)
    for probe, width in widths(colours).items():
        style = {"color": colours[probe], "lw": width, "ls": ":" if probe in beyond else "-"}
        trace(panel, rows[rows["probe"] == probe], "k", y, **style)


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


def _gamma(slopes: pd.DataFrame, regime: str, next_: str, probe: str | None, sigma: float) -> pd.Series:
    """γ of each seed, of Δ₁ if `probe` is None."""
    squared = np.isclose(slopes["sigma"], sigma) & slopes["criterion"].isin(["delta2", "delta2_D"])
    kind = squared & (probe_names(slopes) == probe) if probe else slopes["criterion"] == "delta1"
    rows = slopes[kind & (slopes["regime"] == regime) & (slopes["next"] == next_)]
    if regime in REGIMES:
        rows = rows[rows["estimator"].isin(["gaussian_moment", "exact"])]
    return rows["slope"]


def _fixed(values: pd.Series, digits: int) -> str:
    """ "mean [low, high]" with as many digits after the point."""
    mean, low, high = student_interval(values)
    return f"{mean:z.{digits}f} [{low:z.{digits}f}, {high:z.{digits}f}]"


def _both(slopes: pd.DataFrame, regime: str, probe: str | None, sigma: float) -> str:
    """γ of the single and of the expected next sample."""
    one, mean = (
        quoted(_gamma(slopes, regime, name, probe, sigma), _fixed, 2) for name in ("single", "expected")
    )
    return f"{one} and {mean}"


def _range(criteria: pd.DataFrame, regime: str, probe: str) -> str:
    """The k over which a slope is fitted."""
    sizes = criteria.loc[(criteria["regime"] == regime) & (criteria["probe"] == probe), "k"]
    return f"{sizes.min()} to {sizes.max()}"


def _rate(values: pd.Series) -> str:
    """In words, on which side of the claimed rate the whole interval lies."""
    values = values.dropna()
    if len(values) < 2:
        return "at a rate that was not measured in two seeds"
    _, low, high = student_interval(values)
    if low > 0:
        return "more slowly than k⁻²"
    return "faster than k⁻²" if high < 0 else "at a rate not told apart from k⁻²"


def _caption(
    slopes: pd.DataFrame,
    criteria: pd.DataFrame,
    controls: pd.DataFrame,
    sigma: float,
    regimes: list,
    clauses: str,
) -> str:
    largest = list(probe_colours(criteria))[-1]
    at = controls["sigma"].iloc[0]
    probes = (FULL, largest)
    gammas = [
        f"{name}, {p} (k = {_range(criteria, name, p)}): {_both(slopes, name, p, sigma)}"
        for name in regimes
        for p in probes
    ]
    fixed = [f"{name}: {_both(slopes, name, FULL, at)}" for name in CONTROLS]
    first = [f"{name}: {_both(slopes, name, None, 0)}" for name in regimes]
    main = _gamma(slopes, regimes[0], "expected", FULL, sigma)
    lost = int((criteria["estimate"] <= 0)[criteria["estimator"] == "gaussian_moment"].sum())
    return (
        f"{REGIMES[regimes[0]].capitalize()} Δ₂ of the expected next sample (full space, σ = {sigma:g}) decays {_rate(main)}: γ = "
        f"{quoted(main, _fixed, 2)}, the slope of log (k+1)²Δ₂ on log (k+1); 0 is the claimed rate, below 0 is faster. "
        f"γ of the single and of the expected next sample, {'; '.join(gammas)}. Fixed weights, flat by algebra once L_k "
        f"has settled, {'; '.join(fixed)}. Of log (k+1)Δ₁ (0 is k⁻¹), {'; '.join(first)}. Solid: expected (mean over "
        "held-out candidates), dashed: single (Δ₁ and full space). Lines: closed forms; circles: direct Monte Carlo, "
        f"expected; squares: fixed weights, direct Monte Carlo in full space, expected, σ = {at:g}; grey: claimed rates. "
        f"{clauses}{f'{lost} estimates not above 0 are left out. ' if lost else ''}Geometric means (γ: means) and "
        f"{intervals_over(criteria)}"
    )


def _beyond_sentence(beyond: dict[str, list[str]]) -> str:
    named = [f"{probe} ({name})" for name, probes in beyond.items() for probe in probes]
    if not named:
        return "No line lies above its σ*, the quadratic model's limit. "
    return f"Dotted: σ is above σ*, the quadratic model's limit, or σ* is not known in every seed: {', '.join(named)}. "
