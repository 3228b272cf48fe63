"""Projected SGD from synthetic tables with a known direction, and with none."""

import numpy as np
import pytest
from figure_check import check, drawn, laid_out, told
from sgd_tables import PAIRS, SPEED, sgd_tables, two_repeats

from valleyscope.figures.connectivity import projected_sgd

RUNS = ["momentum", "descent", "noise"]


def test_the_findings_are_told_and_the_bytes_are_the_same(tmp_path):
    findings = [
        "By t_eff = 30 replicas",
        "with the 36 of 36 that left it (filled) the mean moves outward, to the nearer end (0.15 [0.143, "
        "0.157])",
        "Starts in 0.2 to 0.8",
        "SGD minus full-batch descent: 0.0135 [0.0128, 0.0142] by t_eff = 3.",
        "36 replicas end outward and uphill",
        "over 3 independent pairs of minima",
    ]
    shared = (
        "outward displacement by t_eff = 3 from the starts that all runs share (0.2, 0.3, 0.4, 0.6, 0.7, 0.8)"
    )
    numbers = [
        f"{shared}, SGD with momentum: 0.015 [0.0143, 0.0157]",
        f"{shared}, full batch (control): 0.0015 [0.00143, 0.00157]",
        f"{shared}, noise, no force (null): 0 [0, 0]",
        "t_eff = 3, SGD minus full batch: 0.0135",
        "starts from which SGD goes outward beyond descent (the interval excludes 0): 0.05, 0.1, 0.2, 0.3, "
        "0.4, 0.6, 0.7, 0.8, 0.9, 0.95\n",
        "SGD goes inward beyond descent (the interval excludes 0): none",
        "replicas of SGD that have moved outward by t_eff = 30: 36 of 36 with starts in 0.2 to 0.8",
        "off the valley floor (minibatch loss above 3 times the path's, mean over the last 0.1 of the run): "
        "36 of 36",
        "share of replicas of SGD that end outward and uphill: 1 [1, 1]",
        "noise without a force that are outward and uphill by t_eff = 12: 0 [0, 0]",
        "nats per token: higher at the end than at the start (0.003 [0.00285, 0.00315])",
        "replicas of SGD a start: 2",
    ]
    check(projected_sgd, sgd_tables(), findings, tmp_path, numbers)


def test_two_repeats_are_enough():
    assert "over 2 independent pairs" in laid_out(projected_sgd, two_repeats(sgd_tables())).caption


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ({"inside": [0.25, 0.75]}, "Starts in 0.25 to 0.75"),
        ({"off_floor": 6.0}, "minibatch loss above 6 times the path's"),
        ({"late": 0.5}, "mean over the last 0.5 of the run): 0 of 36"),
    ],
)
def test_each_limit_is_told_and_changes_what_is_seen(limit, words):
    table, losses = sgd_tables(RUNS)
    early = (table["step"] > 0.5 * table["step"].max()) & (table["step"] <= 0.9 * table["step"].max())
    table.loc[early, "loss"] = 0.02 if "late" in limit else 0.1  # else 0.1, four times the path's
    before, after = (drawn(projected_sgd, [table, losses], **given) for given in ({}, limit))
    assert words in told(after)
    assert words not in told(before)
    counted = [picture.caption.split("with the ")[1].split("that left")[0] for picture in (before, after)]
    assert counted[0] != counted[1]


def test_scatter_around_zero_is_no_displacement():
    """Pairs that move by +d, -d and 0 have mean 0; the mean of |d| would not."""
    table, losses = sgd_tables(RUNS, dict.fromkeys(SPEED, 0.0))
    sign = table["pair"].map(dict(zip(PAIRS, [1.0, -1.0, 0.0], strict=True)))
    moved = 1e-4 * sign * table["step"] * np.sign(table["start"] - 0.5) * (table["run"] == "momentum")
    table["position"] = (table["start"] + moved).clip(0, 1)
    words = told(drawn(projected_sgd, [table, losses]))
    assert "the mean moves in no direction that is shown" in words
    assert "goes outward beyond descent (the interval excludes 0): none" in words
    assert "goes inward beyond descent (the interval excludes 0): none" in words
    assert "not shown to differ between start and end" in words


def test_motion_inward_is_not_called_outward():
    words = told(drawn(projected_sgd, sgd_tables(RUNS, SPEED | {"momentum": -1e-4})))
    assert "the mean moves inward, away from the nearer end (-" in words
    assert "that have moved outward by t_eff = 30: 0 of 36" in words
    assert "of the run): 36 of 36" in words
    assert "lower at the end than at the start (-0.00" in words
    assert "goes outward beyond descent (the interval excludes 0): none" in words
    assert "goes inward beyond descent (the interval excludes 0): 0.05, 0.1" in words


def test_descent_that_moves_as_far_leaves_nothing_beyond_it():
    words = told(drawn(projected_sgd, sgd_tables(RUNS, SPEED | {"descent": SPEED["momentum"]})))
    assert "SGD minus full-batch descent: 0 [0, 0]" in words
    assert "goes outward beyond descent (the interval excludes 0): none" in words
    assert "goes inward beyond descent (the interval excludes 0): none" in words


def test_replicas_off_the_floor_are_filled_and_left_out_of_those_on_it():
    table, losses = sgd_tables(RUNS)
    gone = table["replica"] % 2 == 0
    table.loc[gone, "position"] = (table["position"] + table["start"]) / 2  # half as far
    picture = drawn(projected_sgd, [table.assign(loss=np.where(gone, 5.0, 0.02)), losses])
    assert (
        "that are on the valley floor move outward, to the nearer end (0.15 [0.143, 0.157] of"
        in picture.caption
    )
    assert "with the 18 of 36 that left it (filled)" in picture.caption
    lines = [line for line in picture.figure.axes[3].lines if line.get_marker() in "osD"]
    filled = [line.get_markerfacecolor() != "none" for line in lines]
    assert [len(line.get_xdata()) for line in lines] == 6 * [6]
    assert filled == 3 * [False, True]
