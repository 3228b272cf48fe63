"""The toy valley of Paper B: a particle's way to the flat part, and the potential that drives it."""

from collections.abc import Callable
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from valleyscope.connectivity.valley import COEFFICIENT, NOISES, curvature, density, shape_slope
from valleyscope.figures.style import COLOURS, Picture, new_figure
from valleyscope.readings.intervals import interval_of, quoted, side

PUBLISHED = 1.0  # coefficient of T ln g in the paper
COLOUR = dict(zip(NOISES, COLOURS, strict=False))
NAMES = {"isotropic": "isotropic noise", "proportional": r"noise variance $\propto g$"}
FORMULAS = {"log": "T ln g", "linear": "T g/g₀"}
QUANTITIES = ("density", "drift")
CELLS = [(noise, quantity) for noise in NOISES for quantity in QUANTITIES]


def draw(fits: pd.DataFrame, profile: pd.DataFrame, trajectories: pd.DataFrame) -> Picture:
    """V with single particles; density and drift along y beside both laws; coefficients at both steps."""
    figure, ((landscape, potential), (coefficients, drift)) = new_figure(5.0, rows=2, columns=2)
    walks = trajectories[trajectories["seed"] == trajectories["seed"].min()]
    contrast = walks["contrast"].iloc[0]
    _draw_landscape(landscape, walks)
    _draw_profile(
        potential, fits, profile.query("quantity == 'density'"), partial(density, contrast=contrast)
    )
    potential.set(yscale="log", ylabel=r"$P(y)$ (per radian)", title=r"Stationary density ($T_y = T$)")
    low, high = potential.get_ylim()
    potential.set_ylim(low, high * (high / low) ** 0.35)  # room for the legend
    _label_decimals(potential)
    _legend(potential)
    _draw_profile(drift, fits, profile.query("quantity == 'drift'"), partial(_velocity, contrast=contrast))
    drift.set(ylabel=r"$\langle \dot y \rangle\,/\,T$", title=r"Drift ($T_y = 0$)")
    drift.axhline(0, color="0.6", lw=0.7, zorder=0)
    own = fits[fits["law"] == fits["noise"].map(NOISES)]
    _draw_coefficients(coefficients, own)
    at = {cell: _cell(own, *cell, own["step_size"].min()) for cell in CELLS}
    caption = (
        f"{_finding(at)} Circle: start, square: end. Means and 95 % t-intervals over "
        f"{own['seed'].nunique()} seeds of the simulation; V = ½ g(y) x²."
    )
    return Picture(figure, caption, _numbers(fits, own, at))


def _velocity(law: str, coefficient: float, y: np.ndarray, contrast: float) -> np.ndarray:
    return -coefficient * shape_slope(law, y, contrast)


def _draw_landscape(axes: plt.Axes, walks: pd.DataFrame) -> None:
    """Contours of V / T, particles from circle to square."""
    stiffness, contrast, temperature = walks[["stiffness", "contrast", "temperature"]].iloc[0]
    reach = 1.05 * walks["x"].abs().max()
    y, x = np.meshgrid(np.linspace(0, 2 * np.pi, 121), np.linspace(-reach, reach, 81))
    potential = 0.5 * curvature(y, stiffness, contrast) * x**2 / temperature
    lines = axes.contour(y, x, potential, levels=[0.5, 2, 8, 32], colors="0.6", linewidths=0.7)
    axes.clabel(lines, levels=[2, 8, 32], fmt="%g T", fontsize=6)
    for (_, rows), colour in zip(walks.groupby("particle"), COLOURS[2:], strict=False):
        axes.plot(rows["y"], rows["x"], color=colour, lw=0.6, alpha=0.8)
        for row, marker in ((rows.iloc[0], "o"), (rows.iloc[-1], "s")):
            axes.plot(row["y"], row["x"], marker, color=colour, mec="k", ms=5, zorder=3)
    axes.set(
        ylabel="x, across the valley", title=rf"$V$, and two particles ($T_y = 0$, t = {walks['t'].max():g})"
    )
    _period(axes)


def _draw_profile(axes: plt.Axes, fits: pd.DataFrame, profile: pd.DataFrame, law_at: Callable) -> None:
    """Mean and interval over seeds at the smaller step; the noise's own law at c = 1/2, the other at its best c."""
    fine = profile[profile["step_size"] == profile["step_size"].min()]
    fitted = (
        fits[fits["step_size"] == fits["step_size"].min()]
        .groupby(["noise", "quantity", "law"])["coefficient"]
        .mean()
    )
    y = np.linspace(0, 2 * np.pi, 241)
    for noise, rows in fine.groupby("noise"):
        places = rows.assign(place=rows.groupby("seed").cumcount()).groupby("place")
        mean, low, high = np.transpose([interval_of(values) for _, values in places["value"]])
        style = {"fmt": "o", "ms": 3, "lw": 0.8, "capsize": 1.5, "color": COLOUR[noise]}
        axes.errorbar(places["y"].mean(), mean, [mean - low, high - mean], **style)
        own, other = NOISES[noise], NOISES[_other(noise)]
        axes.plot(y, law_at(own, COEFFICIENT, y), color=COLOUR[noise], lw=1)
        best = fitted[noise, rows["quantity"].iloc[0], other]
        axes.plot(y, law_at(other, best, y), color=COLOUR[noise], lw=1, ls=":")
    _period(axes)


def _label_decimals(axes: plt.Axes) -> None:
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())


def _period(axes: plt.Axes) -> None:
    labels = ["0\nsteep", r"$\pi/2$", "$\\pi$\nflat", r"$3\pi/2$", "$2\\pi$\nsteep"]
    axes.set_xticks(np.arange(5) * np.pi / 2, labels)
    axes.set(xlim=(0, 2 * np.pi), xlabel="y, along the valley")


