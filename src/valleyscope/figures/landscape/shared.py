"""What the figures of Paper A share: names and colours, σ* on panels and in words, the axis of k."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from valleyscope.figures.panels import grid_axis, shades
from valleyscope.figures.style import COLOURS, log_error_bar
from valleyscope.readings.intervals import geometric_mean, quoted
from valleyscope.readings.landscape import MEASURED_AT, holds_up_to, regimes_of, sigma_star

WEIGHTS = dict(zip(["trained", "minimisers"], COLOURS, strict=False))
PRECISIONS = dict(zip(["float64", "float32", "bfloat16"], COLOURS, strict=False))
PROCEDURES = dict(zip(["corrected", "published"], COLOURS, strict=False))
NEXT = {"expected": {"ls": "-"}, "single": {"ls": "--", "lw": 0.9}}
FULL = "full space"

GEOMETRIC = {"estimator": geometric_mean, "errorbar": log_error_bar}  # for seaborn
BARS = {"err_style": "bars", "err_kws": {"capsize": 2, "lw": 0.8}}


# ---------------------------------------------------------------- probes


def probe_names(table: pd.DataFrame) -> np.ndarray:
    """ "D = 4" for a subspace, "full space" otherwise."""
    return np.where(table["criterion"] == "delta2_D", "D = " + table["dim"].astype(str), FULL)


def probe_colours(table: pd.DataFrame) -> dict[str, tuple | str]:
    """Full space (first, so below) in black, D in an ordered palette."""
    dims = table.loc[table["criterion"] == "delta2_D", "dim"]
    return {FULL: "k"} | {f"D = {dim}": colour for dim, colour in shades(dims).items()}


def largest_probe(table: pd.DataFrame) -> str:
    """The name of the largest D; of full space where there is no D."""
    return list(probe_colours(table))[-1]


def size_of(table: pd.DataFrame) -> int:
    """N: the dimensions of full space."""
    return int(table.loc[table["criterion"] == "delta2", "dim"].max())


# ---------------------------------------------------------------- σ*, the limit of the quadratic model


def stars_of(table: pd.DataFrame, validity: pd.DataFrame) -> dict[tuple[str, str], pd.Series]:
    """σ* by seed of each (regime, probe), small D first."""
    squared = table[table["criterion"] != "delta1"].sort_values("dim")
    probes = squared.assign(probe=probe_names).groupby("probe", sort=False)["dim"].first()
    return {
        (regime, probe): sigma_star(validity, MEASURED_AT[regime], dim)
        for regime in regimes_of(table)
        for probe, dim in probes.items()
    }


def beyond_mark(sigma: float, star: pd.Series) -> str:
    """The end of a panel's title where its σ is above σ*, or σ* is not known in every seed."""
    return "" if sigma <= holds_up_to(star) else r" $>\ \sigma^*$"


def named(stars: dict[tuple[str, str], pd.Series]) -> dict[str, pd.Series]:
    """The same by name, "full space (trajectory)"."""
    return {f"{probe} ({regime})": star for (regime, probe), star in stars.items()}


def star_numbers(stars: dict[str, pd.Series]) -> dict[str, str]:
    """For the table beside a figure: σ* of each name, and which seeds have none."""
    numbers = {
        f"σ* of the increment, float64, {name}": quoted(star, 2, log=True, nothing="none")
        for name, star in stars.items()
    }
    return numbers | {"seeds without σ*": without_star(stars) or "none"}


def without_star(stars: dict[str, pd.Series]) -> str:
    """In words, of each name with such seeds: how many have no σ*."""
    counts = [
        f"{name} {star.isna().sum()} of {len(star)}" for name, star in stars.items() if star.isna().any()
    ]
    if not counts:
        return ""
    return f"Seeds without σ*, as every σ exceeds the limit: {', '.join(counts)}; there no σ counts as up to σ*. "


def mark_sigma_star(panel: plt.Axes, stars: dict[str, pd.Series]) -> None:
    """A dotted line at each σ*, geometric mean over the seeds that have one, its name beside its foot.

    The last of several has its name to the right: they may lie close together.
    """
    means = {name: geometric_mean(star.dropna()) for name, star in stars.items() if star.notna().any()}
    for name, mean in means.items():
        last = len(means) > 1 and mean == max(means.values())
        panel.axvline(mean, color="0.3", ls=":", lw=1)
        panel.text(
            mean, 0.03, rf" $\sigma^*$ {name}", rotation=90, size=6, ha="left" if last else "right",
            transform=panel.get_xaxis_transform(),
        )  # fmt: skip


# ---------------------------------------------------------------- axes


def k_axis(panel: plt.Axes, k: pd.Series) -> None:
    """A logarithmic axis of k with few ticks."""
    grid_axis(panel, k, "k (sequences)", most=4)
