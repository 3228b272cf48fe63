"""Error of the quadratic model: σ*, floors and the collapse on σ√dim, from tables with a known finding."""

import numpy as np
from estimator_tables import SEEDS, K, N, grid, validity_table, with_gaps
from figure_check import check, drawn, laid_out, told

from valleyscope.figures.landscape import expansion
from valleyscope.figures.landscape.shared import PRECISIONS
from valleyscope.readings.intervals import geometric_mean


def tables(seeds=SEEDS, dims=(1, 4, N), sigmas=(1e-4, 1e-3, 1e-2, 1.0)):
    table = grid(
        regime=list(K), seed=seeds, quantity=["loss", "increment"], dim=dims,
        precision=list(PRECISIONS), sigma=sigmas,
    )  # fmt: skip
    table["signal"] = table["sigma"] * np.sqrt(table["dim"]) * (1 + table["seed"])
    table["error"] = table["signal"] * table["sigma"] * np.sqrt(table["dim"]) / 2
    return table, validity_table(seeds, dims)


def test_the_finding_is_in_the_caption_and_the_bytes_are_the_same(tmp_path):
    check(
        expansion,
        tables(),
        [
            "errs by at most 0.1",
            "σ* = 0.002 [0.002, 0.002] in full space and 0.1 [0.1, 0.1] in the top-4 eigenspace",
            "k = 16",
        ],
        tmp_path,
        numbers=["σ* of the loss, top 4 (minimisers, k = 8): 0.1 [0.1, 0.1]", "σ: 0.0001 to 1"],
    )


def test_two_seeds_and_two_points_with_a_missing_cell_and_a_gap_are_drawn():
    first, validity = tables(seeds=[0, 1], dims=(1, 4, 600), sigmas=(1e-3, 1e-1))
    assert "over 2 seeds" in laid_out(expansion, [with_gaps(first, "error"), validity]).caption


def test_trained_weights_alone_are_drawn():
    assert "minimisers" not in told(drawn(expansion, [t.query("regime == 'trained'") for t in tables()]))


def test_σ_star_in_σ_sqrt_dim_is_compared_within_a_seed():
    table, validity = tables()
    name = "σ*√dim of the increment, full space over top 4 (trained, k = 16)"
    picture = drawn(expansion, [table, validity])
    assert "σ*√dim is one number as far as the interval tells" in picture.caption
    assert picture.numbers[name] == "one number as far as the interval tells, 1 [1, 1]"
    # Seeds differ by 10 each, and full space by 2 in every one of them: the ratio knows, the means do not.
    validity["sigma_star"] *= 0.01 * 10.0 ** validity["seed"] * np.where(validity["dim"] == N, 2, 1)
    picture = drawn(expansion, [table, validity])
    assert "σ*√dim is not one number" in picture.caption
    assert picture.numbers[name] == "not one number, 2 [2, 2]"


def test_a_σ_star_at_the_end_of_the_grid_is_compared_with_nothing():
    caption = drawn(expansion, tables(sigmas=(1e-4, 1e-2, 0.1))).caption
    assert "σ* = 0.002 [0.002, 0.002] in full space and ≥ 0.1 [0.1, 0.1] in the top-4 eigenspace" in caption
    assert "not comparable inside the grid" in caption
    table, validity = tables()
    at_end = validity.assign(sigma_star=validity["sigma_star"].mask(validity["dim"] == N, 1.0))
    caption = drawn(expansion, [table, at_end]).caption
    assert "≥ 1 [1, 1] in full space and 0.1 [0.1, 0.1] in the top-4" in caption
    assert "not comparable inside the grid" in caption


def test_seeds_without_a_σ_star_are_counted():
    table, validity = tables()
    gone = (validity["seed"] == 0) & (validity["dim"] == N) & (validity["regime"] == "trained")
    validity.loc[gone, "sigma_star"] = np.nan
    assert (
        "0.002 [0.002, 0.002] (2 of 3 repeats) in full space" in drawn(expansion, [table, validity]).caption
    )


def test_floors_tell_between_the_smallest_σ_and_no_σ():
    table, validity = tables()
    words = told(drawn(expansion, [table, validity]))
    for space in ("full space", "top 4"):
        assert f"increment, float32, {space} (trained): 0.001 [0.001, 0.001]\n" in words
        assert f"increment, bfloat16, {space} (trained): nowhere" in words
    assert "under rounding, full space: 0.001 [0.001, 0.001] (float32), nowhere (bfloat16)" in words
    low = validity["precision"] == "float32"
    validity.loc[low, "sigma_floor"] = np.nan
    validity.loc[low & (validity["seed"] == 2), "sigma_star"] = np.nan
    picture = drawn(expansion, [table, validity])
    assert "full space: ≤ 0.0001 [0.0001, 0.0001] (2 of 3 repeats) (float32)" in picture.caption


def test_the_curves_are_geometric_means_on_logarithmic_axes():
    """seaborn averages logarithms itself where an axis is logarithmic already."""
    table, validity = tables()
    picture = drawn(expansion, [table, validity])
    for panel in picture.figure.axes[:2]:
        line = next(line for line in panel.lines if len(line.get_ydata()) == 4)
        full = table.query(
            "quantity == 'loss' and regime == 'trained' and precision == 'float64' and dim == @N"
        )
        expected = full.groupby("sigma")["error"].agg(geometric_mean)
        np.testing.assert_allclose(line.get_ydata(), expected, rtol=1e-9)
