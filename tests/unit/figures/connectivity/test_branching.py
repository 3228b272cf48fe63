"""Barriers between children, from synthetic tables in which they vanish at known steps."""

import numpy as np
import pandas as pd
import pytest
from figure_check import LIMITS, check, drawn, laid_out, told
from sgd_tables import LOSS, TRACE, children_tables, two_repeats

from valleyscope.figures.connectivity import branching

LARGEST = "barriers over the largest barrier of any branch"


def test_the_findings_are_told_and_the_bytes_are_the_same(tmp_path):
    findings = [
        "that of Tr H between children vanishes after that of the loss: lag 0.611 [0.611, 0.611] of the last "
        "branch step; over the line's ends -0.0894 [-0.134, -0.0451]. It exceeds 0.05 at 11 of 11 "
        "tolerances (over the ends: 0)",
        "Straight from checkpoint to end the loss rises for 0 of 5 steps",
        "over 3 parent runs",
    ]
    numbers = [
        f"the loss barrier vanishes first by more, {LARGEST}: 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, "
        "0.8, 0.9\n",
        f"the barrier of Tr H vanishes first by more, {LARGEST}: none",
        f"it is undecided, {LARGEST}: none",
        "the lag is only bounded in some parent, barriers over the ends of the line: 0.02, 0.05\n",
        "the loss barrier stays below 0.1 of the largest: step 63.9 [63.9, 63.9]",
        "the Tr H barrier stays below 0.1 of the largest: step 247 [247, 247]",
        "loss barrier left, branched at step 300, over the largest: 0.00333 [0.00333, 0.00333]",
        "Tr H barrier left, branched at step 300, over the largest: 0.0333 [0.0333, 0.0333]",
        "Tr H barriers within 2 standard errors of 0: 3 of 15",
        "is shown to rise above its higher end: no step",
        "rises in no parent: step 0, 25, 75, 150, 300",
        "between children of step 0: 151 [117, 193]",
        "highest loss over the chord, from step 0 to the end: ",
        "highest loss over the chord, from step 300 to the end: ",
        "(21 positions for the loss)",
    ]
    check(branching, children_tables(), findings, tmp_path, numbers)


def test_two_repeats_are_enough():
    assert "over 2 parent runs" in laid_out(branching, two_repeats(children_tables())).caption


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ({"tolerances": [0.1, 0.3, 0.5]}, "at 3 of 3 tolerances"),
        ({"vanished": 0.2}, "the loss barrier stays below 0.2 of the largest: step 47.2"),
        ({"lag": 0.62}, "It exceeds 0.62 at "),
        ({"resolved": 12}, "Tr H barriers within 12 standard errors of 0: 6 of 15"),
    ],
)
def test_each_limit_is_told_and_changes_what_is_seen(limit, words):
    before, after = (told(drawn(branching, children_tables(), **given)) for given in ({}, limit))
    assert words in after
    assert words not in before


def test_ticks_follow_the_tolerances():
    ticks = [
        [
            text.get_text()
            for text in drawn(branching, children_tables(), **given).figure.axes[1].get_xticklabels()
        ]
        for given in ({}, {"tolerances": [0.1, 0.3, 0.7]})
    ]
    assert ticks == [["0.02", "0.05", "0.1", "0.2", "0.5", "0.9"], ["0.1", "0.7"]]


def test_a_line_that_rises_is_said_to():
    words = told(drawn(branching, children_tables(rise=2.0)))
    assert "Straight from checkpoint to end the loss rises for 5 of 5 steps" in words
    assert "is shown to rise above its higher end: step 0, 25, 75, 150, 300" in words
    assert "rises in no parent: no step" in words


def test_curvature_that_vanishes_first_is_not_called_last():
    scaled = 3.0 / 900.0
    caption = drawn(
        branching, children_tables([t * scaled for t in TRACE], [v / scaled for v in LOSS])
    ).caption
    assert "that of Tr H between children vanishes before that of the loss: lag -0.611" in caption
    assert "It exceeds 0.05 at 0 of 11 tolerances" in caption


def test_barriers_that_vanish_together_have_no_order():
    words = told(drawn(branching, children_tables(trace=[value * 300 for value in LOSS])))
    assert "between children is not shown to vanish before or after that of the loss: lag 0 [0, 0]" in words
    assert f"the loss barrier vanishes first by more, {LARGEST}: none" in words
    assert f"the barrier of Tr H vanishes first by more, {LARGEST}: none" in words


def test_parents_that_disagree_show_no_order():
    children, curvature = children_tables()
    early, late = ((children if name == "loss" else curvature).copy() for name in ("loss", "curvature"))
    swapped, plain = children_tables([t / 300 for t in TRACE], [v * 300 for v in LOSS])
    children = pd.concat([early[early["parent"] != 10], swapped[swapped["parent"] == 10]])
    curvature = pd.concat([late[late["parent"] != 10], plain[plain["parent"] == 10]])
    words = told(laid_out(branching, [children, curvature]))
    assert f"the loss barrier vanishes first by more, {LARGEST}: none" in words
    assert f"the barrier of Tr H vanishes first by more, {LARGEST}: none" in words


def test_the_times_are_drawn_only_where_every_parent_has_one():
    children, curvature = children_tables()
    stays = (curvature["parent"] == 10) & (curvature["position"] == 0.5) & (curvature["branch"] == 300)
    curvature.loc[stays, "trace"] = 900.0
    picture = drawn(branching, [children, curvature])
    assert "Tr H barrier stays below 0.1 of the largest: no step in 1 of 3 parents" in told(picture)
    drawn_at = [line.get_xdata() for line in picture.figure.axes[1].lines]
    assert min(map(min, drawn_at)) == pytest.approx(0.02, rel=0.05)
    tolerances = {
        round(x / 1.02, 6) for line in drawn_at for x in line if round(x / 1.02, 6) in LIMITS["tolerances"]
    }
    assert min(tolerances) == 0.4  # (900 − 600) / 810 of the largest


def test_cut_intervals_are_said_to_be():
    """The longest caption: neither barrier vanishes in some parent, the loss first elsewhere."""
    children, curvature = children_tables()
    for table, column, base in ((children, "train_loss", 0.02), (curvature, "trace", 600)):
        last = (table["parent"] == 10) & (table["branch"] == 300) & (table["position"] == 0.5)
        last &= table["line"] == "children" if "line" in table else True
        table.loc[last, column] = base * (1 + 0.3 * (3.0 / 0.02 if base < 1 else 1.0))
    huge = np.where((children["line"] == "checkpoint") & (children["parent"] == 12), 1e6, 1.0)
    picture = laid_out(branching, [children.assign(train_loss=children["train_loss"] * huge), curvature])
    assert "Intervals are cut" in picture.caption
    for name in ("loss", "Tr H"):
        assert f"the {name} barrier stays below 0.1 of the largest: no step in 1 of 3 parents" in told(
            picture
        )
