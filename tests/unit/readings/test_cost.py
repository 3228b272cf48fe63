"""Table 3: stages, sums, ratios and the time to one accuracy."""

import numpy as np
import pandas as pd
import pytest
from estimator_tables import DEFAULT, cost_tables

from valleyscope.readings.cost import shared_k, table3, time_to


def test_table_3_adds_up_the_stages_each_estimator_needs():
    timing, errors = cost_tables(**DEFAULT)
    timing.loc[timing["k"] == 128, "seconds"] *= 9  # only the corrected procedure is timed there
    table = table3(timing, errors, rmse=0.01).set_index(["procedure", "estimator"])
    assert list(table.index) == [
        ("corrected", "direct"),
        ("corrected", "direct_unbatched"),
        ("corrected", "quadratic"),
        ("corrected", "gaussian_moment"),
        ("published", "direct_unbatched"),
        ("published", "gaussian_moment"),
    ]
    ours, theirs = table.loc["corrected"], table.loc["published"]
    assert ours.loc["direct", "end_to_end"] == pytest.approx(2.2)
    assert np.isnan(ours.loc["direct", "stage_2"])
    assert ours.loc["gaussian_moment", "end_to_end"] == pytest.approx(2.05001)
    assert ours.loc["direct", "stage_1_sd"] == pytest.approx(0.04)
    assert ours.loc["direct_unbatched", "evaluation_ratio"] == pytest.approx(1e5)
    assert theirs.loc["direct_unbatched", "end_to_end_ratio"] == pytest.approx(21 / 20.50001)
    assert list(ours["products"]) == [60, 60, 76, 76]
    # Judged at σ = 1e-3, the largest whose bias is below 1 %; there the standard error is 1 % at this S.
    assert ours.loc["direct", "to_accuracy"] == pytest.approx(2.2)
    assert ours.loc["gaussian_moment", "to_accuracy"] == pytest.approx(2.05001)
    assert theirs["to_accuracy"].isna().all()


def test_a_closed_form_whose_bias_is_too_large_never_gets_there():
    timing, errors = cost_tables(**DEFAULT)
    errors["difference"] = -0.02 * errors["direct"]
    table = table3(timing, errors, rmse=0.01).set_index(["procedure", "estimator"]).loc["corrected"]
    assert np.isinf(table.loc[["quadratic", "gaussian_moment"], "to_accuracy"]).all()
    # The smallest σ is taken, where the standard error is a tenth of 1 %: a hundredth of the draws.
    assert table.loc["direct", "to_accuracy"] == pytest.approx(2 + 0.2 / 100)


def test_the_accuracy_decides_where_it_is_judged_and_how_many_draws_it_takes():
    timing, errors = cost_tables(**DEFAULT)
    table = table3(timing, errors, rmse=0.05).set_index(["procedure", "estimator"]).loc["corrected"]
    # At σ = 1e-2 the bias is just 5 %; the standard error is twice that at this S: four times the draws.
    assert table.loc["direct", "to_accuracy"] == pytest.approx(2 + 4 * 0.2)
    assert table.loc["gaussian_moment", "to_accuracy"] == pytest.approx(2.05001)


def test_time_goes_with_the_square_of_the_accuracy():
    timing, errors = cost_tables(**DEFAULT)
    row = table3(timing, errors, rmse=0.01).iloc[0]
    at = errors.iloc[1]
    assert time_to(0.01, row, at) - 2 == pytest.approx(0.2)
    assert time_to(0.001, row, at) - 2 == pytest.approx(100 * 0.2)


def test_both_procedures_are_compared_at_the_largest_k_that_both_have():
    timing, _ = cost_tables(**DEFAULT)
    smaller = timing[timing["procedure"] == "published"].assign(k=8)
    assert shared_k(pd.concat([timing, smaller])) == 64
