"""δ_k on the plane of the two leading eigenvectors: true, quadratic model, difference."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from valleyscope.figures.captions import listed
from valleyscope.figures.style import Picture, new_figure

WEIGHTS = {"trained": "trained weights", "minimisers": "minimiser of $L_k$"}
TITLES = {
    "true": r"$\delta_k - \delta_k(0)$",
    "quadratic": "quadratic model",
    "difference": "true minus model",
}
SHADES = 25  # odd: the middle one, white, holds 0


def planes(geometry: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The plane of each weights setting: first seed, largest k, changes from its centre and their difference."""
    found = {}
    for weights, rows in geometry.dropna().groupby("regime", sort=False):
        rows = rows[rows["seed"] == rows["seed"].min()]
        plane = rows[rows["k"] == rows["k"].max()].copy()
        # An even grid lacks 0: then the point next to it stands for it.
        centre = plane.loc[np.hypot(plane["x"], plane["y"]).idxmin()]
        for name in ("true", "quadratic"):
            plane[name] -= centre[name]
        found[weights] = plane.assign(difference=plane["true"] - plane["quadratic"])
    return found


def draw(geometry: pd.DataFrame) -> Picture:
    """A row a weights setting; true and quadratic share a colour scale, the difference has its own."""
    shown = planes(geometry)
    figure, axes = new_figure(0.2 + 2.1 * len(shown), rows=len(shown), columns=3, squeeze=False)
    for row, (weights, plane) in zip(axes, shown.items(), strict=True):
        shared = plane[["true", "quadratic"]].abs().max().max()
        for panel, name in zip(row, TITLES, strict=True):
            limit = plane["difference"].abs().max() if name == "difference" else shared
            filled = _draw_plane(panel, plane, name, limit)
            panel.set_title(TITLES[name])
            if name != "true":
                bar = figure.colorbar(
                    filled, ax=row[:2] if name == "quadratic" else panel, shrink=0.8, ticks=MaxNLocator(5)
                )
                bar.set_label("nats", size=7)
                bar.ax.tick_params(labelsize=6)
                bar.ax.yaxis.get_offset_text().set_size(6)
        seed, k = plane["seed"].iloc[0], plane["k"].iloc[0]
        row[0].set_title(f"{TITLES['true']}, {WEIGHTS[weights]}\nseed {seed}, k = {k}")
        row[0].set_ylabel("displacement along $u_2$")
    return Picture(figure, _caption(shown), _numbers(shown))


def _draw_plane(panel: plt.Axes, plane: pd.DataFrame, name: str, limit: float):
    """Filled contours of one column, 0 in the middle of the colours, and lines at rounded values."""
    limit = limit if limit > 0 else 1.0
    grid = plane.pivot(index="y", columns="x", values=name)
    filled = panel.contourf(
        grid.columns, grid.index, grid, np.linspace(-limit, limit, SHADES + 1), cmap="RdBu_r"
    )
    filled.set_rasterized(True)  # thousands of small polygons otherwise
    if grid.min().min() < grid.max().max():
        lines = panel.contour(grid.columns, grid.index, grid, 6, colors="0.25", linewidths=0.5)
        panel.clabel(lines, fontsize=5, fmt="%.3g")
    panel.plot(0, 0, "k+", ms=4, mew=0.8)
    panel.set_box_aspect(1)
    panel.set_xlabel("displacement along $u_1$")
    return filled


def reach(plane: pd.DataFrame) -> float:
    """Largest |δ − δ(0)| on the plane."""
    return plane["true"].abs().max()


def _caption(shown: dict[str, pd.DataFrame]) -> str:
    errors = " and ".join(f"{_error(plane):.2g} at the {_plain(weights)}" for weights, plane in shown.items())
    seeds, ks = (listed(sorted({plane[name].iloc[0] for plane in shown.values()})) for name in ("seed", "k"))
    return (
        "On the plane of the two leading eigenvectors u₁, u₂ of H^(k) the quadratic model errs by at most this share of "
        f"the largest change of δ_k: {errors}. Colours: change of δ_k from its value at w_k (+) in nats; white is 0; the "
        "first two panels of a row share their scale, the third has its own. One model "
        f"(seed {seeds}), an example without an interval; k = {ks}."
    )


def _numbers(shown: dict[str, pd.DataFrame]) -> dict[str, str]:
    """What the plane of each weights spans."""
    told = {}
    for weights, plane in shown.items():
        at = f"{_plain(weights)}, k = {plane['k'].iloc[0]}"
        told[f"displacements along u₁ and u₂ ({at})"] = f"up to {plane[['x', 'y']].abs().max().max():.2g}"
        told[f"|δ − δ(0)| in nats ({at})"] = f"up to {reach(plane):.2g}"
        told[f"quadratic model off the largest |δ − δ(0)| by ({at})"] = f"at most {_error(plane):.2g}"
    return told


def _error(plane: pd.DataFrame) -> float:
    """Largest error of the quadratic model over the largest change."""
    return plane["difference"].abs().max() / reach(plane)


def _plain(weights: str) -> str:
    return WEIGHTS[weights].replace("$", "")
