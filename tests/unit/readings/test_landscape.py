"""What Paper A's tables say, on tables whose answer is known."""

import numpy as np
import pandas as pd
import pytest
from figure_check import grid
from landscape_tables import (
    GAMMA,
    SIGMAS,
    SIZES,
    N,
    captured_tables,
    slopes_table,
    terms_table,
    validity_table,
)

from valleyscope.readings import landscape

# ---------------------------------------------------------------- grids and rows


def test_regimes_have_one_order_and_each_its_largest_k():
    table = terms_table(seeds=1)
    assert landscape.regimes_of(table.sort_values("regime")) == ["trajectory", "minimisers"]
    assert landscape.regimes_of(table.query("regime == 'minimisers'")) == ["minimisers"]
    largest = landscape.at_largest_k(table).groupby("regime")["k"].unique()
    assert {regime: list(k) for regime, k in largest.items()} == {"trajectory": [64], "minimisers": [16]}


def test_the_middle_of_a_grid_is_one_of_its_values():
    assert landscape.middle(pd.Series([3.0, 1.0, 2.0, 2.0, np.nan])) == 2.0
    assert landscape.middle(pd.Series([1.0, 4.0, 2.0, 8.0])) == 4.0


def test_the_nearest_value_is_so_by_ratio():
    assert landscape.nearest(pd.Series([1, 4, 16]), 10) == 16
    assert landscape.nearest(pd.Series([1e-4, 1e-2, 0.1]), 2e-3) == 1e-2


def test_repeats_are_seeds():
    table = pd.DataFrame({"seed": [0, 0, 1], "x": [1.0, 3.0, 5.0]})
    assert landscape.per_seed(table, "x").to_dict() == {0: 2.0, 1: 5.0}
    assert landscape.per_seed(table, "x", "max").to_dict() == {0: 3.0, 1: 5.0}


# ---------------------------------------------------------------- σ*


def test_sigma_star_is_that_of_the_increment_in_float64():
    validity = validity_table()
    validity["sigma_star"] *= 2.0 ** (validity["seed"] - 2)
    star = landscape.sigma_star(validity.sample(frac=1, random_state=0), "trained", N)
    assert star.to_numpy() == pytest.approx(2e-3 * 2.0 ** np.arange(-2, 3))
    assert landscape.holds_up_to(star) == pytest.approx(2e-3)
    assert landscape.sigma_star(validity, "trained").equals(star)  # full space if no D is named
    assert landscape.holds_up_to(landscape.sigma_star(validity, "minimisers", 4)) == pytest.approx(5e-2)
    # D = 3 was not measured: the next larger one promises less.
    assert landscape.holds_up_to(landscape.sigma_star(validity, "minimisers", 3)) == pytest.approx(5e-2)
    assert np.isnan(landscape.holds_up_to(landscape.sigma_star(validity, "minimisers", N + 1)))
    other = landscape.sigma_star(validity, "trained", quantity="loss", precision="float32")
    assert landscape.holds_up_to(other) == pytest.approx(9.0)
    assert landscape.sigma_star(validity, "trained", column="sigma_floor").isna().all()


def test_a_seed_without_sigma_star_leaves_no_sigma_valid():
    star = pd.Series([1e-3, 4e-3])
    grid_of_sigmas = pd.Series([1e-2, 1e-4, 2e-3, 0.0, 2.1e-3])
    assert landscape.holds_up_to(star) == pytest.approx(2e-3)
    assert landscape.valid_sigmas(grid_of_sigmas, 1.0001 * star) == [1e-4, 2e-3]
    for unknown in (pd.Series([1e-3, np.nan]), pd.Series([], dtype=float)):
        assert np.isnan(landscape.holds_up_to(unknown))
        assert landscape.valid_sigmas(grid_of_sigmas, unknown) == []


# ---------------------------------------------------------------- the ratio and its parts


def test_the_ratio_is_taken_within_a_cell_and_told_from_a_squared():
    terms = terms_table()
    for column in landscape.TERMS:  # Δ₂ of very different size in each seed
        terms[column] *= 10.0 ** (2 * terms["seed"])
    table = landscape.ratios(terms.sample(frac=1, random_state=0))
    assert len(table) == 2 * 5 * sum(map(len, SIZES.values())) * len(SIGMAS)
    assert set(table["next"]) == {"single"}
    keys = ["regime", "seed", "k", "sigma"]
    single = terms.query("next == 'single'").assign(moment=lambda t: t[landscape.TERMS].sum(axis=1))
    whole = single.query("criterion == 'delta2'").set_index(keys)
    for dim in (1, 4):
        part, read = (rows[rows["dim"] == dim].set_index(keys) for rows in (single, table))
        assert read["ratio"].to_dict() == pytest.approx((part["moment"] / whole["moment"]).to_dict())
        assert read["shared"].to_dict() == pytest.approx((whole["value"] / whole["moment"]).to_dict())
    assert set(landscape.ratios(terms, "expected")["next"]) == {"expected"}


