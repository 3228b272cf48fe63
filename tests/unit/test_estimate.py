"""A mean with its standard error, and a root mean square."""

import numpy as np
import pytest
from scipy import stats

from valleyscope.estimate import Estimate, rms


def test_mean_and_standard_error_are_scipys():
    draws = np.random.default_rng().normal(2, 3, size=9)
    found = Estimate.of(draws)
    assert (found.mean, found.standard_error) == pytest.approx((draws.mean(), stats.sem(draws)))
    assert found.samples == 9


def test_sums_are_taken_in_float64():
    draws = np.full(1000, 0.1, np.float32)
    assert Estimate.of(draws).mean == pytest.approx(float(np.float32(0.1)), rel=1e-12)


def test_one_draw_has_no_error():
    with pytest.raises(ValueError, match="at least 2 draws"):
        Estimate.of([1.0])


def test_root_mean_square():
    assert rms(np.array([3.0, -4.0])) == pytest.approx(12.5**0.5)
