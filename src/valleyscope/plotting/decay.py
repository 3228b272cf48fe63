"""Decay of Δ₁, Δ₂ and Δ₂^(D) with k, beside weights that do not depend on k (Paper A, Fig. 2)."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from valleyscope.intervals import student_interval
from valleyscope.plotting.style import COLOURS, geometric_mean, log_interval, new_figure, spread

WEIGHTS = {"trajectory": "trained", "minimisers": "minimisers"}  # regime: where its σ* was measured
CONTROLS = {"random": COLOURS[3], "trained": COLOURS[1]}
NEXT = {"expected": {"ls": "-"}, "single": {"ls": "--", "lw": 0.9}}
NAMES = {"trajectory": "On the trajectory", "minimisers": "At minimisers"}
FULL = "full space"


def draw(
    criteria: pd.DataFrame, fixed_weights: pd.DataFrame, slopes: pd.DataFrame, validity: pd.DataFrame
) -> tuple[Figure, str]:
    """A row a regime: Δ₁, then Δ₂ with Δ₂^(D), then (k+1)²Δ₂ beside the controls, against k."""
    criteria = criteria.assign(probe=probe_names(criteria), scaled=_scaled(criteria))
    sigma = middle(criteria.loc[criteria["criterion"] == "delta2", "sigma"])
    controls = _controls(fixed_weights, sigma)
    regimes = regimes_of(criteria)
    beyond = {regime: probes_beyond(criteria, validity, regime, sigma) for regime in regimes}
    figure, axes = new_figure(2 * len(regimes) + 0.7, rows=len(regimes), columns=3, squeeze=False)
    for row, regime in zip(axes, regimes, strict=True):
        rows = criteria[criteria["regime"] == regime]
        squared = rows[np.isclose(rows["sigma"], sigma) & (rows["criterion"] != "delta1")]
        _draw_first(row[0], rows.query("criterion == 'delta1'"))
        _draw_squared(row[1], squared, beyond[regime])
        _draw_scaled(row[2], squared, controls[controls["k"] <= rows["k"].max()], beyond[regime])
        labels = [r"$\Delta_1$ (nats)", r"$\Delta_2$ (nats$^2$)", r"$(k+1)^2\,\Delta_2$ (nats$^2$)"]
        for panel, label in zip(row, labels, strict=True):
            panel.set_ylabel(label)
            trim([panel])
        row[0].set_title(f"{regime.capitalize()}")
        row[1].set_title(rf"$\sigma$ = {sigma:g}")
        row[2].set_title(rf"$\sigma$ = {sigma:g}, flat: rate $k^{{-2}}$")
    _legend(figure, probe_colours(criteria), any(beyond.values()))
    return figure, _caption(slopes, criteria, controls, sigma, beyond)


def regimes_of(table: pd.DataFrame) -> list[str]:
    """Those in the table, in the order of WEIGHTS."""
    return [regime for regime in WEIGHTS if (table["regime"] == regime).any()]


def probe_names(table: pd.DataFrame) -> np.ndarray:
    """ "D = 4" for a subspace, "full space" otherwise."""
    return np.where(table["criterion"] == "delta2_D", "D = " + table["dim"].astype(str), FULL)


def probe_colours(table: pd.DataFrame) -> dict[str, tuple | str]:
    """Full space (first, so below) in black, D in an ordered palette."""
    dims = sorted(table.loc[table["criterion"] == "delta2_D", "dim"].unique())
    palette = sns.color_palette("viridis", len(dims))
    return {FULL: "k"} | {f"D = {dim}": colour for dim, colour in zip(dims, palette, strict=True)}


def widths(probes: dict) -> dict[str, float]:
    """Line widths, the first widest: lines that lie on each other stay visible."""
    return dict(zip(probes, np.linspace(4, 1, len(probes)), strict=True))


def middle(values: pd.Series) -> float:
    """The middle value of a grid."""
    grid = sorted(values.dropna().unique())
    return grid[len(grid) // 2]


def sigma_star(validity: pd.DataFrame, regime: str, dim: int) -> float:
    """Geometric mean over seeds of the increment's σ* in float64; NaN if there is none."""
    rows = validity.query("quantity == 'increment' and precision == 'float64' and dim == @dim")
    found = rows.loc[rows["weights"] == WEIGHTS[regime], "sigma_star"].dropna()
    return geometric_mean(found) if len(found) else np.nan


