"""The map over (D, σ): worst and median cells, published draws and σ, cells inside σ*."""

import numpy as np
import pytest
from estimator_tables import N, estimators_table, validity_table, with_gaps, without_star
from figure_check import check, drawn, laid_out, told

from valleyscope.figures.landscape import error_map

RIGHT = "left out by the quadratic model, same S = 64 draws, of Var q"


def tables(**options):
    return estimators_table(**options), validity_table(dims=options.get("dims", (1, 4, N)))


def test_the_finding_is_in_the_caption_and_the_bytes_are_the_same(tmp_path):
    check(
        error_map,
        tables(),
        ["leaves out 30 [30, 30] % of Var q at worst (D = ", "trained weights, k = 16"],
        tmp_path,
        numbers=[f"{RIGHT}: median cell (D = ", "3 [3, 3] %"],
    )


def test_two_seeds_and_two_points_with_a_missing_cell_and_a_gap_are_drawn():
    dims = (1, 4, 600)
    first = estimators_table(seeds=[0, 1], dims=dims, sigmas=(1e-3, 1e-1))
    gaps = with_gaps(first, ["variance", "difference"])
    assert "over 2 seeds" in laid_out(error_map, [gaps, validity_table([0, 1], dims)]).caption


def test_trained_weights_alone_are_drawn():
    assert "minimisers" not in told(drawn(error_map, [t.query("regime == 'trained'") for t in tables()]))


def test_errors_are_absolute_in_each_seed_before_they_are_averaged():
    table = estimators_table(seeds=[0, 1])
    sign = np.where(table["seed"] == 0, 1, -1)
    table["direct"] = table["gaussian_moment"] * (1 + 0.1 * sign)
    errors = error_map.relative_errors(table.query("regime == 'trained'"), draws=24)
    published = errors[next(iter(errors))]
    expected = published["seed"].map({0: 100 * 0.1 / 1.1, 1: 100 * 0.1 / 0.9})
    np.testing.assert_allclose(published["error"], expected)


def test_the_map_inside_σ_star_is_reported_apart():
    """σ* is 0.2, 0.1 and 0.002: full space at σ = 0.01 lies outside, and is the worst."""
    table, validity = tables()
    table.loc[table["dim"] == N, "difference"] *= 10
    picture = drawn(error_map, [table, validity])
    assert picture.numbers[f"{RIGHT}: worst cell (D = 10000, σ = 0.01)"] == "3e+02 [3e+02, 3e+02] %"
    assert "3e+02 [3e+02, 3e+02] % of Var q at worst (D = 10000, σ = 0.01)" in picture.caption
    assert "and at most 30 % up to σ* (thick lines)" in picture.caption
    assert picture.numbers["right map, where σ ≤ σ*: worst cell"] == "30 %"


def test_seeds_without_σ_star_are_counted_and_nothing_is_inside():
    table, validity = tables()
    picture = drawn(error_map, [table, without_star(validity)])
    assert f"D = {N} 1 of 3" in told(picture)
    nowhere = drawn(error_map, [table, validity.assign(sigma_star=1e-5)])
    assert "up to σ*" not in nowhere.caption


@pytest.mark.parametrize(("samples", "off"), [(24, "4.8"), (8, "9.1")])
def test_the_published_draws_are_handed_over(samples, off):
    """With 8 draws direct Monte Carlo is 10 % too large, with more 5 %."""
    table, validity = tables()
    table["direct"] = table["gaussian_moment"] * np.where(table["samples"] == 8, 1.1, 1.05)
    picture = drawn(error_map, [table, validity], fig6={"samples": samples, "sigma": 1e-2})
    assert f"is off direct Monte Carlo by at most {off} [{off}, {off}] %" in picture.caption
    assert f"S = {samples} as published" in told(picture)
    assert f"S = {samples}, as published" in picture.figure.axes[0].get_title(loc="left")


@pytest.mark.parametrize(("sigma", "off"), [(1e-2, "17"), (1e-3, "4.8")])
def test_the_published_range_of_σ_is_handed_over(sigma, off):
    table, validity = tables()
    table["direct"] = table["gaussian_moment"] * np.where(table["sigma"] == 1e-2, 1.2, 1.05)
    picture = drawn(error_map, [table, validity], fig6={"samples": 24, "sigma": sigma})
    assert (
        f"(left, σ ≤ {sigma:g}), the closed form is off direct Monte Carlo by at most {off} ["
        in picture.caption
    )
    assert any(
        value == f"{off} [{off}, {off}] %" for name, value in picture.numbers.items() if "left map" in name
    )
