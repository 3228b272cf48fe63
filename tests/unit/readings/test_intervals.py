import numpy as np
import pytest
from scipy import stats

from valleyscope.readings.intervals import quoted, student_interval


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
