"""The spectrum of the Hessian and the gradient noise along a path between minima."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from valleyscope.figures.connectivity.shared import (
    ARC,
    CUT,
    KINDS,
    NO_DIFFERENCE,
    against_ends,
    intervals_over_pairs,
    not_drawn,
    plain_ticks,
    rows_of,
    side,
    told,
)
from valleyscope.figures.landscape.shared import shades, trace, trim
from valleyscope.figures.repeats import listed
from valleyscope.figures.style import interval, new_figure, spread
from valleyscope.readings.paths import middle_over_ends

LARGE = 0.1  # of the largest eigenvalue on a pair's path: beyond it the bulk has ended
POINTS = 240  # of the grid that pairs share
TOP = 0.9  # of the largest eigenvalue of the grid: beyond it there are single eigenvalues only
BELOW = 30  # the axis of the density ends this factor below the highest peak beyond TOP


def draw(spectrum: pd.DataFrame, eigenvalues: pd.DataFrame, curvature: pd.DataFrame) -> tuple[Figure, str]:
    """AutoNEB between AdamW minima: density at some positions, top eigenvalues, Tr Σ, alignment of H and Σ."""
    spectrum, eigenvalues, curvature = (
        rows_of(table).sort_values("position") for table in (spectrum, eigenvalues, curvature)
    )
    curvature = curvature.assign(alignment=alignment(curvature), frobenius=np.sqrt(curvature["square"]))
    figure, ((density, leading), (noise, aligned)) = new_figure(5.0, rows=2, columns=2)
    _draw_density(density, spectrum)
    cut = [_draw_leading(leading, eigenvalues)]
    for _, rows in curvature.groupby("pair"):
        for panel, name in ((noise, "noise"), (aligned, "alignment")):
            panel.plot(rows["position"], rows[name], color=KINDS["autoneb"], lw=0.5, alpha=0.7)
    trace(noise, curvature, "position", "noise", color=KINDS["autoneb"], lw=1.4)
    noise.set(yscale="log", xlabel=ARC, ylabel=r"$\mathrm{Tr}\,\Sigma$ (nats$^2$)")
    cut.append(trim([noise]))
    plain_ticks(noise.yaxis)
    noise.set_title("Gradient noise")
    _draw_alignment(aligned, curvature)
    return figure, _caption(spectrum, eigenvalues, curvature, any(cut))


def alignment(curvature: pd.DataFrame) -> pd.Series:
    """Tr(HΣ) / (‖H‖_F ‖Σ‖_F): 1 if Σ is proportional to H, 0 if they live in different directions."""
    return curvature["shared"] / np.sqrt(curvature["square"] * curvature["noise_square"])


def on_shared_grid(rows: pd.DataFrame) -> pd.DataFrame:
    """Densities of one position, a column a pair, on one grid; pairs have grids of their own, 0 outside."""
    grid = np.linspace(rows["eigenvalue"].min(), rows["eigenvalue"].max(), POINTS)
    by_pair = {
        pair: np.interp(grid, part["eigenvalue"], part["density"], left=0, right=0)
        for pair, part in rows.sort_values("eigenvalue").groupby("pair")
    }
    return pd.DataFrame(by_pair, index=pd.Index(grid, name="eigenvalue"))


def large_share(spectrum: pd.DataFrame, eigenvalues: pd.DataFrame) -> pd.DataFrame:
    """Share of the spectrum above LARGE times the largest eigenvalue on the pair's path: pairs by position."""
    limit = LARGE * eigenvalues.groupby("pair")["eigenvalue"].max()
    shares = {}
    for (pair, position), rows in spectrum.groupby(["pair", "position"]):
        rows = rows.sort_values("eigenvalue")
        weight = np.where(rows["eigenvalue"] > limit[pair], rows["density"], 0.0)
        shares[pair, position] = np.trapezoid(weight, rows["eigenvalue"])
    return pd.Series(shares).unstack()


def _draw_density(panel: plt.Axes, spectrum: pd.DataFrame) -> None:
    """Arithmetic means, as a pair without eigenvalues in a range counts as 0 there; single pairs, no bands."""
    colours = shades(spectrum["position"])
    peaks = []
    for position, rows in spectrum.groupby("position"):
        by_pair = on_shared_grid(rows)
        mean = by_pair.mean(axis="columns")
        panel.plot(mean.index, by_pair, color=colours[position], lw=0.4, alpha=0.5)
        panel.plot(mean.index, mean, color=colours[position], lw=1.4, label=f"{position:g}")
        peaks.append(mean[mean.index > TOP * mean.index.max()].max())
    panel.set(yscale="log", xlabel="eigenvalue (nats)", ylabel="density (per nat)")
    panel.set_ylim(max(peaks) / BELOW, 10 * spectrum["density"].max())
    panel.legend(title="position")
    panel.set_title("Spectral density of $H$, blurred")


