"""Leading eigenvalues and spectral density of H^(k), and how far its top eigenspace turns as k grows."""

from itertools import cycle

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.lines import Line2D

from valleyscope.figures.captions import listed, repeats
from valleyscope.figures.landscape.shared import BARS, GEOMETRIC, k_axis
from valleyscope.figures.panels import positive, shades
from valleyscope.figures.style import COLOURS, Picture, error_bar, new_figure
from valleyscope.readings.intervals import quoted
from valleyscope.readings.landscape import REGIMES

DASHES = {"same": "-", "moved": "--"}  # weights of the other Hessian


def draw(eigenvalues: pd.DataFrame, spectrum: pd.DataFrame, drift: pd.DataFrame) -> Picture:
    """Top: eigenvalues by rank in both regimes, density. Bottom: overlap of eigenspaces of two k."""
    figure, (top, bottom) = new_figure(4.6, rows=2, columns=3)
    colours = shades(pd.concat([eigenvalues["k"], spectrum["k"]]))
    shown = positive(of_shared_ranks(eigenvalues), "eigenvalue")
    for panel, (regime, name) in zip(top, REGIMES.items(), strict=False):
        rows = shown[shown["regime"] == regime]
        panel.set_visible(len(rows) > 0)
        if len(rows):
            _draw_eigenvalues(panel, rows, colours)
        panel.set_title(f"Leading, {name}")
    top[1].sharey(top[0])
    _draw_density(top[2], spectrum, colours, 1 / _size(drift))
    drift = drift.assign(other=drift["k_other"].eq(drift["k"] + 1).map({True: "k+1", False: "2k"}))
    dims = dict(zip(sorted(drift["dim"].unique()), cycle(COLOURS), strict=False))
    for panel, (other, rows) in zip(bottom, _by_other(drift), strict=False):
        _draw_overlap(panel, rows, dims)
        panel.set_title(f"Eigenspaces of $H^{{(k)}}$ and $H^{{({other})}}$")
    _draw_legends(bottom[2], colours, dims)
    return Picture(figure, _caption(eigenvalues, drift), _numbers(eigenvalues, spectrum, drift))


def of_shared_ranks(eigenvalues: pd.DataFrame) -> pd.DataFrame:
    """Only the ranks that most points have: the focus has more, for another figure."""
    return eigenvalues[eigenvalues["rank"] <= eigenvalues.groupby(["regime", "k"])["rank"].max().median()]


def _by_other(drift: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(other, drift[drift["other"] == other]) for other in ("k+1", "2k")]


def _draw_eigenvalues(panel: plt.Axes, rows: pd.DataFrame, colours: dict) -> None:
    sns.lineplot(
        rows, x="rank", y="eigenvalue", hue="k", palette=colours, marker="o", markersize=2.5,
        mew=0, lw=1, legend=False, ax=panel, **GEOMETRIC,
    )  # fmt: skip
    panel.set(yscale="log", xlabel="rank", ylabel="eigenvalue of $H^{(k)}$ (nats)")
    panel.xaxis.get_major_locator().set_params(integer=True)


def _draw_density(panel: plt.Axes, spectrum: pd.DataFrame, colours: dict, one: float) -> None:
    """`one`: 1/N, the density of one eigenvalue spread over 0 to λ_max; the axis ends a tenth below.

    Three k (smallest, middle, largest): more lines would hide each other.
    """
    shown = spectrum[spectrum["k"].isin(_of_densities(spectrum))]
    sns.lineplot(
        shown, x="relative", y="density", hue="k", palette=colours, errorbar=error_bar, lw=0.8,
        legend=False, ax=panel,
    )  # fmt: skip
    panel.axhline(one, color="0.5", ls=":", lw=0.8)
    panel.annotate("1/N", (1, one), xycoords=("axes fraction", "data"), ha="right", va="bottom", size=6.5)
    panel.set(yscale="log", xlabel=r"$\lambda\,/\,\lambda_{\max}$", ylabel=r"density (per unit of $x$)")
    panel.set_ylim(bottom=one / 10)
    panel.set_title("Spectral density, trajectory")


