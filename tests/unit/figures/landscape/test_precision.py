"""The ratio in three precisions, from tables in which bfloat16 changes it by a known factor."""

import numpy as np
import pytest
from estimator_tables import SEEDS, K, N, grid, validity_table, with_gaps, without_star
from figure_check import check, drawn, laid_out, told

from valleyscope.figures.landscape import precision
from valleyscope.figures.landscape.shared import PRECISIONS


def tables(seeds=SEEDS, dims=(1, 4, N), sigmas=(1e-4, 1e-2)):
    """bfloat16 makes the ratio 1.5 times larger and swallows the smallest probe."""
    table = grid(regime=list(K), seed=seeds, precision=list(PRECISIONS), dim=dims, sigma=sigmas)
    whole, low = table["dim"] == max(dims), table["precision"] == "bfloat16"
    scale = 10.0 ** table["seed"]
    table["estimate"] = scale * np.where(whole, 1, 0.8) * np.where(low & ~whole, 1.5, 1)
    table["variance"] = scale * np.where(whole, 1, 0.02)
    table.loc[low & (table["sigma"] == min(sigmas)), "variance"] = 0.0
    return table, validity_table(seeds, dims)


def test_the_finding_is_in_the_caption_and_the_bytes_are_the_same(tmp_path):
    check(
        precision,
        tables(),
        [
            "In float32 Δ₂^(D)/Δ₂ is unchanged (1 [1, 1], σ =",
            "in bfloat16 Δ₂^(D)/Δ₂ is changed (1.5 [1.5, 1.5], σ =",
            "D = 4, worst σ; unchanged: within 1 % of 1",
            "k = 16, N = 10000",
        ],
        tmp_path,
        numbers=[
            "Δ₂^(D)/Δ₂ in bfloat16 over float64, D = 4, σ = 0.0001: 1.5 [1.5, 1.5], changed",
            "Δ₂^(D)/Δ₂ in bfloat16 over float64, D = 4, σ = 0.01: 1.5 [1.5, 1.5], changed",
        ],
    )


def test_two_seeds_and_two_points_with_a_missing_cell_and_a_gap_are_drawn():
    first, validity = tables(seeds=[0, 1], dims=(1, 4, 600), sigmas=(1e-3, 1e-1))
    assert "over 2 seeds" in laid_out(precision, [with_gaps(first, "variance"), validity]).caption


def test_trained_weights_alone_are_drawn():
    assert "minimisers" not in told(drawn(precision, [t.query("regime == 'trained'") for t in tables()]))


def test_ratios_of_precision_are_taken_within_a_seed():
    """Seeds differ by factors of 10; the ratio is 0.8 in each."""
    table, validity = tables()
    ratios = precision.over_full_space(table.query("regime == 'trained'"))
    np.testing.assert_allclose(ratios.query("precision == 'float64'")["estimate"], 0.8)
    assert set(ratios["dim"]) == {1, 4}
    picture = drawn(precision, [table, validity])
    for sigma in ("0.0001", "0.01"):
        name = f"Δ₂^(D)/Δ₂ in float32 over float64, D = 4, σ = {sigma}"
        assert picture.numbers[name] == "1 [1, 1], unchanged"
        assert picture.numbers[f"Δ₂^(D)/Δ₂ in float64, D = 4, σ = {sigma}"] == "0.8 [0.8, 0.8]"
    spread = "spread ratio in bfloat16 over float64, D = 4, σ = "
    assert picture.numbers[f"{spread}0.0001"] == "not measurable"
    assert picture.numbers[f"{spread}0.01"].startswith("1 [1, 1]")
    swallowed = "variances that are 0 in bfloat16, as rounding swallows the probe: left out"
    assert picture.numbers[swallowed] == "9 of 18"


def test_the_caption_tells_the_verdict_that_weighs_most_and_its_σ():
    """bfloat16 doubles the spread ratio at the middle σ, less at the largest; elsewhere seeds differ."""
    table, validity = tables(sigmas=(1e-4, 1e-3, 1e-2))
    low = (table["precision"] == "bfloat16") & (table["dim"] < N)
    table["variance"] = 10.0 ** table["seed"] * np.where(table["dim"] == N, 1, 0.02)
    table.loc[low & (table["sigma"] == 1e-3), "variance"] *= 2 + 0.01 * table["seed"]
    table.loc[low & (table["sigma"] == 1e-2), "variance"] *= 1.2
    table.loc[low & (table["sigma"] == 1e-4), "variance"] *= 100.0 ** (table["seed"] - 1.5)
    caption = drawn(precision, [table, validity]).caption
    assert "the spread ratio (below) changed (2.01 [1.99, 2.03], σ = 0.001)" in caption
    table.loc[low & (table["sigma"] > 1e-4), "variance"] = 0.0
    caption = drawn(precision, [table, validity]).caption
    assert "the spread ratio (below) undecided (0.1 [" in caption


@pytest.mark.parametrize(("ratio", "verdict"), [(0.01, "changed"), (0.6, "unchanged")])
def test_the_ratio_allowed_is_handed_over(ratio, verdict):
    picture = drawn(precision, tables(), ratio=ratio)
    assert f"in bfloat16 Δ₂^(D)/Δ₂ is {verdict} (1.5" in picture.caption
    assert f"within {100 * ratio:g} % of 1" in picture.caption
    name = "Δ₂^(D)/Δ₂ in bfloat16 over float64, D = 4, σ = 0.01"
    assert picture.numbers[name] == f"1.5 [1.5, 1.5], {verdict}"


def test_seeds_without_σ_star_are_counted():
    table, validity = tables()
    assert "full space 1 of 3" in told(drawn(precision, [table, without_star(validity)]))
    numbers = drawn(precision, [table, validity]).numbers
    assert numbers["σ* of the increment, float64, D = 4"] == "0.1 [0.1, 0.1]"
    assert numbers["seeds without σ*"] == "none"
