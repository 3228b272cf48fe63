import numpy as np
import pandas as pd
import pytest
from figure_check import LIMITS
from sgd_tables import SWEEPS, sweep_tables

from valleyscope.readings.drift import (
    NORMAL,
    SETTING,
    base_setting,
    directions,
    exponents,
    moment_slope,
    slopes,
    sweep,
    velocities,
)

INSIDE = LIMITS["inside"]


def test_with_exact_x_the_slope_is_weighted_least_squares():
    rng = np.random.default_rng()
    x, error = rng.normal(size=4000), rng.uniform(0.1, 1, 4000)
    y = 1.7 * x + error * rng.normal(size=4000)
    slope, standard_error, chi2 = moment_slope(x, np.zeros(4000), y, error)
    weights = 1 / error**2
    truth = (weights * x * y).sum() / (weights * x**2).sum()
    assert slope == pytest.approx(truth, rel=1e-9)
    assert standard_error == pytest.approx((weights * x**2).sum() ** -0.5, rel=0.15)
    assert chi2 == pytest.approx((weights * (y - truth * x) ** 2).sum() / 3999, rel=1e-9)


def test_errors_in_x_do_not_pull_the_slope_down():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=4000)
    x, y = truth + 0.5 * rng.normal(size=4000), 0.8 * truth + 0.5 * rng.normal(size=4000)
    slope, error, chi2 = moment_slope(x, np.full(4000, 0.5), y, np.full(4000, 0.5))
    assert slope == pytest.approx(0.8, abs=4 * error)
    assert error < 0.05
    assert (x * y).sum() / (x**2).sum() < 0.7  # ordinary least squares is pulled down
    assert chi2 == pytest.approx(1, abs=0.1)


def test_a_slope_that_cannot_be_had():
    with pytest.raises(ValueError, match="at least 2"):
        moment_slope([1.0], [0.1], [1.0], [0.1])
    assert np.isnan(moment_slope([1.0, -1.0], [2.0, 2.0], [1.0, 1.0], [0.1, 0.1])).all()  # errors alone


def test_skewed_draws_with_errors_of_their_own_do_not_steepen_the_slope():
    """Predictions are means of a few χ² draws, and small where drawn small: so are their errors."""
    rng = np.random.default_rng(3)
    truth = np.tile(np.linspace(-1, 1, 12), 400)
    draws = truth[:, None] * rng.chisquare(1, (len(truth), 12))
    x, error = draws.mean(1), draws.std(1, ddof=1) / 12**0.5
    y = truth + 0.05 * rng.normal(size=len(truth))
    slope, standard_error, _ = moment_slope(x, error, y, np.full(len(y), 0.05))
    assert slope == pytest.approx(1, abs=4 * standard_error)
    assert standard_error < 0.02


def synthetic():
    """Outward drift that goes as η² (m − 1) / B, twice what is predicted."""
    settings = [(0.01, 4, 15), (0.02, 4, 15), (0.04, 4, 15), (0.02, 2, 15), (0.02, 8, 15), (0.02, 4, 5)]
    rows = []
    for pair in ("0-1", "2-3"):
        for rate, batch, steps in settings:
            for position in (0.1, 0.3, 0.5, 0.7, 0.9):
                time = rate * steps
                drift = np.sign(position - 0.5) * rate**2 * (steps - 1) / batch * time
                named = {"pair": pair, "position": position, "learning_rate": rate, "batch": batch}
                rows.append({**named, "steps": steps, "entropic": drift, "descent": 3 * time})
    measured = pd.DataFrame(rows).assign(displacement_se=1e-9, followed_se=1e-9)
    measured["followed"] = measured["entropic"]
    predicted = measured[["pair", "position", "learning_rate", "batch", "steps"]].copy()
    predicted["predicted"] = measured["entropic"] / 2
    predicted["leading"] = measured["entropic"] / 4
    return measured, predicted.assign(predicted_se=1e-9, leading_se=1e-9)


def test_slopes_velocities_and_exponents_of_a_known_law():
    measured, predicted = synthetic()
    found = slopes(measured, predicted)
    for name, truth in (("linear", 2), ("leading", 4), ("followed", 1)):
        assert found[found["predictor"] == name]["slope"].to_numpy() == pytest.approx(truth, rel=1e-3)
    speed = velocities(measured, predicted, INSIDE)
    law = speed["learning_rate"] ** 2 * (speed["steps"] - 1) / speed["batch"]
    assert speed["velocity"].to_numpy() == pytest.approx(law.to_numpy())
    assert speed["predicted"].to_numpy() == pytest.approx(law.to_numpy() / 2)
    assert speed["descent"].to_numpy() == pytest.approx(0, abs=1e-12)  # one side in, the other out
    table = exponents(speed).set_index(["pair", "variable"])
    for variable, truth in (("batch", -1), ("learning_rate", 2)):
        row = table.loc[("0-1", variable)]
        assert [row["exponent"], row["predicted"], row["formula"]] == pytest.approx([truth] * 3)
    row = table.loc[("2-3", "steps")]
    assert row["exponent"] == pytest.approx(np.log(14 / 4) / np.log(3))
    assert row["formula"] == pytest.approx(row["exponent"])


def test_no_exponent_where_a_velocity_is_not_positive():
    measured, predicted = synthetic()
    measured.loc[measured["batch"] == 2, "entropic"] *= -1
    table = exponents(velocities(measured, predicted, INSIDE)).set_index("variable")
    assert table.loc["batch", "exponent"].isna().all()
    assert table.loc["learning_rate", "exponent"].notna().all()


def test_only_positions_inside_count_for_a_velocity():
    measured, predicted = synthetic()
    outer = ~measured["position"].between(*INSIDE)
    measured.loc[outer, "entropic"] *= 100
    assert velocities(measured, predicted, INSIDE).equals(velocities(synthetic()[0], predicted, INSIDE))
    wide = velocities(measured, predicted, [0.0, 1.0])
    assert (wide["velocity"] > 10 * velocities(measured, predicted, INSIDE)["velocity"]).all()


def test_a_sweep_varies_one_variable():
    speeds, _ = sweep_tables()
    assert base_setting(speeds).to_dict() == {"learning_rate": 0.02, "batch": 4, "steps": 15}
    for variable, values in SWEEPS.items():
        rows = sweep(speeds, variable)
        assert sorted(rows[variable].unique()) == values
        assert (rows[[name for name in SETTING if name != variable]].nunique() == 1).all()


def test_directions_are_counted_beyond_the_error_and_beside_the_middle():
    drift = pd.DataFrame({"position": [0.1, 0.4, 0.5, 0.6, 0.9], "displacement_se": 1.0})
    drift["entropic"] = [-NORMAL - 0.01, NORMAL - 0.01, 9.0, -9.0, 9.0]
    assert directions(drift) == (2, 1, 4)
