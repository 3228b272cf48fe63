"""The published procedure beside the corrected one: eigenvectors, ‖B‖, closed form and cost."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from valleyscope.figures.captions import repeats
from valleyscope.figures.landscape.shared import BARS, GEOMETRIC, PROCEDURES, k_axis
from valleyscope.figures.panels import positive
from valleyscope.figures.style import COLOURS, Picture, error_bar, new_figure
from valleyscope.readings.cost import shared_k
from valleyscope.readings.intervals import geometric_mean, quoted

EXACT = COLOURS[2]
LINES = BARS | {"markersize": 3, "mew": 0, "lw": 1}
SETUP = ["I subspace", "II coefficients"]
QUANTITIES = [
    "orthogonality", "wrong_signs", "norm_B", "norm_B_exact", "gaussian_moment", "direct", "direct_se", "value",
]  # fmt: skip


def by_quantity(published: pd.DataFrame, resolved: float) -> pd.DataFrame:
    """A row a (seed, k, procedure), a column a quantity, and the ratios taken within that row.

    `beyond`: closed form over direct Monte Carlo without a² in either; NaN where direct Monte Carlo does
    not exceed a² by `resolved` standard errors.
    """
    wide = published.pivot(index=["seed", "k", "procedure"], columns="quantity", values="value")
    wide = wide.reindex(columns=QUANTITIES).reset_index()
    beyond = wide["direct"] - wide["value"]
    told_apart = beyond > resolved * wide["direct_se"]
    return wide.assign(
        excess=wide["norm_B"] / wide["norm_B_exact"],
        whole=wide["gaussian_moment"] / wide["direct"],
        share=wide["value"] / wide["direct"],
        beyond=((wide["gaussian_moment"] - wide["value"]) / beyond).where(told_apart),
    )


def draw(
    published: pd.DataFrame, published_eigenvalues: pd.DataFrame, timing: pd.DataFrame, *, resolved: float
) -> Picture:
    """Top: eigenvalues, orthogonality, ‖B‖. Bottom: closed form over Monte Carlo, cost.

    resolved: standard errors from which direct Monte Carlo tells Δ₂ from a².
    """
    figure, (top, bottom) = new_figure(4.8, rows=2, columns=3)
    wide, k = by_quantity(published, resolved), published["k"].min()
    _draw_eigenvalues(top[0], published_eigenvalues[published_eigenvalues["k"] == k])
    top[0].set_title(f"Eigenvalues, k = {k}")
    _draw_against_k(top[1], wide, "orthogonality", log=True)
    top[1].set(yscale="log", ylabel=r"largest $|U^\top U-I|$")
    top[1].set_title("Orthogonality")
    _draw_norms(top[2], wide)
    titles = {"whole": "Closed form over Monte Carlo", "beyond": "The same, both less $a^2$"}
    for panel, (column, title) in zip(bottom, titles.items(), strict=False):
        _draw_against_k(panel, wide, column, log=False)
        panel.axhline(1, color="0.6", lw=0.7)
        panel.set(ylabel="closed form / direct MC")
        panel.set_title(title)
    _draw_cost(bottom[2], timing)
    count = published_eigenvalues["rank"].max()
    return Picture(figure, _caption(wide, count, resolved), _numbers(wide, count, timing, resolved))


def _draw_eigenvalues(panel: plt.Axes, rows: pd.DataFrame) -> None:
    """A line a seed: doublings stand at other ranks in other seeds, so their mean would hide them."""
    lines = [
        ("published", "eigenvalue", PROCEDURES["published"], "published, as reported"),
        ("published", "rayleigh", EXACT, r"published, $u^\top Hu$"),
        ("corrected", "eigenvalue", PROCEDURES["corrected"], "corrected"),
    ]
    for procedure, column, colour, label in lines:
        wide = rows[rows["procedure"] == procedure].pivot(index="rank", columns="seed", values=column)
        drawn = panel.plot(wide.index, wide, lw=0.7, marker="o", ms=1.5, alpha=0.7, color=colour)
        drawn[0].set_label(label)
    corrected = rows.loc[rows["procedure"] == "corrected", "eigenvalue"].abs()
    panel.set_yscale("symlog", linthresh=corrected.max())
    powers = range(3, int(np.log10(rows["eigenvalue"].abs().max())) + 1, 3)
    panel.set_yticks([0, *(10.0**p for p in powers)], ["0", *(f"$10^{{{p}}}$" for p in powers)])
    panel.axhline(0, color="0.6", lw=0.7)
    panel.set(xlabel="rank, as found", ylabel="eigenvalue (nats)")
    panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.27))


def _draw_against_k(panel: plt.Axes, wide: pd.DataFrame, column: str, log: bool) -> None:
    there = positive(wide, column) if log else wide.dropna(subset=column)
    means = GEOMETRIC if log else {"errorbar": error_bar}
    if there.empty:
        panel.text(0.5, 0.5, "resolved nowhere", transform=panel.transAxes, ha="center", color="0.4", size=7)
    for procedure, rows in there.groupby("procedure"):
        sns.lineplot(
            rows, x="k", y=column, color=PROCEDURES[procedure], marker="o", ax=panel, **means, **LINES,
        )  # fmt: skip
    k_axis(panel, wide["k"])


def _draw_norms(panel: plt.Axes, wide: pd.DataFrame) -> None:
    _draw_against_k(panel, wide, "norm_B", log=True)
    exact = positive(wide[wide["procedure"] == "published"], "norm_B_exact")
    sns.lineplot(exact, x="k", y="norm_B_exact", color=EXACT, marker="s", ax=panel, **GEOMETRIC, **LINES)
    ks = np.array(sorted(wide["k"].unique()))
    start = geometric_mean(exact.loc[exact["k"] == exact["k"].min(), "norm_B_exact"])
    panel.plot(ks, start * exact["k"].min() / ks, "k:", lw=0.9)
    handles = [plt.Line2D([], [], color=c, marker="o", ms=4, label=p) for p, c in PROCEDURES.items()]
    handles.append(plt.Line2D([], [], color=EXACT, marker="s", ms=4, label="exact, published basis"))
    handles.append(plt.Line2D([], [], color="k", ls=":", label=r"$\propto k^{-1}$"))
    panel.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.27))
    panel.set(yscale="log", ylabel=r"$\|B\|_F$ (nats)")
    panel.set_title(r"Size of $B$")


def _draw_cost(panel: plt.Axes, timing: pd.DataFrame) -> None:
    rows = timing[(timing["k"] == shared_k(timing)) & timing["stage"].isin(SETUP)]
    for (procedure, stage), calls in rows.groupby(["procedure", "stage"])["gradients"]:
        row = SETUP.index(stage) + {"corrected": -0.15, "published": 0.15}[procedure]
        panel.plot(calls, [row] * len(calls), "o", ms=3, alpha=0.5, color=PROCEDURES[procedure])
        panel.plot(calls.median(), row, "|", ms=9, color="k")
        panel.annotate(
            f"{calls.median():,.0f}", (calls.median(), row), (0, 6), textcoords="offset points",
            ha="center", size=6,
        )  # fmt: skip
    panel.set_yticks(range(len(SETUP)), ["I", "II"])
    panel.set(xscale="log", xlabel="gradients of $L_k$ (bar: median)", ylabel="stage", ylim=(1.5, -0.5))
    panel.margins(x=0.2)
    panel.set_title(f"Cost of setup, k = {shared_k(timing)}")


def setup_ratio(timing: pd.DataFrame) -> float:
    """Gradients of stages I + II (medians over calls), published over corrected."""
    rows = timing[(timing["k"] == shared_k(timing)) & timing["stage"].isin(SETUP)]
    total = rows.groupby(["procedure", "stage"])["gradients"].median().groupby("procedure").sum()
    return total["published"] / total["corrected"]


def _at(wide: pd.DataFrame, k: int, column: str, procedure: str = "published", log: bool = False) -> str:
    return quoted(wide.loc[(wide["k"] == k) & (wide["procedure"] == procedure), column], log=log)


def _caption(wide: pd.DataFrame, count: int, resolved: float) -> str:
    first, last = wide["k"].min(), wide["k"].max()
    return (
        f"The published procedure gives {_at(wide, first, 'wrong_signs')} of {count} eigenvalues the wrong sign (k = {first}; one "
        f"direction may count several times) and ‖B‖ {_at(wide, last, 'excess', log=True)} times the exact one "
        f"(k = {last}); its closed form is {_at(wide, last, 'whole')} times direct Monte Carlo, of which a² is "
        f"{_at(wide, last, 'share')}. Less a², {_resolved(wide)} measurements are resolved ({resolved:g} standard errors). "
        f"{repeats(wide, means='Means (‖B‖: geometric)')}"
    )


def _resolved(wide: pd.DataFrame) -> str:
    return f"{wide['beyond'].notna().sum()} of {len(wide)}"


def _numbers(wide: pd.DataFrame, count: int, timing: pd.DataFrame, resolved: float) -> dict[str, str]:
    """Every quantity at the smallest and largest k, of both procedures; what setup costs."""
    ends = sorted({wide["k"].min(), wide["k"].max()})
    told = {
        "eigenvalues (top left)": "a line a seed, symmetric logarithmic axis",
        "orthogonality": "geometric means",
    }
    for procedure in ("published", "corrected"):
        worst = wide.loc[wide["procedure"] == procedure, "orthogonality"].max()
        told[f"UᵀU off the identity, {procedure}, any k and seed"] = f"up to {worst:.2g}"
        for k in ends:
            at = f"{procedure}, k = {k}"
            told[f"eigenvalues of {count} with the wrong sign, {at}"] = _at(wide, k, "wrong_signs", procedure)
            told[f"‖B‖ over the exact one in the same basis, {at}"] = _at(
                wide, k, "excess", procedure, log=True
            )
            told[f"closed form over direct Monte Carlo, {at}"] = _at(wide, k, "whole", procedure)
            told[f"a² over direct Monte Carlo, {at}"] = _at(wide, k, "share", procedure)
            told[f"closed form over direct Monte Carlo, both less a², {at}"] = _at(
                wide, k, "beyond", procedure
            )
    told[
        f"stages I + II at k = {shared_k(timing)}, gradients, published over corrected (one model, medians of calls)"
    ] = f"{setup_ratio(timing):.3g}"
    told[f"measurements in which direct Monte Carlo exceeds a² by {resolved:g} standard errors: only these are compared "
         "less a², which lowers the ratio"] = _resolved(wide)  # fmt: skip
    return told