def _legend(axes: plt.Axes) -> None:
    entries = {
        name: Line2D([], [], color=COLOUR[noise], marker="o", ms=3, lw=0) for noise, name in NAMES.items()
    }
    entries["its law, c = 1/2"] = Line2D([], [], color="0.3", lw=1)
    entries["other law, best c"] = Line2D([], [], color="0.3", lw=1, ls=":")
    axes.legend(entries.values(), entries, ncols=2, loc="upper center", columnspacing=1, handlelength=1.6)


def _draw_coefficients(axes: plt.Axes, own: pd.DataFrame) -> None:
    steps = sorted(own["step_size"].unique(), reverse=True)
    for place, (noise, quantity) in enumerate(CELLS):
        for step, shift, fill in zip(steps, (-0.13, 0.13), ("none", "full"), strict=True):
            mean, low, high = interval_of(_cell(own, noise, quantity, step))
            style = {"fmt": "o", "ms": 4, "fillstyle": fill, "capsize": 2, "lw": 1, "color": COLOUR[noise]}
            axes.errorbar(mean, place + shift, xerr=[[mean - low], [high - mean]], **style)
    for value, label, align in ((COEFFICIENT, "1/2", "left"), (PUBLISHED, r"paper's $T\,\ln g$", "right")):
        axes.axvline(value, color="0.6", lw=0.7, zorder=0)
        offset = {"xytext": (3 if align == "left" else -3, 0), "textcoords": "offset points"}
        axes.annotate(label, (value, -0.5), **offset, color="0.4", size=7, ha=align, va="top")
    names = {"isotropic": r"$T\,\ln g$", "proportional": r"$T\,g/g_0$"}
    axes.set_yticks(range(len(CELLS)), [f"{names[noise]}\n{quantity}" for noise, quantity in CELLS])
    axes.set(ylim=(len(CELLS) - 0.5, -0.5), xlabel="coefficient c of the noise's own law")
    axes.set_title("Coefficient (open: step h, full: h/2)")


def _cell(own: pd.DataFrame, noise: str, quantity: str, step: float) -> pd.Series:
    """Coefficients by seed."""
    rows = own[(own["noise"] == noise) & (own["quantity"] == quantity) & (own["step_size"] == step)]
    return rows.set_index("seed")["coefficient"]


def _finding(at: dict) -> str:
    """The law of both kinds of noise, and which coefficient its intervals hold."""
    acts = "acts" if all(side(values) == 1 for values in at.values()) else "is not shown to act"
    found = {
        noise: " and ".join(f"{quoted(at[noise, quantity])} ({quantity})" for quantity in QUANTITIES)
        for noise in NOISES
    }
    return (
        f"Noise in a flat valley {acts} as a potential: c {FORMULAS['log']} if isotropic, c = {found['isotropic']}; "
        f"c {FORMULAS['linear']} if its variance goes as g, c = {found['proportional']}. Theory's 1/2 lies in "
        f"{_count(COEFFICIENT, at)} intervals, the paper's 1 before T ln g in {_count(PUBLISHED, _isotropic(at))}."
    )


def _numbers(fits: pd.DataFrame, own: pd.DataFrame, at: dict) -> dict[str, str]:
    large = own["step_size"].max()
    fine = (
        fits[fits["step_size"] == own["step_size"].min()]
        .groupby(["noise", "quantity", "law"])["chi2_dof"]
        .mean()
    )
    change = {cell: (values - _cell(own, *cell, large)).mean() for cell, values in at.items()}
    half = {cell: np.diff(interval_of(values)[1:]).item() / 2 for cell, values in at.items()}
    numbers = {
        f"c of {FORMULAS[NOISES[noise]]}, {quantity}": quoted(at[noise, quantity])
        for noise, quantity in CELLS
    }
    for noise, quantity in CELLS:
        for law, whose in (
            (NOISES[noise], "the noise's own law"),
            (NOISES[_other(noise)], "the other noise's law"),
        ):
            name = f"χ² per degree of freedom, c fitted, {noise} noise, {quantity}, {whose}"
            numbers[name] = f"{fine[noise, quantity, law]:.3g}"
    for value, whose, cells in (
        (COEFFICIENT, "theory's 1/2", at),
        (PUBLISHED, "the paper's 1", _isotropic(at)),
    ):
        numbers[f"intervals that do not hold {whose}"] = ", ".join(_missing(value, cells)) or "none"
    return numbers | {
        "largest change of c when the step is halved under the same noise": f"{max(map(abs, change.values())):.2g}",
        "largest change of c over half the width of its interval": f"{max(abs(change[cell]) / half[cell] for cell in CELLS):.2g}",
        "c": "from step h/2, by maximum likelihood (density) and regression through the origin (drift)",
        "dynamics": "dX = -∇V dt + √(2T) dW; along y the temperature T_y is T for the density and 0 for the drift",
        "potential": "V is 0 all along the floor x = 0, so the drift to the flat part is the noise's doing",
    }


def _other(noise: str) -> str:
    return next(name for name in NOISES if name != noise)


def _isotropic(at: dict) -> dict:
    return {cell: values for cell, values in at.items() if cell[0] == "isotropic"}


def _missing(value: float, at: dict) -> list[str]:
    """The cells whose interval does not hold `value`."""
    ends = {cell: interval_of(values)[1:] for cell, values in at.items()}
    return [" ".join(cell) for cell, (low, high) in ends.items() if not low <= value <= high]


def _count(value: float, at: dict) -> str:
    return f"{len(at) - len(_missing(value, at))} of {len(at)}"
