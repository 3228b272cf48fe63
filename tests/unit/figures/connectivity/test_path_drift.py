"""Measured and predicted drift, from synthetic tables whose slopes are known."""

import numpy as np
import pandas as pd
import pytest
from figure_check import check, drawn, laid_out, told
from sgd_tables import PAIRS, drift_tables, two_repeats

from valleyscope.figures.connectivity import path_drift


def off_at_large_rates():
    return drift_tables(lambda rate: 1 + 0.5 * (rate > 0.01) + 3 * (rate > 0.02))


def test_the_findings_are_told_and_the_bytes_are_the_same(tmp_path):
    findings = [
        "At η = 0.005 the entropic drift agrees with theory within 15 %: slope 1 [0.975, 1.02]",
        "Its size is 6.24 [5.79, 6.72] times full-batch descent's",
        "By η: agrees at 0.005, 0.01, departs at 0.02, 0.04, undecided at none",
        "plain SGD, 15 steps, batch 4",
        "over 3 independent pairs",
    ]
    numbers = [
        "χ² per degree of freedom, η = 0.005, C from the linear recursion: 1.1 [1.1, 1.1]",
        "slope, η = 0.005, first order in ηλ: 0.5 [0.488, 0.512]",
        "slope, η = 0.005, C seen in the simulation: 0.98 [0.956, 1]",
        "the estimate's noise taken out), η = 0.005: 6.24 [5.79, 6.72]",
        "the estimate's noise taken out), η = 0.04: 399 [371, 430]",
        "within 1 ± 0.15, C from the linear recursion: agrees at 0.005, 0.01, departs at 0.02, 0.04",
    ]
    check(path_drift, off_at_large_rates(), findings, tmp_path, numbers)


def test_two_repeats_are_enough():
    assert "over 2 independent pairs" in laid_out(path_drift, two_repeats(off_at_large_rates())).caption


def test_the_margin_of_the_slope_is_told_drawn_and_changes_the_verdict():
    before, after = (drawn(path_drift, off_at_large_rates(), slope=margin) for margin in (0.15, 0.01))
    assert "agrees with theory within 15 %" in before.caption
    assert "is not shown to agree with theory within 1 %, nor to depart" in after.caption
    assert (
        "departs from theory by more than 0.1 %"
        in drawn(path_drift, drift_tables(lambda _: 2), slope=1e-3).caption
    )
    assert "within 1 ± 0.01" in told(after)
    titles = [axes.get_title(loc="left") for axes in after.figure.axes]
    assert "Slope; shaded: 1 ± 0.01" in titles


def test_a_slope_agrees_only_with_its_whole_interval():
    assert path_drift.agreement(pd.Series([1.0, 1.02, 0.98]), 0.15) == "agrees"
    assert path_drift.agreement(pd.Series([1.0, 1.1, 0.9]), 0.15) == "undecided"
    assert path_drift.agreement(pd.Series([0.5, 0.52, 0.48]), 0.15) == "departs"
    assert path_drift.agreement(pd.Series([1.5, 1.52, 1.48]), 0.15) == "departs"
    assert path_drift.agreement(pd.Series([1.0]), 0.15) == "undecided"


def test_slopes_that_scatter_show_no_agreement():
    measured, predicted, slopes = drift_tables()
    slopes["slope"] *= slopes["pair"].map(dict(zip(PAIRS, [0.6, 1.0, 1.4], strict=True)))
    caption = drawn(path_drift, [measured, predicted, slopes]).caption
    assert "At η = 0.005 the entropic drift is not shown to agree with theory within 15 %" in caption
    assert "By η: agrees at none, departs at none, undecided at 0.005, 0.01, 0.02, 0.04" in caption


def test_noise_does_not_count_as_an_entropic_displacement():
    measured, _, _ = drift_tables()
    rng = np.random.default_rng(2)
    noise = measured["displacement_se"] * rng.normal(size=len(measured))
    with_noise = path_drift.sizes(measured.assign(entropic=measured["entropic"] + noise))
    assert with_noise["entropic"].to_numpy() == pytest.approx(
        path_drift.sizes(measured)["entropic"], rel=0.05
    )
    still = path_drift.sizes(measured.assign(entropic=0.5 * measured["displacement_se"]))
    assert still["entropic"].isna().all()


def test_the_measured_and_predicted_points_are_where_they_should_be():
    figure = drawn(path_drift, drift_tables(lambda rate: 1.5)).figure
    scatter = figure.axes[3]  # three pairs, then the smallest learning rate
    lines = [line for line in scatter.lines if len(line.get_xdata()) == 42]
    ratios = sorted(np.median(line.get_ydata() / line.get_xdata()) for line in lines)
    assert ratios == pytest.approx([1 / 1.5, 1 / 1.02])


def test_what_is_cut_or_not_drawn_is_said():
    """Also the longest caption: four rates, undecided, sizes cut."""
    measured, predicted, slopes = drift_tables()
    assert "cut" not in told(drawn(path_drift, [measured, predicted, slopes]))
    slopes["slope"] *= slopes["pair"].map(dict(zip(PAIRS, [-3, 1.0, 5.0], strict=True)))
    huge = measured["pair"].map(dict(zip(PAIRS, [1e-4, 1.0, 1e4], strict=True)))
    for column in ("entropic", "displacement_se"):
        measured[column] *= huge
    measured.loc[3, "followed"] *= 100
    picture = laid_out(path_drift, [measured, predicted, slopes])
    assert "Intervals are cut" in picture.caption
    assert picture.numbers["intervals of slopes are cut at"] == "-0.5 and 2.5"
    assert picture.numbers["predictions beyond 3 times the largest linear one, not drawn"] == "1"
