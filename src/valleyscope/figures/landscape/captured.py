"""How much of the slope and of the spread subspaces hold, and what Lemma 5 assumes about the top one."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from valleyscope.figures.landscape.shared import (
    BARS,
    GEOMETRIC,
    WEIGHTS,
    grid_axis,
    intervals_over,
    positive,
    quoted,
    without_star,
)
from valleyscope.figures.style import COLOURS, interval, log_interval, new_figure, spread
from valleyscope.readings.landscape import at_largest_k, holds_up_to, sigma_star

SUBSPACES = dict(zip(["top", "bottom", "random", "gradients", "increment"], COLOURS, strict=False))
ASSUMED = {  # by Lemma 5, and the value it asks for
    "nonnegative": "$B_{ii} \\geq 0$\n(asks 1)",
    "rank_correlation": "rank corr.\n(asks 1)",
    "off_diagonal": "off-diag.\n(asks 0)",
}


def draw(
    subspaces: pd.DataFrame, index_sets: pd.DataFrame, lemma5: pd.DataFrame, validity: pd.DataFrame
) -> tuple[Figure, str]:
    """A row for each weights: share of the slope, spread ratio at two σ. Last row: Lemma 5."""
    subspaces, validity = at_largest_k(subspaces), at_largest_k(validity)
    kinds = [kind for kind in WEIGHTS if kind in set(subspaces["regime"])]
    figure, axes = new_figure(1.9 * (len(kinds) + 1), len(kinds) + 1, 3)
    stars = {kind: sigma_star(validity, kind, validity["dim"].max()) for kind in kinds}
    for kind, row in zip(kinds, axes, strict=False):
        rows, limit = subspaces.query("regime == @kind"), holds_up_to(stars[kind])
        _draw_share(row[0], once(rows))
        row[0].set_title(f"{kind}, k = {rows['k'].iloc[0]}")
        for panel, sigma in zip(row[1:], two_sigmas(rows["sigma"], limit), strict=True):
            _draw_spread(panel, rows[rows["sigma"] == sigma], above=not sigma <= limit)
    better = better_than_top(at_largest_k(index_sets))
    _draw_index_sets(axes[-1][0], better)
    _draw_assumptions(axes[-1][1], at_largest_k(lemma5))
    axes[-1][2].set_axis_off()
    handles, labels = axes[0][0].get_legend_handles_labels()
    axes[-1][2].legend(handles, labels, title="subspace", loc="center")
    for row in axes[:-1]:
        row[0].get_legend().remove()
    return figure, _caption(once(subspaces), better, at_largest_k(lemma5), stars)


def two_sigmas(sigmas: pd.Series, star: float) -> tuple[float, float]:
    """The smallest, and the largest up to σ* (or, if that leaves only the smallest, of all)."""
    below = sigmas[(sigmas <= star) & (sigmas > sigmas.min())]
    return sigmas.min(), sigmas.max() if below.empty else below.max()


def once(subspaces: pd.DataFrame) -> pd.DataFrame:
    """The share of the slope has no σ: its rows are repeated for each, and one of them counts."""
    return subspaces.drop_duplicates(["regime", "seed", "subspace", "dim"])


def better_than_top(index_sets: pd.DataFrame) -> pd.DataFrame:
    """Share of the random sets whose quadratic term exceeds that of the top-D, for each seed and D."""
    keys = ["regime", "seed", "k", "dim"]
    top = index_sets.query("draw == 0").set_index(keys)["quadratic"].rename("top")
    random = index_sets.query("draw > 0").join(top, on=keys, how="inner")
    random["share"] = random["quadratic"] > random["top"]
    return random.groupby(keys, sort=False)["share"].mean().reset_index()


def _log_lines(panel: plt.Axes, rows: pd.DataFrame, y: str, **options) -> None:
    sns.lineplot(
        positive(rows, y), x="dim", y=y, hue="subspace", palette=SUBSPACES, hue_order=SUBSPACES, marker="o",
        markersize=3.5, ax=panel, **GEOMETRIC, **BARS, **options,
    )  # fmt: skip
    grid_axis(panel, rows["dim"], "D")
    panel.set_yscale("log")
    panel.minorticks_off()


def _draw_share(panel: plt.Axes, rows: pd.DataFrame) -> None:
    _log_lines(panel, rows, "gradient_share")
    chance = rows.groupby("dim")["chance"].first()
    panel.plot(chance.index, chance, "k:", lw=1, label="chance, D/N")
    panel.set_ylabel(r"$\|U^\top\Delta g\|^2 / \|\Delta g\|^2$")


def _draw_spread(panel: plt.Axes, rows: pd.DataFrame, above: bool) -> None:
    _log_lines(panel, rows, "spread_ratio", legend=False, ls="--" if above else "-")
    panel.set_ylabel(r"$\mathrm{Var}_z\,\delta\ /\ \mathrm{Var}_w\,\delta$")
    panel.set_title(rf"$\sigma$ = {rows['sigma'].iloc[0]:g}" + (r" > $\sigma^*$" if above else ""))


def _draw_index_sets(panel: plt.Axes, better: pd.DataFrame) -> None:
    sns.lineplot(
        better, x="dim", y="share", hue="regime", palette=WEIGHTS, marker="o", markersize=3.5, errorbar=interval,
        hue_order=[kind for kind in WEIGHTS if kind in set(better["regime"])], ax=panel, **BARS,
    )  # fmt: skip
    panel.set(ylim=(-0.05, 1.05), ylabel="random sets above top-D\n(share)")
    grid_axis(panel, better["dim"], "D")
    sns.move_legend(panel, "lower center", bbox_to_anchor=(0.5, 1), ncols=2, title=None)


def _draw_assumptions(panel: plt.Axes, lemma5: pd.DataFrame) -> None:
    long = lemma5.melt(["regime", "seed"], list(ASSUMED), "assumed", "reading").replace({"assumed": ASSUMED})
    sns.pointplot(
        long, x="reading", y="assumed", hue="regime", palette=WEIGHTS, order=ASSUMED.values(),
        dodge=0.3 if long["regime"].nunique() > 1 else False,
        hue_order=[kind for kind in WEIGHTS if kind in set(long["regime"])], errorbar=interval, ls="none",
        markersize=3.5, err_kws={"lw": 1}, capsize=0.1, legend=False, ax=panel,
    )  # fmt: skip
    panel.axvline(0, color="0.6", lw=0.7)
    panel.axvline(1, color="0.6", lw=0.7)
    panel.set(xlabel="Lemma 5's assumptions", ylabel="")


def _caption(
    shares: pd.DataFrame, better: pd.DataFrame, lemma5: pd.DataFrame, stars: dict[str, pd.Series]
) -> str:
    largest = shares[shares["dim"] == shares["dim"].max()]
    found = " ".join(_found(rows, kind) for kind, rows in largest.groupby("regime", sort=False))
    sets = better[better["dim"] == better["dim"].max()].groupby("regime", sort=False)
    beaten = "; ".join(f"{quoted(rows['share'], spread, 2)} ({kind})" for kind, rows in sets)
    assumed = "; ".join(
        f"{kind}: B_ii ≥ 0 for {quoted(rows['nonnegative'], spread, 2)} of the known eigenvectors, rank correlation with the "
        f"eigenvalue {quoted(rows['rank_correlation'], spread, 2)}, off-diagonal part {quoted(rows['off_diagonal'], spread, 2)}"
        for kind, rows in lemma5.groupby("regime", sort=False)
    )
    limits = "; ".join(f"{quoted(star, digits=2, nothing='none')} ({kind})" for kind, star in stars.items())
    return (
        f"{found} Of random index sets of D = {better['dim'].max()} known eigenvectors the share whose quadratic term "
        f"exceeds that of the top-D is {beaten}. Lemma 5 asks for 1, 1 and 0; {assumed}. The increment's own subspace "
        "holds Δg by construction, so its share of the slope is 1. Spread ratio: quadratic model, subspace over full "
        f"space; dashed: σ above σ* of full space in float64, {limits}. {without_star(stars)}N = "
        f"{round(largest['dim'].iloc[0] / largest['chance'].iloc[0])}. Geometric means (bottom: means) and "
        f"{intervals_over(shares)}"
    )


def _found(rows: pd.DataFrame, kind: str) -> str:
    """What the top eigenspace holds, and which subspace holds more or less of the slope, within a seed."""
    wide = rows.pivot(index="seed", columns="subspace", values="gradient_share")
    top, chance = wide["top"], rows["chance"].iloc[0]
    sides = {"more is held by": [], "less by": [], "not told apart from it:": []}
    for name in ("gradients", "bottom", "random"):
        ratio = (wide[name] / top).where(wide[name] > 0).dropna() if name in wide else pd.Series(dtype=float)
        if len(ratio) > 1:
            low, high = log_interval(ratio)
            side = "more is held by" if low > 1 else "less by" if high < 1 else "not told apart from it:"
            sides[side].append(f"{name} ({quoted(ratio, digits=2)} times)")
    compared = "; ".join(f"{side} {', '.join(names)}" for side, names in sides.items() if names)
    return (
        f"{kind.capitalize()}, k = {rows['k'].iloc[0]}, D = {rows['dim'].iloc[0]}: the top eigenspace holds "
        f"{quoted(top, digits=2)} of the squared slope, {quoted(top / chance)} times chance. {compared.capitalize()}."
    )
