"""What the figures of Paper B share: ratios to the ends, drawn and in words."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from valleyscope.figures import style
from valleyscope.figures.connectivity.shared import (
    FINDER_COLOURS,
    against_ends,
    compared,
    height,
    judged,
    not_drawn,
    ratio_axis,
    ratio_point,
    span,
)
from valleyscope.readings.paths import FINDERS


@pytest.mark.parametrize(("spread", "trimmed"), [(1e4, True), (2.0, False)])
def test_ratios_are_cut(spread, trimmed):
    figure, panel = style.new_figure(2)
    plt.close(figure)
    ratio_point(panel, 0, pd.Series([spread, 1 / spread, 1.0]), fmt="o")
    ratio_point(panel, 1, pd.Series([np.nan, 2.0, 2.0]), fmt="o")  # judged by no pair, so not drawn
    assert ratio_axis(panel, ["a", "b"], "ratio") is trimmed
    assert len(panel.containers) == 1
    left, right = panel.get_xlim()
    assert 1 / 31 < left < 1 < right < 31


def test_a_ratio_is_judged_by_the_interval_over_all_pairs():
    assert judged(pd.Series([2.0, 2.1, 1.9])) == 1
    assert judged(pd.Series([0.5, 0.6, 0.4])) == -1
    assert judged(pd.Series([0.5, 2.0, 1.0])) == 0
    assert judged(pd.Series([1 + 1e-15] * 3)) == 0
    for missing in (np.nan, -1.0, 0.0):
        assert judged(pd.Series([2.0, 2.1, missing])) == 0
    assert judged(pd.Series([2.0])) == 0


def test_ratios_in_words():
    up, none, few = pd.Series([2.0, 2.0]), pd.Series([np.nan, -1.0]), pd.Series([2.0, 2.0, np.nan])
    assert against_ends(up) == "higher than at the ends (2 [2, 2] times)"
    assert against_ends(1 / up) == "lower than at the ends (0.5 [0.5, 0.5] times)"
    assert against_ends(none) == "not measured against the ends"
    assert against_ends(few) == "not told apart from the ends (2 [2, 2] (2 of 3 repeats) times)"
    assert height(up) == "higher (2 [2, 2] times)"
    words = {1: "rises at", -1: "falls at", 0: "stays at"}
    assert compared({1: up, 2: none, 3: 1 / up, 4: up}, words) == "rises at 1, 4; falls at 3; stays at 2"
    assert compared({}, words) == ""


def test_windows_and_what_is_not_drawn_in_words():
    assert span([0.4, 0.6]) == "0.4 to 0.6"
    assert not_drawn(pd.Series([1.0, 0.0, -1.0, np.nan])) == {
        "values that are not above 0 and not drawn": "3"
    }
    assert not_drawn(pd.Series([1.0])) == {}


def test_every_finder_has_a_colour_of_its_own():
    assert list(FINDER_COLOURS) == list(FINDERS)
    assert len(set(FINDER_COLOURS.values())) == len(FINDERS)
