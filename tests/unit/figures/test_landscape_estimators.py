"""Figures of the quadratic model's error and of the subspaces, from tables with a known finding."""

import numpy as np
import pandas as pd
import pytest
from figure_check import check, drawn, laid_out, modules
from figure_check import grid as product

from valleyscope.figures import style
from valleyscope.figures.landscape import captured, convergence, error_map, expansion, precision
from valleyscope.figures.landscape import shared as landscape

N = 10_000
SEEDS = [0, 1, 2]
K = {"trained": 16, "minimisers": 8}


def grid(**axes):
    return product(**axes).assign(k=lambda table: table["regime"].map(K))


def validity_table(seeds=SEEDS, dims=(1, 4, N)):
    """σ* = 0.2/√dim: one number in σ√dim. float32 needs σ ≥ 1e-3, bfloat16 never gets there."""
    table = grid(
        regime=list(K), seed=seeds, quantity=["loss", "increment"], dim=dims,
        precision=list(landscape.PRECISIONS),
    )  # fmt: skip
    table["sigma_star"] = (0.2 / np.sqrt(table["dim"])).where(table["precision"] != "bfloat16")
    table["sigma_floor"] = np.where(table["precision"] == "float32", 1e-3, np.nan)
    table["limit"] = 0.1
    return table


def expansion_tables(seeds=SEEDS, dims=(1, 4, N), sigmas=(1e-4, 1e-3, 1e-2, 1.0)):
    table = grid(
        regime=list(K), seed=seeds, quantity=["loss", "increment"], dim=dims,
        precision=list(landscape.PRECISIONS), sigma=sigmas,
    )  # fmt: skip
    table["signal"] = table["sigma"] * np.sqrt(table["dim"]) * (1 + table["seed"])
    table["error"] = table["signal"] * table["sigma"] * np.sqrt(table["dim"]) / 2
    return table, validity_table(seeds, dims)


def precision_tables(seeds=SEEDS, dims=(1, 4, N), sigmas=(1e-4, 1e-2)):
    """bfloat16 makes the ratio 1.5 times larger and swallows the smallest probe."""
    table = grid(regime=list(K), seed=seeds, precision=list(landscape.PRECISIONS), dim=dims, sigma=sigmas)
    whole, low = table["dim"] == max(dims), table["precision"] == "bfloat16"
    scale = 10.0 ** table["seed"]
    table["estimate"] = scale * np.where(whole, 1, 0.8) * np.where(low & ~whole, 1.5, 1)
    table["variance"] = scale * np.where(whole, 1, 0.02)
    table.loc[low & (table["sigma"] == min(sigmas)), "variance"] = 0.0
    return table, validity_table(seeds, dims)


def estimators_table(seeds=SEEDS, dims=(1, 4, N), sigmas=(1e-3, 1e-2), samples=(8, 24, 64)):
    """A small a in seed 0 and a large one in seed 2; δ² − q² is 3 % of Var q, 30 % at the largest σ."""
    table = grid(regime=list(K), seed=seeds, dim=dims, sigma=sigmas, samples=samples)
    table["value"] = 10.0 ** (2 * table["seed"])
    table["variance"] = table["sigma"] ** 2
    table["gaussian_moment"] = table["value"] + table["variance"]
    table["difference"] = table["variance"] * np.where(table["sigma"] == max(sigmas), 0.3, 0.03)
    table["quadratic"] = table["gaussian_moment"] * (1 + 0.01 * (table["seed"] - np.mean(seeds)))
    table["direct"] = 1.05 * table["gaussian_moment"]
    return (table,)


def error_map_tables(**options):
    return (*estimators_table(**options), validity_table(dims=options.get("dims", (1, 4, N))))


def captured_tables(seeds=SEEDS, dims=(1, 4), sigmas=(1e-4, 1e-3, 1e-2), n=N):
    """Gradients hold three times as much as the top eigenspace, bottom and random ones less."""
    shares = {"top": 0.01, "bottom": 0.001, "random": 1 / n, "gradients": 0.03}
    subspaces = grid(regime=list(K), seed=seeds, subspace=[*shares, "increment"], dim=dims, sigma=sigmas)
    share = subspaces["subspace"].map(shares) * subspaces["dim"] * (1 + subspaces["seed"])
    subspaces["gradient_share"] = share.fillna(1.0)
    subspaces["spread_ratio"] = subspaces["gradient_share"] / 2
    subspaces["chance"] = subspaces["dim"] / n
    index_sets = grid(regime=list(K), seed=seeds, dim=dims, draw=range(5))
    index_sets["quadratic"] = np.where(
        index_sets["draw"] == 1, 3.0, np.where(index_sets["draw"] == 0, 2.0, 1.0)
    )
    lemma5 = grid(regime=list(K), seed=seeds)
    lemma5[["nonnegative", "rank_correlation", "off_diagonal"]] = [0.75, 0.5, 0.9]
    return subspaces, index_sets, lemma5, validity_table(seeds, (*dims, n))


