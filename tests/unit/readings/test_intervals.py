import numpy as np
import pytest
from scipy import stats

from valleyscope.readings.intervals import (
    geometric_mean,
    interval_of,
    log_interval,
    measured,
    quoted,
    side,
    student_interval,
)


def test_agrees_with_scipys_t_test():
    values = np.random.default_rng().normal(3, 2, size=7)
    mean, low, high = student_interval(values)
    truth = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (mean, low, high) == pytest.approx((values.mean(), truth.low, truth.high))


def test_it_covers_the_truth_as_often_as_it_says():
    draws = np.random.default_rng(7).normal(0, 1, size=(4000, 4))
    inside = [low <= 0 <= high for _, low, high in map(student_interval, draws)]
    assert np.mean(inside) == pytest.approx(0.95, abs=5 * (0.95 * 0.05 / 4000) ** 0.5)


def test_one_value_has_no_interval():
    with pytest.raises(ValueError, match="two independent values"):
        student_interval([1.0])


def test_words_count_the_repeats_that_have_a_value():
    values = [1.0, 100.0, np.nan, 0.0]
    assert quoted(values[:2]) == "50.5 [-578, 679]"
    assert quoted(values, 2, log=True) == "10 [2e-12, 5.1e+13] (2 of 4 repeats)"
    assert quoted(values[1:]) == "50 [-585, 685] (2 of 3 repeats)"
    assert quoted(values[1:3]) == "100 (1 of 2 repeats)"
    assert quoted(values[2:], log=True) == "not measured"
    assert quoted(values[2:], log=True, nothing="none") == "none"


def test_no_number_is_minus_zero():
    assert quoted([-1e-3, 1e-3], 1, form="f") == "0.0 [0.0, 0.0]"
    assert quoted([-0.0, 0.0]) == "0 [0, 0]"


def test_intervals_of_logarithms_are_those_of_a_geometric_mean():
    mean, low, high = log_interval([1.0, 10.0, 100.0])
    assert mean == pytest.approx(geometric_mean([1.0, 10.0, 100.0])) == pytest.approx(10)
    assert low < 10 < high
    assert low * high == pytest.approx(100)
    for value in (0.0, -1.0, np.nan):
        assert np.isnan(log_interval([1.0, value])).all()


def test_repeats_without_a_value_are_left_out():
    assert measured([1.0, np.nan, np.inf, -1.0]).tolist() == [1, -1]
    assert measured([1.0, 0.0, -1.0], log=True).tolist() == [1]
    assert interval_of([1.0, np.nan, 3.0]) == student_interval([1.0, 3.0])
    assert interval_of([1.0, -1.0, 4.0], log=True) == log_interval([1.0, 4.0])
    assert interval_of([5.0, np.nan])[0] == 5
    assert np.isnan(interval_of([5.0])[1:]).all()
    assert np.isnan(interval_of([])).all()


def test_a_side_is_that_of_the_whole_interval():
    assert side([1.0, 1.1, 0.9]) == 1
    assert side([1.0, 1.1, 0.9], reference=2.0) == -1
    assert side([1.0, -1.0, 0.5]) == 0
    assert side([1.0]) == 0
    assert side([1 + 1e-15, 1 + 1e-15], 1, log=True) == 0
    assert side(np.log([1 + 1e-15, 1 + 1e-15])) == 0
    assert side([2.0, 2.1], 1, log=True) == 1
    assert side([1.0, 1.1, np.nan]) == 1


def test_numbers_are_quoted_with_their_interval_and_how_many_have_one():
    assert quoted([1.0, 2.0, 3.0], 2) == "2 [-0.48, 4.5]"
    assert quoted([1.0, np.nan]) == "1 (1 of 2 repeats)"
    assert quoted([np.nan]) == "not measured"
    assert quoted([np.nan], nothing="none") == "none"
    assert quoted([1.0, 1.0, -1.0], log=True) == "1 [1, 1] (2 of 3 repeats)"
    assert quoted([0.001, 0.001], 1, form="e") == "1.0e-03 [1.0e-03, 1.0e-03]"
