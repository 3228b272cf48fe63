import numpy as np
import pandas as pd
import pytest

from valleyscope.readings.decay import (
    fit_power_law,
    fit_slopes,
    sequences_table,
    sequences_until,
    slopes_of_points,
)

SIZES = [8, 32, 128]


def test_a_power_law_is_found_and_inverted():
    k = np.array(SIZES)
    values = 3.0 * (k + 1.0) ** -1.7
    slope, intercept = fit_power_law(k, values, 2)
    assert slope == pytest.approx(0.3)
    assert np.exp(intercept) == pytest.approx(3.0)
    wanted = sequences_until(slope, intercept, 2, epsilon=1e-3)
    assert np.sqrt(3.0 * (wanted + 1) ** -1.7) == pytest.approx(1e-3)


def test_what_is_small_from_the_start_needs_one():
    assert sequences_until(0.0, 0.0, 2, epsilon=10.0) == 1.0


def test_what_does_not_fall_is_never_small():
    assert np.isnan(sequences_until(2.0, 0.0, 2, 1e-3))


def criteria(seeds, gamma):
    rows = [
        (
            "trajectory",
            "single",
            "delta2",
            100,
            1e-3,
            "gaussian_moment",
            seed,
            k,
            (1 + seed) * (k + 1.0) ** (gamma - 2),
        )
        for seed in seeds
        for k in SIZES
    ]
    names = ["regime", "next", "criterion", "dim", "sigma", "estimator", "seed", "k", "estimate"]
    return pd.DataFrame(rows, columns=names)


def test_one_fit_a_seed_and_no_estimate_below_zero():
    table = criteria([0, 1], 0.2)
    fits = fit_slopes(table)
    np.testing.assert_allclose(fits["slope"], 0.2, rtol=1e-9)
    assert fits["points"].tolist() == [3, 3]
    table.loc[0, "estimate"] = -1.0
    assert fit_slopes(table)["points"].tolist() == [2, 3]


def test_delta1_is_measured_against_its_own_rate():
    table = criteria([0], 1.0).assign(criterion="delta1", estimator="exact")  # ~ (k+1)^-1
    assert fit_slopes(table)["slope"].item() == pytest.approx(0)


def test_columns_that_are_already_scaled():
    points = pd.DataFrame({"regime": "minimisers", "seed": 3, "k": SIZES})
    points["next_square"] = (points["k"] + 1.0) ** 0.4
    fit = slopes_of_points(points, ["next_square"])
    assert fit["slope"].item() == pytest.approx(0.4)
    assert fit["next"].item() == "expected"


def test_extrapolation_is_marked():
    fits = fit_slopes(criteria([0], 0.0))  # √Δ = 1/(k+1)
    table = sequences_table(fits, {"trajectory": SIZES}, [0.05, 1e-4]).set_index("epsilon")
    assert table["k"][0.05] == pytest.approx(19)
    assert not table["extrapolated"][0.05]
    assert table["k"][1e-4] == pytest.approx(9999)
    assert table["extrapolated"][1e-4]