def probes_beyond(table: pd.DataFrame, validity: pd.DataFrame, regime: str, sigma: float) -> list[str]:
    """Probes whose σ* is below `sigma` or was not found: there the closed form is not known to hold."""
    pairs = table.query("criterion != 'delta1'")[["probe", "dim"]].drop_duplicates().sort_values("dim")
    return [p.probe for p in pairs.itertuples() if not sigma <= sigma_star(validity, regime, p.dim)]


def trace(panel: plt.Axes, rows: pd.DataFrame, x: str, y: str, **style) -> None:
    """Geometric mean over seeds with its 95 % interval as a band, where positive."""
    groups = rows[rows[y] > 0].groupby(x)[y]
    mean = groups.agg(geometric_mean)
    band = np.array([log_interval(values) for _, values in groups]).reshape(-1, 2)
    (line,) = panel.plot(mean.index, mean, **style)
    panel.fill_between(mean.index, *band.T, color=line.get_color(), alpha=0.1, lw=0)


def k_axis(panel: plt.Axes, k: pd.Series) -> None:
    """Logarithmic, ticks at up to four k of the grid."""
    grid = sorted(k.unique())
    shown = grid[:: -(-len(grid) // 4)]
    panel.set(xscale="log", yscale="log", xlabel="k (sequences)")
    panel.set_xticks(shown, [str(value) for value in shown])
    panel.xaxis.minorticks_off()


def trim(panels: list[plt.Axes], beyond: float = 30) -> None:
    """Cut intervals further than this factor from the lines of `panels`: two seeds give huge ones."""
    drawn = np.concatenate([line.get_ydata() for panel in panels for line in panel.lines])
    drawn = drawn[drawn > 0]
    if len(drawn):
        low, high = panels[0].get_ylim()
        panels[0].set_ylim(max(low, drawn.min() / beyond), min(high, drawn.max() * beyond))


def stated(values: pd.Series, write=spread) -> str:
    """Mean and interval over seeds as `write` puts them, of what was measured."""
    values = values[np.isfinite(values)]
    return write(values) if len(values) > 1 else "not measured in two seeds"


def _scaled(table: pd.DataFrame) -> pd.Series:
    """(k+1)² Δ₂ = E(ℓ_{k+1} − L_k)²: all that can drift with k."""
    return (table["k"] + 1) ** 2 * table["estimate"]


def _controls(fixed_weights: pd.DataFrame, sigma: float) -> pd.DataFrame:
    """(k+1)² Δ₂ of the control at the σ of its grid nearest to `sigma`."""
    rows = fixed_weights.query("criterion == 'delta2'")
    ratio = np.log(rows["sigma"] / sigma).abs()
    return rows[np.isclose(ratio, ratio.min())].assign(scaled=_scaled)


def _draw_first(panel: plt.Axes, rows: pd.DataFrame) -> None:
    k_axis(panel, rows["k"])
    for name, style in NEXT.items():
        trace(panel, rows[rows["next"] == name], "k", "estimate", color="k", **style)
    _guide(panel, rows, -1)


def _draw_squared(panel: plt.Axes, rows: pd.DataFrame, beyond: list[str]) -> None:
    """Closed forms as lines, direct Monte Carlo (expected) as open markers."""
    closed, direct = rows.query("estimator == 'gaussian_moment'"), rows.query("estimator == 'direct'")
    k_axis(panel, rows["k"])
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
        fixed = controls[(controls["weights"] == weights) & (controls["next"] == "expected")]
        trace(panel, fixed, "k", "scaled", color=colour, marker="s", ms=2.5, lw=0.8)
    k_axis(panel, rows["k"])
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.yaxis.set_major_formatter("{x:g}")
    panel.yaxis.set_minor_formatter(NullFormatter())


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
        f"$k^{{{power}}}$",
        (k[-1], line[-1]),
        (3, -3),
        textcoords="offset points",
        color="0.4",
        size=7,
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
    handles = [Line2D([], [], label=name, **style) for name, style in entries.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=5)


def _gamma(slopes: pd.DataFrame, regime: str, next_: str, probe: str | None, sigma: float) -> pd.Series:
    """γ of each seed, of Δ₁ if `probe` is None."""
    squared = np.isclose(slopes["sigma"], sigma) & slopes["criterion"].isin(["delta2", "delta2_D"])
    kind = squared & (probe_names(slopes) == probe) if probe else slopes["criterion"] == "delta1"
    rows = slopes[kind & (slopes["regime"] == regime) & (slopes["next"] == next_)]
    if regime in WEIGHTS:
        rows = rows[rows["estimator"].isin(["gaussian_moment", "exact"])]
    return rows["slope"]


def _hundredths(values: pd.Series) -> str:
    mean, low, high = student_interval(values)
    return f"{mean:z.2f} [{low:z.2f}, {high:z.2f}]"


def _both(slopes: pd.DataFrame, regime: str, probe: str | None, sigma: float) -> str:
    """γ of the single and of the expected next sample."""
    one, mean = (
        stated(_gamma(slopes, regime, name, probe, sigma), _hundredths) for name in ("single", "expected")
    )
    return f"{one} and {mean}"


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
    slopes: pd.DataFrame, criteria: pd.DataFrame, controls: pd.DataFrame, sigma: float, beyond: dict
) -> str:
    regime, largest = next(iter(beyond)), list(probe_colours(criteria))[-1]
    at = controls["sigma"].iloc[0]
    probes = (FULL, largest)
    gammas = [f"{name}, {p}: {_both(slopes, name, p, sigma)}" for name in beyond for p in probes]
    fixed = [f"{name}: {_both(slopes, name, FULL, at)}" for name in CONTROLS]
    first = [f"{name}: {_both(slopes, name, None, 0)}" for name in beyond]
    main = _gamma(slopes, regime, "expected", FULL, sigma)
    lost = int((criteria["estimate"] <= 0)[criteria["estimator"] == "gaussian_moment"].sum())
    return (
        f"{NAMES[regime]} Δ₂ of the expected next sample (full space, σ = {sigma:g}) decays {_rate(main)}: γ = "
        f"{stated(main, _hundredths)}, the slope of log (k+1)²Δ₂ on log (k+1); 0 is the claimed rate, below 0 is faster. "
        f"γ of the single and of the expected next sample, {'; '.join(gammas)}. Fixed weights, flat by algebra once L_k "
        f"has settled, {'; '.join(fixed)}. Of log (k+1)Δ₁ (0 is k⁻¹), {'; '.join(first)}. Solid: expected (mean over "
        "held-out candidates), dashed: single (Δ₁ and full space). Lines: closed forms; circles: direct Monte Carlo, "
        f"expected; squares: fixed weights, direct Monte Carlo in full space, expected, σ = {at:g}; grey: claimed rates. "
        f"{_beyond_sentence(beyond)}{f'{lost} estimates not above 0 are left out. ' if lost else ''}Geometric means (γ: "
        f"means) and 95 % t-intervals over {criteria['seed'].nunique()} seeds of weights and data order; brackets hold "
        "intervals."
    )


def _beyond_sentence(beyond: dict[str, list[str]]) -> str:
    named = [f"{probe} ({name})" for name, probes in beyond.items() for probe in probes]
    if not named:
        return "No line lies above its σ*, the quadratic model's limit. "
    return f"Dotted: σ is above σ*, the quadratic model's limit, or none was found: {', '.join(named)}. "
