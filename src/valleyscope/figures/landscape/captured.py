"""How much of the slope and of the spread subspaces hold, and what Lemma 5 assumes about the top one."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns

from valleyscope.figures.captions import repeats
from valleyscope.figures.landscape.shared import BARS, GEOMETRIC, WEIGHTS, star_numbers
from valleyscope.figures.panels import grid_axis, positive
from valleyscope.figures.style import COLOURS, Picture, error_bar, new_figure
from valleyscope.readings.intervals import quoted, side
from valleyscope.readings.landscape import (
    against_top,
    at_largest_k,
    holds_up_to,
    sigma_star,
    slope_shares,
    valid_sigmas,
)

SUBSPACES = dict(zip(["top", "bottom", "random", "gradients", "increment"], COLOURS, strict=False))
OTHERS = ("gradients", "bottom", "random")  # beside which the top eigenspace is held
WHERE = {"trained": "when trained", "minimisers": "at minimisers"}
ASKED = {"nonnegative": 1, "rank_correlation": 1, "off_diagonal": 0}  # by Lemma 5
ASSUMED = {
    "nonnegative": "$B_{ii} \\geq 0$\n(asks 1)",
    "rank_correlation": "rank corr.\n(asks 1)",
    "off_diagonal": "off-diag.\n(asks 0)",
}
MEANING = {
    "nonnegative": "share of the known eigenvectors with B_ii ≥ 0",
    "rank_correlation": "rank correlation of B_ii with the eigenvalue",
    "off_diagonal": "off-diagonal part of B",
}


def draw(
    subspaces: pd.DataFrame, index_sets: pd.DataFrame, lemma5: pd.DataFrame, validity: pd.DataFrame
) -> Picture:
    """A row a regime: share of the slope, spread ratio at two σ. Last row: Lemma 5."""
    subspaces, validity, lemma5 = (at_largest_k(table) for table in (subspaces, validity, lemma5))
    regimes = [name for name in WEIGHTS if name in set(subspaces["regime"])]
    figure, axes = new_figure(1.9 * (len(regimes) + 1), len(regimes) + 1, 3)
    stars = {regime: sigma_star(validity, regime) for regime in regimes}
    for regime, row in zip(regimes, axes, strict=False):
        rows, limit = subspaces.query("regime == @regime"), holds_up_to(stars[regime])
        _draw_share(row[0], rows)
        row[0].set_title(f"{regime}, k = {rows['k'].iloc[0]}")
        for panel, sigma in zip(row[1:], two_sigmas(rows["sigma"], stars[regime]), strict=True):
            _draw_spread(panel, rows[rows["sigma"] == sigma], above=not sigma <= limit)
    sets = against_top(at_largest_k(index_sets))
    _draw_index_sets(axes[-1][0], sets)
    _draw_assumptions(axes[-1][1], lemma5)
    axes[-1][2].set_axis_off()
    handles, labels = axes[0][0].get_legend_handles_labels()
    axes[-1][2].legend(handles, labels, title="subspace", loc="center")
    for row in axes[:-1]:
        row[0].get_legend().remove()
    widest = slope_shares(subspaces).xs(subspaces["dim"].max(), level="dim")
    held = {regime: widest.xs(regime) for regime in regimes}
    sets = sets[sets["dim"] == sets["dim"].max()]
    numbers = _numbers(held, sets, lemma5) | star_numbers(stars)
    return Picture(figure, _caption(held, sets, lemma5, int(validity["dim"].max())), numbers)


def two_sigmas(sigmas: pd.Series, star: pd.Series) -> tuple[float, float]:
    """The smallest, and the largest up to σ* (or, if that leaves only the smallest, of all)."""
    valid = valid_sigmas(sigmas, star)
    return sigmas.min(), valid[-1] if len(valid) > 1 else sigmas.max()


# ---------------------------------------------------------------- panels


def _log_lines(panel: plt.Axes, rows: pd.DataFrame, y: str, **options) -> None:
    sns.lineplot(
        positive(rows, y), x="dim", y=y, hue="subspace", palette=SUBSPACES, hue_order=SUBSPACES, marker="o",
        markersize=3.5, ax=panel, **GEOMETRIC, **BARS, **options,
    )  # fmt: skip
    grid_axis(panel, rows["dim"], "D")
    panel.set_yscale("log")
    panel.minorticks_off()


def _draw_share(panel: plt.Axes, rows: pd.DataFrame) -> None:
    once = rows.drop_duplicates(["seed", "subspace", "dim"])  # it has no σ
    _log_lines(panel, once, "gradient_share")
    chance = once.groupby("dim")["chance"].first()
    panel.plot(chance.index, chance, "k:", lw=1, label="chance, D/N")
    panel.set_ylabel(r"$\|U^\top\Delta g\|^2 / \|\Delta g\|^2$")


def _draw_spread(panel: plt.Axes, rows: pd.DataFrame, above: bool) -> None:
    _log_lines(panel, rows, "spread_ratio", legend=False, ls="--" if above else "-")
    panel.set_ylabel(r"$\mathrm{Var}_z\,\delta\ /\ \mathrm{Var}_w\,\delta$")
    panel.set_title(rf"$\sigma$ = {rows['sigma'].iloc[0]:g}" + (r" > $\sigma^*$" if above else ""))


def _draw_index_sets(panel: plt.Axes, sets: pd.DataFrame) -> None:
    sns.lineplot(
        sets, x="dim", y="above", hue="regime", palette=WEIGHTS, marker="o", markersize=3.5, errorbar=error_bar,
        hue_order=[kind for kind in WEIGHTS if kind in set(sets["regime"])], ax=panel, **BARS,
    )  # fmt: skip
    panel.set(ylim=(-0.05, 1.05), ylabel="random sets above top-D\n(share)")
    grid_axis(panel, sets["dim"], "D")
    sns.move_legend(panel, "lower center", bbox_to_anchor=(0.5, 1), ncols=2, title=None)


def _draw_assumptions(panel: plt.Axes, lemma5: pd.DataFrame) -> None:
    long = lemma5.melt(["regime", "seed"], list(ASSUMED), "assumed", "reading").replace({"assumed": ASSUMED})
    sns.pointplot(
        long, x="reading", y="assumed", hue="regime", palette=WEIGHTS, order=ASSUMED.values(),
        dodge=0.3 if long["regime"].nunique() > 1 else False,
        hue_order=[kind for kind in WEIGHTS if kind in set(long["regime"])], errorbar=error_bar, ls="none",
        markersize=3.5, err_kws={"lw": 1}, capsize=0.1, legend=False, ax=panel,
    )  # fmt: skip
    panel.axvline(0, color="0.6", lw=0.7)
    panel.axvline(1, color="0.6", lw=0.7)
    panel.set(xlabel="Lemma 5's assumptions", ylabel="")


# ---------------------------------------------------------------- words


def _compared(held: pd.DataFrame) -> str:
    """Which subspaces the top eigenspace surely holds more or less of the slope than, within a seed."""
    sides = {name: side(held[name] / held["top"], 1, log=True) for name in OTHERS if name in held}
    found = {
        word: [name for name in sides if sides[name] == lies]
        for word, lies in {"more than": -1, "less than": 1}.items()
    }
    return ", ".join(f"{word} {', '.join(names)}" for word, names in found.items() if names)


def _unmet(lemma5: pd.DataFrame) -> int:
    """How many of Lemma 5's assumptions the intervals of every regime exclude."""
    by_regime = lemma5.groupby("regime")
    excluded = (all(side(rows[name], asked) for _, rows in by_regime) for name, asked in ASKED.items())
    return sum(excluded)