def test_a_moment_that_is_not_positive_has_no_ratio():
    terms = terms_table(seeds=2)
    first = (terms["seed"] == 0) & (terms["next"] == "single")
    terms.loc[first & (terms["k"] == 8) & (terms["criterion"] == "delta2"), "value"] = -1.0
    terms.loc[first & (terms["k"] == 16) & (terms["dim"] == 4), "value"] = -1.0
    table = landscape.ratios(terms)
    lost = (table["k"] == 8) | ((table["k"] == 16) & (table["dim"] == 4))
    for column in ("ratio", "shared"):
        assert table[column].isna().equals(lost & (table["seed"] == 0))


def test_the_largest_deviation_is_one_number_a_seed():
    table = grid(seed=[0, 1], k=[8, 16], dim=[1, 4])
    table["ratio"] = 1.0
    table.loc[[1, 6], "ratio"] = 0.9, 1.3
    assert landscape.off_one(table).to_dict() == pytest.approx({0: 0.1, 1: 0.3})
    assert landscape.off_one(table.assign(shared=0.5), "shared").to_dict() == {0: 0.5, 1: 0.5}
    table.loc[2, "ratio"] = np.nan  # could be the largest of its seed
    assert landscape.off_one(table).isna().to_list() == [True, False]


def test_the_spread_ratio_of_a_seed_is_a_geometric_mean():
    table = pd.DataFrame({"seed": [0, 0, 1, 1], "spread_ratio": [0.01, 1.0, 0.2, 0.2]})
    assert landscape.spread_ratio(table).to_dict() == pytest.approx({0: 0.1, 1: 0.2})
    for missing in (0.0, -0.1, np.nan):
        table.loc[3, "spread_ratio"] = missing
        assert landscape.spread_ratio(table).isna().to_list() == [False, True]


# ---------------------------------------------------------------- subspaces


def test_the_share_of_the_slope_counts_once_a_seed():
    subspaces, *_ = captured_tables()
    wide = landscape.slope_shares(subspaces)
    assert len(wide) == 2 * 3 * 2  # regime, seed, D; not σ
    cell = wide.loc[("minimisers", 2, 16, 4)]
    assert cell.to_dict() == pytest.approx(
        {"top": 0.12, "bottom": 0.012, "random": 1.2e-3, "gradients": 0.36, "increment": 1.0, "chance": 4e-4}
    )


def test_random_sets_are_compared_with_the_top_of_their_own_seed():
    _, sets, *_ = captured_tables()
    sets["quadratic"] *= 10.0 ** sets["seed"]
    against = landscape.against_top(sets)
    assert len(against) == 2 * 3 * 2
    assert (against["above"] == 0.25).all()
    assert (against["below"] == 0.75).all()
    sets.loc[sets["draw"] == 2, "quadratic"] = 2.0 * 10.0 ** sets["seed"]  # the top itself was drawn
    against = landscape.against_top(sets)
    assert (against["above"] == 0.25).all()
    assert (against["below"] == 0.5).all()


# ---------------------------------------------------------------- slopes


@pytest.mark.parametrize("regime", ["trajectory", "minimisers"])
def test_the_slope_of_a_regime_is_that_of_the_closed_form(regime):
    slopes = slopes_table()
    noise = 0.01 * np.arange(-2, 3)
    for criterion, dim in (("delta2", None), ("delta2_D", 4)):
        gamma = landscape.slope(slopes, regime, "single", criterion, dim=dim, sigma=1e-3)
        assert gamma.index.to_list() == [0, 1, 2, 3, 4]
        assert gamma.to_numpy() == pytest.approx(GAMMA[regime] + noise)
    assert landscape.slope(slopes, regime, "expected", "delta1").to_numpy() == pytest.approx(
        GAMMA[regime] + noise
    )
    rows = landscape.slopes_of(slopes, regime, "expected", "delta2_D")
    assert set(rows["dim"]) == {1, 4}
    assert set(rows["sigma"]) == set(SIGMAS)


def test_weights_that_stay_have_the_slope_of_direct_monte_carlo():
    gamma = landscape.slope(slopes_table(), "random", "single", "delta2", sigma=1e-3)
    assert gamma.to_numpy() == pytest.approx(0.01 * np.arange(-2, 3))