CASES = {
    expansion: (expansion_tables, "trained, k = 16: 0.002 [0.002, 0.002] and 0.1 [0.1, 0.1] (loss"),
    precision: (
        precision_tables,
        "bfloat16 changes Δ₂^(D)/Δ₂ by the factor 1.5 [1.5, 1.5] (changed) and 1.5 [1.5, 1.5] (changed)",
    ),
    convergence: (
        estimators_table,
        "over Var q, 0.03 [0.03, 0.03] (not 0) (trained, σ = 0.001); 0.03 [0.03, 0.03] (not 0) (minimisers, "
        "σ = 0.001); 0.3 [0.3, 0.3] (not 0) (trained, σ = 0.01)",
    ),
    error_map: (error_map_tables, "relative to Var q, it is 30 [30, 30] % in the worst cell (D = "),
    captured: (captured_tables, "More is held by gradients (3 [3, 3] times); less by bottom (0.1 [0.1, 0.1]"),
}


@modules(CASES)
def test_the_finding_is_in_the_caption_and_the_bytes_are_the_same(module, tmp_path):
    make, finding = CASES[module]
    check(module, make(), [finding], tmp_path)


@modules(CASES)
def test_two_seeds_and_two_points_with_a_missing_cell_and_a_gap_are_drawn(module):
    dims = (1, 4) if module is captured else (1, 4, 600)
    options = {"seeds": [0, 1], "dims": dims, "sigmas": (1e-3, 1e-1)}
    if module is error_map:
        tables = (*estimators_table(**options), validity_table([0, 1], dims))
    else:
        tables = CASES[module][0](**options)
    first = tables[0].drop(index=len(tables[0]) - 1)  # minimisers: the last cell of the last seed
    for column in ("error", "variance", "difference", "spread_ratio"):
        if column in first:
            first.loc[1, column] = np.nan
    _, caption = laid_out(module, [first, *tables[1:]])
    assert "over 2 seeds" in caption


@modules(CASES)
def test_trained_weights_alone_are_drawn(module):
    tables = [table.query("regime == 'trained'") for table in CASES[module][0]()]
    _, caption = drawn(module, tables)
    assert "minimisers" not in caption


def test_σ_star_in_σ_sqrt_dim_is_compared_within_a_seed():
    table, validity = expansion_tables()
    assert (
        "one number as far as the interval tells (ratio 1 [1, 1])" in drawn(expansion, [table, validity])[1]
    )
    # Seeds differ by 10 each, and full space by 2 in every one of them: the ratio knows, the means do not.
    validity["sigma_star"] *= 0.01 * 10.0 ** validity["seed"] * np.where(validity["dim"] == N, 2, 1)
    assert "not one number (ratio 2 [2, 2])" in drawn(expansion, [table, validity])[1]


def test_a_σ_star_at_the_end_of_the_grid_is_compared_with_nothing():
    table, validity = expansion_tables(sigmas=(1e-4, 1e-2, 0.1))
    caption = drawn(expansion, [table, validity])[1]
    assert "0.002 [0.002, 0.002] and ≥ 0.1 [0.1, 0.1] (loss" in caption
    assert "not comparable inside the grid" in caption


def test_floors_tell_between_the_smallest_σ_and_no_σ():
    table, validity = expansion_tables()
    caption = drawn(expansion, [table, validity])[1]
    assert "increment float32 0.001 [0.001, 0.001] and 0.001" in caption
    assert "increment bfloat16 nowhere and nowhere" in caption
    low = validity["precision"] == "float32"
    validity.loc[low, "sigma_floor"] = np.nan
    validity.loc[low & (validity["seed"] == 2), "sigma_star"] = np.nan
    caption = drawn(expansion, [table, validity])[1]
    assert "increment float32 at the smallest (2 of 3 seeds), nowhere (1 of 3 seeds)" in caption


def test_the_curves_are_geometric_means_on_logarithmic_axes():
    """seaborn averages logarithms itself where an axis is logarithmic already."""
    table, validity = expansion_tables()
    figure, _ = drawn(expansion, [table, validity])
    for panel in figure.axes[:2]:
        line = next(line for line in panel.lines if len(line.get_ydata()) == 4)
        full = table.query(
            "quantity == 'loss' and regime == 'trained' and precision == 'float64' and dim == @N"
        )
        expected = full.groupby("sigma")["error"].agg(style.geometric_mean)
        np.testing.assert_allclose(line.get_ydata(), expected, rtol=1e-9)