def _draw_leading(panel: plt.Axes, eigenvalues: pd.DataFrame) -> bool:
    """A line a rank; whether a band was cut."""
    colours = shades(eigenvalues["rank"], "flare_r")
    for rank, colour in colours.items():
        rows = eigenvalues[eigenvalues["rank"] == rank]
        trace(panel, rows, "position", "eigenvalue", color=colour, lw=1)
    panel.set(yscale="log", xlabel=ARC, ylabel="eigenvalue (nats)")
    cut = trim([panel])
    plain_ticks(panel.yaxis)
    panel.set_title(f"Largest eigenvalues, rank {min(colours)} (dark) to {max(colours)} (light)")
    return cut


def _draw_alignment(panel: plt.Axes, curvature: pd.DataFrame) -> None:
    places = curvature.groupby("position")["alignment"]
    low, high = np.array([interval(values) for _, values in places]).T
    panel.plot(places.mean(), color=KINDS["autoneb"], lw=1.4)
    panel.fill_between(places.mean().index, low, high, color=KINDS["autoneb"], alpha=0.1, lw=0)
    panel.set(
        xlabel=ARC,
        ylabel=r"$\mathrm{Tr}\,H\Sigma\,/\,(\|H\|_F\,\|\Sigma\|_F)$",
        ylim=(min(0, low.min()), 1.02),
    )
    panel.set_title(r"Alignment of $H$ and $\Sigma$")


def _caption(spectrum: pd.DataFrame, eigenvalues: pd.DataFrame, curvature: pd.DataFrame, cut: bool) -> str:
    over = {name: middle_over_ends(curvature, name) for name in ("frobenius", "noise", "alignment")}
    mean = curvature.groupby("pair")["alignment"].mean()
    error = (curvature["shared_se"] / curvature["shared"].abs()).median()
    residual = (eigenvalues["residual"] / eigenvalues["eigenvalue"].abs()).max()
    return (
        f"In the middle of the path (0.4 to 0.6) ‖H‖_F, which the whole spectrum enters, is {against_ends(over['frobenius'])}. "
        f"{_leading(eigenvalues)} {_large(spectrum, eigenvalues)} Of the gradient noise, Tr Σ in the middle is "
        f"{against_ends(over['noise'])}; the alignment of Σ, the covariance of the samples' gradients, with H is {spread(mean)} "
        f"(mean over the path), in the middle {against_ends(over['alignment'])}. One Tr HΣ has a standard error of {100 * error:.2g} % "
        f"(median); residuals are at most {residual:.1e} of their eigenvalue. AutoNEB between minima of AdamW; thin lines: single "
        f"pairs. {not_drawn(pd.concat([eigenvalues['eigenvalue'], curvature['noise']]))}{CUT * cut}Density and alignment: "
        f"means, and of the alignment {intervals_over_pairs(curvature, 'its interval; others: geometric means')}"
    )


def _leading(eigenvalues: pd.DataFrame) -> str:
    """At which ranks the eigenvalue is higher in the middle, and the numbers of the first and the last rank."""
    by_rank = {rank: middle_over_ends(rows, "eigenvalue") for rank, rows in eigenvalues.groupby("rank")}
    words = {1: "higher at", -1: "lower at", 0: f"{NO_DIFFERENCE} at"}
    parts = []
    for sign, word in words.items():
        ranks = [rank for rank, ratios in by_rank.items() if side(ratios) == sign]
        if len(ranks) > 2 and ranks[-1] - ranks[0] == len(ranks) - 1:
            parts.append(f"{word} ranks {ranks[0]} to {ranks[-1]}")
        elif ranks:
            parts.append(f"{word} rank {listed(ranks)}")
    first, last = min(by_rank), max(by_rank)
    return (
        f"The eigenvalue of a rank, middle over ends: {'; '.join(parts)} (rank {first}: {told(by_rank[first])}, rank {last}: "
        f"{told(by_rank[last])})."
    )


def _large(spectrum: pd.DataFrame, eigenvalues: pd.DataFrame) -> str:
    """Share of large eigenvalues at the first and the last position of the density."""
    share = large_share(spectrum, eigenvalues)
    first, last = share.columns.min(), share.columns.max()
    ratio = share[last] / share[first].where(share[first] > 0)
    words = {1: "larger than", -1: "smaller than", 0: f"{NO_DIFFERENCE} from"}[side(ratio)]
    return (
        f"The share of the spectrum above {LARGE:g} of the largest eigenvalue on the pair's path is at position {last:g} "
        f"({told(share[last], 2)}) {words} that at {first:g} ({told(share[first], 2)}): ratio {told(ratio)}."
    )
