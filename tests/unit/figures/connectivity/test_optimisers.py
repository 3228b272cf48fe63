"""Speeds of optimisers from synthetic tables with known ratios."""

import numpy as np
import pytest
from figure_check import LIMITS, check, drawn, laid_out, told
from sgd_tables import FEW, PAIRS, SPEED, speed_tables, two_repeats

from valleyscope.errors import InputError
from valleyscope.figures.catalogue import FIGURES
from valleyscope.figures.connectivity import optimisers

FAIR = "speed of momentum over plain SGD at η/(1−β), by step"


def test_the_findings_are_told_and_the_bytes_are_the_same(tmp_path):
    findings = [
        "momentum is faster than plain SGD at η/(1−β) (2 [2, 2] times)",
        "Adam is faster than plain SGD with Adam's RMS step (3 [3, 3] times)",
        "speeds up to 0.1 of the path",
        "over 3 independent pairs",
    ]
    off = "(minibatch loss above 3 times the path's, mean over the last 0.1 of the run)"
    numbers = [
        "speed of momentum over plain SGD at the same rate, by step 900: faster than it (5 [5, 5] times)",
        "speed of Nesterov over momentum, by step 900: not shown to differ from it (1 [1, 1] times)",
        "speed of momentum with decay over momentum, by step 825: faster than it (1.2 [1.2, 1.2] times)",
        "speed of Adam over plain SGD with Adam's RMS step, by step 330: faster than it (3 [3, 3] times)",
        "Adam's partner over Adam's, in the first period: 1.5 [1.5, 1.5]",
        "Adam's partner over Adam's, over the run: 1.5 [1.5, 1.5]",
        "(all runs: 0.2, 0.8; not 0.5)",
        f"off the valley floor {off}, plain SGD at the same rate: 0 of 24",
        f"off the valley floor {off}, momentum: 0 of 36",
        f"off the valley floor {off}, plain SGD at η/(1−β): 0 of 24",
    ]
    check(optimisers, speed_tables(), findings, tmp_path, numbers)


def test_two_repeats_are_enough():
    assert "over 2 independent pairs" in laid_out(optimisers, two_repeats(speed_tables())).caption


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ({"inside": [0.2, 0.4]}, "from the starts in 0.2 to 0.4"),
        ({"inside": [0.1, 0.9]}, "mean over the last 0.1 of the run), momentum: 0 of 48"),
        ({"off_floor": 1.05}, "minibatch loss above 1.05 times the path's"),
        ({"kept": 0.9}, "less than 0.9 of its replicas were on the valley floor"),
        ({"late": 0.5}, "mean over the last 0.5 of the run"),
        ({"reach": 0.02}, "speeds up to 0.02 of the path"),
    ],
)
def test_each_limit_is_told_and_changes_what_is_seen(limit, words):
    table, losses = speed_tables(["momentum", "slow"], SPEED)
    # Momentum is slower from starts near the middle and gets faster; `slow` is off the floor for a while.
    depth = 0.5 - (table["start"] - 0.5).abs()
    factor = (1 - depth) * (1 + table["step"] / 3000)
    moved = (table["position"] - table["start"]) * factor.where(table["run"] == "momentum", 1)
    early = (table["run"] == "slow") & table["step"].between(450, 810)
    if "kept" in limit:  # half of its replicas, all the time
        early = (table["run"] == "slow") & (table["start"] == 0.2)
    table = table.assign(position=table["start"] + moved, loss=np.where(early, 0.5, 0.026))
    before, after = (drawn(optimisers, [table, losses], **given) for given in ({}, limit))
    assert words in told(after)
    assert words not in told(before)
    values = [
        [value for name, value in picture.numbers.items() if name.startswith(("speed of", "replicas"))]
        for picture in (before, after)
    ]
    assert values[0] != values[1]


def test_a_run_that_does_not_move_outward_has_no_ratio():
    table, losses = speed_tables(["momentum", "slow", "sgd"])
    still = (table["run"] == "slow") & (table["pair"] == "2-3")
    table.loc[still, "position"] = table.loc[still, "start"]
    picture = laid_out(optimisers, [table, losses])
    undetermined = "not determined (no drift on the valley floor in 1 of 3 pairs)"
    assert f"momentum against plain SGD at η/(1−β) is {undetermined}" in picture.caption
    assert picture.numbers[f"{FAIR} 900"] == undetermined
    assert "none in a pair where one of them did not move outward" in picture.numbers["speed"]
    assert "over plain SGD at the same rate, by step 900: faster than it" in told(picture)
    assert "Adam" not in told(picture)


def test_without_a_fair_partner_the_other_ratios_are_told():
    caption = drawn(optimisers, speed_tables(["momentum", "sgd"])).caption
    assert "momentum is faster than plain SGD at the same rate (5 [5, 5] times)" in caption


def test_pairs_that_disagree_show_no_difference_of_speed():
    table, losses = speed_tables(["momentum", "slow"], SPEED | {"slow": 1e-4})
    factor = table["pair"].map(dict(zip(PAIRS, [0.5, 1.0, 2.0], strict=True))) * (table["run"] == "slow")
    moved = (table["position"] - table["start"]) * factor.where(factor > 0, 1)
    caption = drawn(optimisers, [table.assign(position=table["start"] + moved), losses]).caption
    assert "momentum is not shown to differ from plain SGD at η/(1−β)" in caption


def test_only_starts_that_both_runs_have_are_compared():
    """Speeds grow towards the ends: from other starts a run would look faster."""
    table, losses = speed_tables(["momentum", "slow"], SPEED | {"slow": 1e-4})
    depth = 0.5 - (table["start"] - 0.5).abs()
    moved = (table["position"] - table["start"]) * (1 - depth)
    caption = drawn(optimisers, [table.assign(position=table["start"] + moved), losses]).caption
    assert "(1 [1, 1] times)" in caption
    limits = {name: LIMITS[name] for name in FIGURES["optimisers"].limits}
    with pytest.raises(InputError, match="share no start"):
        optimisers.draw(table[(table["run"] == "slow") | ~table["start"].isin(FEW)], losses, **limits)


def test_a_run_that_left_the_valley_floor_has_no_speed():
    table, losses = speed_tables(["momentum", "slow", "sgd"])
    gone = (table["run"] == "slow") & (table["pair"] == "2-3")
    table.loc[gone, "loss"] = 5.0
    picture = laid_out(optimisers, [table, losses])
    assert "is not determined (no drift on the valley floor in 1 of 3 pairs)" in picture.caption
    assert "less than 0.5 of its replicas were on the valley floor" in picture.numbers["speed"]


def test_a_ratio_over_many_decades_is_cut():
    """The longest caption: both fair partners have a ratio, cut."""
    table, losses = speed_tables(["momentum", "slow", "adam", "matched"])
    factor = table["pair"].map(dict(zip(PAIRS, [1e-3, 0.03, 1.0], strict=True)))
    factor = factor.where(table["run"].isin(["slow", "matched"]), 1)
    moved = (table["position"] - table["start"]) * factor
    caption = laid_out(optimisers, [table.assign(position=table["start"] + moved), losses]).caption
    assert "Intervals are cut" in caption
    assert caption.count("not shown to differ") == 2