def test_ratios_of_precision_are_taken_within_a_seed():
    """Seeds differ by factors of 10; the ratio is 0.8 in each."""
    table, validity = precision_tables()
    ratios = precision.over_full_space(table.query("regime == 'trained'"))
    np.testing.assert_allclose(ratios.query("precision == 'float64'")["estimate"], 0.8)
    assert set(ratios["dim"]) == {1, 4}
    caption = drawn(precision, [table, validity])[1]
    assert "float32 changes Δ₂^(D)/Δ₂ by the factor 1 [1, 1] (not changed)" in caption
    assert "bfloat16 changes the spread ratio by the factor not measurable and 1 [1, 1]" in caption
    assert "In bfloat16 9 of 18 variances are 0" in caption


def test_the_cell_of_fig_5_is_the_nearest_by_ratio():
    assert landscape.nearest(pd.Series([1, 4, 16]), 10) == 16
    assert landscape.nearest(pd.Series([1e-4, 1e-2, 0.1]), 2e-3) == 1e-2


def test_closed_form_less_a_squared_may_be_negative_and_zero():
    (table,) = estimators_table()
    table.loc[table["seed"] == 0, "gaussian_moment"] = table["value"]
    table.loc[table["seed"] == 1, "gaussian_moment"] = 0.5 * table["value"]
    figure, caption = drawn(convergence, [table])
    assert "is 0 or negative in 4 of 6 runs" in caption
    assert "over Var q, 0.03 [0.03, 0.03] (not 0)" in caption
    low, high = figure.axes[1].get_ylim()
    assert low == pytest.approx(-0.036)
    assert high == pytest.approx(0.036)


def test_an_interval_around_zero_is_no_deviation():
    caption = drawn(convergence, estimators_table())[1]
    assert "direct 0.05 [0.05, 0.05] (not 0) and quadratic" in caption
    assert "(holds 0), and of the closed form all but" in caption


def test_errors_are_absolute_in_each_seed_before_they_are_averaged():
    (table,) = estimators_table(seeds=[0, 1])
    sign = np.where(table["seed"] == 0, 1, -1)
    table["direct"] = table["gaussian_moment"] * (1 + 0.1 * sign)
    errors = error_map.relative_errors(table.query("regime == 'trained'"))
    published = errors[next(iter(errors))]
    expected = published["seed"].map({0: 100 * 0.1 / 1.1, 1: 100 * 0.1 / 0.9})
    np.testing.assert_allclose(published["error"], expected)


def test_the_map_inside_σ_star_is_reported_apart():
    """σ* is 0.2, 0.1 and 0.002: full space at σ = 0.01 lies outside, and is the worst."""
    table, validity = error_map_tables()
    table.loc[table["dim"] == N, "difference"] *= 10
    caption = drawn(error_map, [table, validity])[1]
    assert "3e+02 [3e+02, 3e+02] % in the worst cell (D = 10000, σ = 0.01)" in caption
    assert "Where σ ≤ σ*, the right map has at most 30 %" in caption


def test_the_share_of_the_slope_counts_once_a_seed():
    subspaces, *others = captured_tables()
    assert len(captured.once(subspaces)) == len(subspaces) / 3
    top = captured.once(subspaces).query("subspace == 'top' and dim == 4 and regime == 'trained'")
    caption = drawn(captured, [subspaces, *others])[1]
    assert f"holds {style.log_spread(top['gradient_share'], 2)} of the squared slope" in caption
    assert f"{style.log_spread(top['gradient_share'] / 4e-4)} times chance" in caption


def test_random_sets_are_counted_against_the_top_of_their_own_seed():
    _, index_sets, *_ = captured_tables()
    index_sets["quadratic"] *= 10.0 ** index_sets["seed"]
    better = captured.better_than_top(index_sets)
    assert (better["share"] == 0.25).all()
    assert len(better) == 2 * 3 * 2


def test_the_second_σ_is_the_largest_inside_the_model_or_else_the_largest():
    sigmas = pd.Series([1e-4, 1e-3, 1e-2])
    assert captured.two_sigmas(sigmas, 2e-3) == (1e-4, 1e-3)
    assert captured.two_sigmas(sigmas, 2e-4) == (1e-4, 1e-2)
    assert captured.two_sigmas(sigmas, np.nan) == (1e-4, 1e-2)


def test_spread_above_σ_star_is_dashed():
    tables = captured_tables(n=1_000_000)  # σ* in full space is 2e-4
    figure, _ = drawn(captured, tables)
    assert figure.axes[1].lines[0].get_linestyle() == "-"
    assert figure.axes[2].lines[0].get_linestyle() == "--"
    assert "> $\\sigma^*$" in figure.axes[2].get_title(loc="left")


@modules([precision, error_map, captured])
def test_seeds_without_σ_star_are_counted(module):
    *tables, validity = CASES[module][0]()
    first = (validity["seed"] == 0) & (validity["dim"] == N) & (validity["regime"] == "trained")
    validity.loc[first, "sigma_star"] = np.nan
    name = {precision: "full space", error_map: f"D = {N}", captured: "trained"}[module]
    assert (
        f"Seeds without σ*, as every σ exceeds the limit: {name} 1 of 3; there"
        in drawn(module, [*tables, validity])[1]
    )
