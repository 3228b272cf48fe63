"""The spectrum of the Hessian and the gradient noise along a path between minima."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from valleyscope.figures.captions import repeats
from valleyscope.figures.connectivity.shared import (
    ARC,
    FINDER_COLOURS,
    MAIN,
    NO_DIFFERENCE,
    Window,
    against_ends,
    height,
    judged,
    not_drawn,
    span,
)
from valleyscope.figures.panels import CUT, band, cut, plain_ticks, shades, summary
from valleyscope.figures.style import Picture, new_figure
from valleyscope.readings.intervals import quoted
from valleyscope.readings.paths import middle_over_ends, rows_of

COLOUR = FINDER_COLOURS["autoneb"]
POINTS = 240  # of the grid that pairs share
TOP = 0.9  # of the largest eigenvalue of the grid: beyond it there are single eigenvalues only
BELOW = 30  # the axis of the density ends this factor below the highest peak beyond TOP


def draw(
    spectrum: pd.DataFrame,
    eigenvalues: pd.DataFrame,
    curvature: pd.DataFrame,
    *,
    middle: Window,
    large: float,
) -> Picture:
    """AutoNEB between AdamW minima: density at some positions, top eigenvalues, Tr Σ, alignment of H and Σ.

    `large`: of the largest eigenvalue on a pair's path, from which the caption counts the spectrum's share.
    """
    spectrum, eigenvalues, curvature = (
        rows_of(table).sort_values("position") for table in (spectrum, eigenvalues, curvature)
    )
    curvature = curvature.assign(alignment=alignment(curvature), frobenius=np.sqrt(curvature["square"]))
    figure, ((density, leading), (noise, aligned)) = new_figure(5.0, rows=2, columns=2)
    _draw_density(density, spectrum)
    trimmed = [_draw_leading(leading, eigenvalues)]
    for _, rows in curvature.groupby("pair"):
        for panel, name in ((noise, "noise"), (aligned, "alignment")):
            panel.plot(rows["position"], rows[name], color=COLOUR, lw=0.5, alpha=0.7)
    band(noise, curvature, "position", "noise", log=True, color=COLOUR, lw=1.4)
    noise.set(yscale="log", xlabel=ARC, ylabel=r"$\mathrm{Tr}\,\Sigma$ (nats$^2$)")
    trimmed.append(cut([noise]))
    plain_ticks(noise.yaxis)
    noise.set_title("Gradient noise")
    _draw_alignment(aligned, curvature)
    found = {name: middle_over_ends(curvature, name, middle) for name in ("frobenius", "noise", "alignment")}
    by_rank = {
        rank: middle_over_ends(rows, "eigenvalue", middle) for rank, rows in eigenvalues.groupby("rank")
    }
    share = large_share(spectrum, eigenvalues, large)
    ends = repeats(curvature, "pair", scale=f"{MAIN}, middle: {span(middle)}")
    caption = f"{_finding(found, by_rank)} {CUT * any(trimmed)}{ends}"
    return Picture(figure, caption, _numbers(eigenvalues, curvature, by_rank, share, large))


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


def large_share(spectrum: pd.DataFrame, eigenvalues: pd.DataFrame, large: float) -> pd.DataFrame:
    """Share of the spectrum above `large` times the largest eigenvalue on the pair's path: pairs by position."""
    limit = large * eigenvalues.groupby("pair")["eigenvalue"].max()
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
        band(panel, rows, "position", "eigenvalue", log=True, color=colour, lw=1)
    panel.set(yscale="log", xlabel=ARC, ylabel="eigenvalue (nats)")
    trimmed = cut([panel])
    plain_ticks(panel.yaxis)
    panel.set_title(f"Largest eigenvalues, rank {min(colours)} (dark) to {max(colours)} (light)")
    return trimmed


def _draw_alignment(panel: plt.Axes, curvature: pd.DataFrame) -> None:
    band(panel, curvature, "position", "alignment", color=COLOUR, lw=1.4)
    lowest = summary(curvature, "position", "alignment")["low"].min()
    panel.set(
        xlabel=ARC, ylabel=r"$\mathrm{Tr}\,H\Sigma\,/\,(\|H\|_F\,\|\Sigma\|_F)$", ylim=(min(0, lowest), 1.02)
    )
    panel.set_title(r"Alignment of $H$ and $\Sigma$")


def _finding(found: dict[str, pd.Series], by_rank: dict[int, pd.Series]) -> str:
    return (
        f"In the middle of the path, compared with its ends, ‖H‖_F is {height(found['frobenius'])}, gradient noise Tr Σ "
        f"{height(found['noise'])}, its alignment with H {height(found['alignment'])}; the eigenvalue is "
        f"{_ranks(by_rank)}."
    )


def _ranks(by_rank: dict[int, pd.Series]) -> str:
    """At which ranks the eigenvalue is higher in the middle."""
    words = {1: "higher at", -1: "lower at", 0: f"{NO_DIFFERENCE} at"}
    parts = []
    for sign, word in words.items():
        ranks = [rank for rank, ratios in by_rank.items() if judged(ratios) == sign]
        if len(ranks) > 2 and ranks[-1] - ranks[0] == len(ranks) - 1:
            parts.append(f"{word} ranks {ranks[0]} to {ranks[-1]}")
        elif ranks:
            parts.append(f"{word} rank {', '.join(map(str, ranks))}")
    return ", ".join(parts)


def _numbers(
    eigenvalues: pd.DataFrame, curvature: pd.DataFrame, by_rank: dict, share: pd.DataFrame, large: float
) -> dict[str, str]:
    counted = f"share of the spectrum above {large:g} of the path's largest eigenvalue"
    numbers = {f"eigenvalue of rank {rank} in the middle": against_ends(r) for rank, r in by_rank.items()}
    numbers |= {f"{counted}, position {place:g}": quoted(share[place], 2, log=True) for place in share}
    first, last = share.columns.min(), share.columns.max()
    ratio = share[last] / share[first].where(share[first] > 0)
    numbers[f"{counted}, position {last:g} over {first:g}"] = f"{quoted(ratio, log=True)}, {_than(ratio)}"
    error = (curvature["shared_se"] / curvature["shared"].abs()).median()
    residual = (eigenvalues["residual"] / eigenvalues["eigenvalue"].abs()).max()
    numbers |= {
        "alignment of H and Σ, the covariance of the samples' gradients (mean over the path)": quoted(
            curvature.groupby("pair")["alignment"].mean()
        ),
        "means of density and alignment": "arithmetic",
        "standard error of one Tr HΣ (median)": f"{100 * error:.2g} %",
        "largest residual of an eigenvalue, over itself": f"{residual:.1e}",
    }
    return numbers | not_drawn(pd.concat([eigenvalues["eigenvalue"], curvature["noise"]]))


def _than(ratio: pd.Series) -> str:
    return {1: "larger", -1: "smaller", 0: NO_DIFFERENCE}[judged(ratio)]
