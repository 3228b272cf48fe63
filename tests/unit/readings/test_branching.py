"""Barriers between children and when they vanish, from synthetic tables of known heights."""

import numpy as np
import pandas as pd
import pytest
from figure_check import grid
from sgd_tables import BRANCHES, children_tables

from valleyscope.readings.branching import bulges, lags, line_barriers, rises, vanishing_times


def test_barriers_are_highest_values_minus_the_mean_of_the_ends():
    children = grid(parent=[1], line=["children", "checkpoint"], branch=[0, 50], position=[0.0, 0.5, 1.0])
    children["train_loss"] = [1.0, 4.0, 2.0, 1.0, 1.5, 2.0] + [9.0] * 6
    curvature = grid(parent=[1], branch=[0, 50], position=[0.0, 0.5, 1.0])
    curvature["trace"], curvature["trace_se"] = [100.0, 300.0, 200.0, 100.0, 200.0, 100.0], 4.0
    table = line_barriers(children.sample(frac=1, random_state=0), curvature).set_index("branch")
    assert table["loss_barrier"].to_list() == [2.5, 0.5]  # an end higher than the rest of the line counts
    assert table["curvature_barrier"].to_list() == [150.0, 100.0]
    assert table["loss_relative"].to_list() == pytest.approx([1, 0.2])
    assert table["curvature_relative"].to_list() == pytest.approx([1, 2 / 3])
    assert table["loss_over_ends"].to_list() == pytest.approx([2.5 / 1.5, 0.5 / 1.5])
    assert table["curvature_over_ends"].to_list() == pytest.approx([1, 1])
    assert table["curvature_se"].to_list() == pytest.approx([4 * 1.5**0.5] * 2)


def test_the_largest_barrier_of_each_parent_is_its_own_reference():
    """Tr H has its largest barrier not at the first branch, between whose children the loss is too high."""
    children, curvature = children_tables(trace=[10.0, 800.0, 500.0, 200.0, 30.0])
    table = line_barriers(children, curvature)
    by_parent = table.loc[table.groupby("parent")["curvature_barrier"].idxmax()]
    assert by_parent["branch"].to_list() == [25, 25, 25]
    assert by_parent["curvature_relative"].to_list() == [1, 1, 1]
    assert table.groupby("parent")["loss_relative"].max().to_list() == [1, 1, 1]
    assert table["curvature_relative"].max() == 1


def test_a_barrier_has_vanished_when_it_stays_below():
    barriers = pd.DataFrame({"parent": 1, "branch": [200, 0, 50, 100]})
    barriers["loss_relative"] = [0.05, 1.0, 0.05, 0.4]  # below at 50, above again at 100
    barriers["curvature_relative"] = [0.5, 1.0, 0.8, 0.6]
    times = vanishing_times(barriers, [0.1, 0.5, 0.7]).set_index("tolerance")
    expected = [100 + 100 * 0.3 / 0.35, 50 * 0.5 / 0.95, 50 * 0.3 / 0.95]  # straight between branches
    assert times["loss_time"].to_list() == pytest.approx(expected)
    assert times["curvature_time"].isna().to_list() == [True, True, False]  # 0.5 is not below 0.5
    assert times.loc[0.7, "curvature_time"] == pytest.approx(75)


def test_the_other_measure_has_times_of_its_own():
    barriers = line_barriers(*children_tables())
    relative, ends = (
        vanishing_times(barriers, [0.9], measure)["loss_time"] for measure in ("relative", "over_ends")
    )
    assert (ends > relative).all()  # barriers over ends of 0.02 are 50 times as high


def test_a_line_that_falls_all_the_way_does_not_rise():
    falls = rises(children_tables()[0]).query("line == 'checkpoint'")
    assert falls["ratio"].to_numpy() == pytest.approx(1)
    humped = rises(children_tables(rise=2.0)[0]).query("line == 'checkpoint'")
    assert (humped["ratio"] > 1).all()
    assert len(humped) == 3 * len(BRANCHES)


def test_a_bulge_is_told_from_a_chord():
    children = grid(parent=[1], line=["checkpoint"], branch=[0, 50], position=[0.0, 0.5, 1.0])
    children["train_loss"] = [4.0, 3.0, 1.0, 4.0, 2.0, 1.0]  # 0.5 above the chord; convex
    found = bulges(children.sample(frac=1, random_state=0)).set_index("branch")["ratio"]
    assert found.to_list() == pytest.approx([3 / 2.5, 1])


@pytest.mark.parametrize(
    ("loss", "curvature", "expected"),
    [
        ([1.0, 0.0, 0.0], [1.0, 1.0, 0.0], 0.5),  # from step 45 and step 95 of 100
        ([1.0, 1.0, 0.0], [1.0, 0.0, 0.0], -0.5),
        ([1.0, 0.0, 0.0], [1.0, 1.0, 1.0], 0.55),  # not vanished by the last branch: a bound that tells
        ([1.0, 1.0, 0.0], [1.0, 1.0, 1.0], np.nan),  # 0.05 at least: no more than asked for, tells nothing
        ([1.0, 1.0, 1.0], [1.0, 0.0, 0.0], -0.55),  # inward is told at once
    ],
)
def test_a_lag_is_in_shares_of_the_last_branch_step(loss, curvature, expected):
    barriers = pd.DataFrame({"parent": 1, "branch": [0, 50, 100], "loss_relative": loss})
    barriers["curvature_relative"] = curvature
    (lag,) = lags(barriers, 0.1, "relative", 0.051)
    assert lag == pytest.approx(expected, nan_ok=True)