def _of_densities(spectrum: pd.DataFrame) -> list[int]:
    ks = sorted(spectrum["k"].unique())
    return sorted({ks[0], ks[len(ks) // 2], ks[-1]})


def _draw_overlap(panel: plt.Axes, rows: pd.DataFrame, colours: dict) -> None:
    for weights, part in rows.groupby("weights_other"):
        sns.lineplot(
            part, x="k", y="overlap", hue="dim", palette=colours, errorbar=error_bar, ls=DASHES[weights],
            marker="o", markersize=3, mew=0, lw=1, legend=False, ax=panel, **BARS,
        )  # fmt: skip
    for dim, chance in rows.groupby("dim")["chance"].first().items():
        panel.axhline(chance, color=colours[dim], ls=":", lw=0.8)
    panel.set(ylabel=r"overlap $\|U^\top U'\|_F^2\,/\,D$", ylim=(-0.03, 1.03))
    k_axis(panel, rows["k"])


def _draw_legends(panel: plt.Axes, colours: dict, dims: dict) -> None:
    panel.set_axis_off()
    lines = [
        [Line2D([], [], color=c, marker="o", ms=3, label=f"{v}") for v, c in d.items()]
        for d in (colours, dims)
    ]
    styles = [Line2D([], [], color="0.3", ls=s, label=f"{w} weights") for w, s in DASHES.items()]
    styles.append(Line2D([], [], color="0.3", ls=":", label="chance, D/N"))
    narrow = {"ncols": 3, "columnspacing": 1, "handlelength": 1.3}
    panel.add_artist(panel.legend(handles=lines[0], title="k (top)", loc="upper left", **narrow))
    panel.add_artist(panel.legend(handles=lines[1], title="D (bottom)", loc="center left", **narrow))
    panel.legend(handles=styles, loc="lower left")


def _caption(eigenvalues: pd.DataFrame, drift: pd.DataFrame) -> str:
    """The turn of the largest eigenspace between k and 2k at the largest k, and the largest eigenvalue."""
    regime = eigenvalues["regime"].iloc[0]
    rows = eigenvalues[eigenvalues["regime"] == regime]
    dim, size = drift["dim"].max(), _size(drift)
    far = drift[(drift["dim"] == dim) & (drift["other"] == "2k")]
    last = far[far["k"] == far["k"].max()]
    overlaps = " and ".join(
        f"{quoted(part['overlap'])} {'with both at w_k' if weights == 'same' else 'with each at its own weights'}"
        for weights, part in last.groupby("weights_other", sort=False)
    )
    return (
        f"The mean squared cosine between the top-{dim} eigenspaces of H^(k) and H^(2k), k = "
        f"{last['k'].iloc[0]}, is {overlaps} (chance {dim / size:.2g}). From k = {rows['k'].min()} to {rows['k'].max()} the "
        f"largest eigenvalue changes by the factor {_change(rows)} {REGIMES[regime]}. Densities are blurred; 1/N: one "
        f"eigenvalue a unit. {repeats(eigenvalues, means='Means (eigenvalues: geometric)', scale=f'N = {size}')}"
    )


def _numbers(eigenvalues: pd.DataFrame, spectrum: pd.DataFrame, drift: pd.DataFrame) -> dict[str, str]:
    """Changes within a seed, shares of negative eigenvalues, overlaps at the ends of k, worst residual."""
    told = {}
    for regime, rows in eigenvalues.groupby("regime", sort=False):
        ends = f"k = {rows['k'].max()} over k = {rows['k'].min()}"
        told[f"largest eigenvalue of H^(k), {ends}, same seed, {REGIMES[regime]}"] = _change(rows)
    for k, rows in spectrum.drop_duplicates(["seed", "k"]).groupby("k"):
        if k in _ends(spectrum):
            told[f"share of negative eigenvalues, trajectory, k = {k}"] = quoted(rows["negative"])
    told["densities are drawn at k"] = listed(_of_densities(spectrum))
    top = drift[drift["dim"] == drift["dim"].max()]
    for other, rows in _by_other(top):
        for weights, part in rows.groupby("weights_other", sort=False):
            at = {"same": "both at w_k", "moved": "each at the weights of its own k"}[weights]
            for k in _ends(part):
                name = f"overlap of the top-{top['dim'].iloc[0]} eigenspaces of H^(k) and H^({other}), {at}, k = {k}"
                told[name] = quoted(part.loc[part["k"] == k, "overlap"])
    largest = eigenvalues.groupby(["regime", "seed", "k"])["eigenvalue"].transform("max")
    worst = (eigenvalues["residual"] / largest).max()
    told["residual of any eigenpair over the largest eigenvalue at its regime, seed and k"] = (
        f"at most {worst:.1e}"
    )
    return told


def _size(drift: pd.DataFrame) -> int:
    """N, from the overlap D/N that chance gives."""
    return round((drift["dim"] / drift["chance"]).median())


def _ends(rows: pd.DataFrame) -> list[int]:
    return sorted({rows["k"].min(), rows["k"].max()})


def _change(rows: pd.DataFrame) -> str:
    """Largest eigenvalue at the largest k over that at the smallest, within a seed."""
    values = rows[rows["rank"] == 1].pivot(index="seed", columns="k", values="eigenvalue")
    return quoted(values[rows["k"].max()] / values[rows["k"].min()], log=True)