def _caption(held: dict[str, pd.DataFrame], sets: pd.DataFrame, lemma5: pd.DataFrame, size: int) -> str:
    shares = ", ".join(
        f"{quoted(rows['top'], 2, log=True)} {WHERE[regime]} ({_compared(rows) or 'not told from others'})"
        for regime, rows in held.items()
    )
    above = " and ".join(quoted(sets.loc[sets["regime"] == regime, "above"], 2) for regime in held)
    ending = repeats(lemma5, means="Geometric means (bottom: means)", scale=f"N = {size:,}")
    return (
        f"Of the squared slope the top eigenspace (D = {sets['dim'].max()}) holds {shares}. Of random index sets {above} exceed its "
        f"quadratic term. Intervals exclude {_unmet(lemma5)} of Lemma 5's {len(ASKED)} assumptions. Increment: all by construction. {ending}"
    )


def _numbers(held: dict[str, pd.DataFrame], sets: pd.DataFrame, lemma5: pd.DataFrame) -> dict[str, str]:
    """Shares of the slope at the largest D, random index sets above it and what Lemma 5 assumes, by regime."""
    numbers = {}
    for regime, rows in held.items():
        where = f"{WHERE[regime]}, k = {rows.index.get_level_values('k')[0]}"
        top = f"top eigenspace of D = {sets['dim'].max()}"
        numbers[f"share of the squared slope, {top}, {where}"] = quoted(rows["top"], 2, log=True)
        numbers[f"the same over chance, D/N, {where}"] = quoted(rows["top"] / rows["chance"], log=True)
        for name in OTHERS:
            if name in rows:
                ratio = quoted(rows[name] / rows["top"], 2, log=True)
                numbers[f"the share of {name} over the top's, {where}"] = ratio
        above = sets.loc[sets["regime"] == regime, "above"]
        numbers[f"random index sets above the {top}, share, {where}"] = quoted(above, 2)
        assumed = lemma5[lemma5["regime"] == regime]
        for name, asked in ASKED.items():
            numbers[f"{MEANING[name]} (Lemma 5 asks {asked}), {where}"] = quoted(assumed[name], 2)
    return numbers
