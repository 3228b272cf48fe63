"""How much of a rise is scale: what the figure says must be what the tables hold."""

import pytest
from figure_check import LIMITS, check, drawn, laid_out, told
from path_tables import GROUPS, PAIRS, POSITIONS, SCATTER, few, group_tables

from valleyscope.figures.connectivity import path_groups
from valleyscope.readings.paths import scaled


def test_the_finding_is_in_the_caption_and_the_bytes_are_the_same(tmp_path):
    findings = [
        # Tr H_g goes to 4 times and ‖W_g‖² to a quarter: nothing of the rise is left.
        "Part of the rise is scale: 1 [1, 1] of the log-rise of Tr H is gone when each group is scaled",
        "Tr H in the middle is higher than at the ends (4 [4, 4] times)",
        "middle: 0.4 to 0.6",
        "over 3 independent pairs",
    ]
    numbers = [
        "along the weights of a group (mean over the path): 0.016 [0.016, 0.016]",
        "‖W_g‖ in the middle, embedding: lower than at the ends (0.5 [0.5, 0.5] times)",
        "‖W_g‖ in the middle, query: lower than at the ends",
    ]
    check(path_groups, group_tables(), findings, tmp_path, numbers)


def test_few_positions_and_two_pairs_are_enough():
    assert "over 2 independent pairs" in laid_out(path_groups, few(group_tables())).caption


def test_the_window_of_the_middle_is_told_and_changes_what_is_seen():
    before, after = (drawn(path_groups, group_tables(), middle=window) for window in ([0.4, 0.6], [0.0, 0.2]))
    assert "middle: 0 to 0.2" in after.caption
    assert "higher than at the ends (4 [4, 4] times)" in before.caption
    assert "higher than at the ends (4 [4, 4] times)" not in after.caption


def test_the_standard_errors_of_a_clear_value_are_told_and_change_what_is_seen():
    before, after = (told(drawn(path_groups, group_tables(), resolved=errors)) for errors in (2, 11))
    assert "Tr H_g not above 2 standard errors" in before
    assert f"sums and ratios do not): 0 of {len(GROUPS) * 45}" in before
    assert "Tr H_g not above 11 standard errors" in after  # each is 10
    assert f"sums and ratios do not): {len(GROUPS) * 45} of {len(GROUPS) * 45}" in after
    assert "no ratio: Tr H_g is not above 11 standard errors" in after


def test_pairs_that_scatter_around_no_rise_show_none():
    words = told(drawn(path_groups, group_tables(middle=1, shrink=1, factors=SCATTER)))
    assert "There is no clear rise of Tr H in every pair" in words
    assert "Part of the rise" not in words
    assert "higher" not in words


def test_the_share_of_scale_lies_between_none_and_all_of_the_rise():
    caption = drawn(path_groups, group_tables(middle=16, shrink=0.5)).caption
    assert "Part of the rise is scale: 0.5 [0.5, 0.5] of the log-rise" in caption
    caption = drawn(path_groups, group_tables(middle=4, shrink=2)).caption
    grows = "The rise is no matter of scale: scaled to norm 1 the log-rise of Tr H grows by 1 [1, 1]"
    assert grows in caption
    caption = drawn(path_groups, group_tables(middle=4, shrink=1)).caption
    assert "is not told apart from 0 (0 [" in caption


def test_a_share_of_scale_that_scatters_around_0_is_none():
    groups, curvature = group_tables(middle=4, shrink=1)
    inner = groups["position"].between(0.3, 0.7)
    groups.loc[inner, "norm"] *= groups.loc[inner, "pair"].map(
        dict(zip(PAIRS, [1.5, 1 / 1.5, 1], strict=True))
    )
    caption = drawn(path_groups, (groups, curvature)).caption
    assert "gone when each group is scaled to norm 1 is not told apart from 0" in caption
    assert "Part of" not in caption


def test_a_group_that_its_error_hides_has_no_ratio_and_leaves_its_curve():
    groups, curvature = group_tables()
    hidden = (groups["group"] == "head") & (groups["pair"] == "2-3")
    groups.loc[hidden & groups["position"].between(0.4, 0.6), "trace"] *= -1
    once = (groups["group"] == "up") & (groups["pair"] == "0-1") & (groups["position"] == POSITIONS[3])
    groups.loc[once, "trace_se"] = groups.loc[once, "trace"]
    picture = laid_out(path_groups, (groups, curvature))
    words = told(picture)
    assert "not above 2 standard errors" in words
    assert "sums and ratios do not): 4 of 360" in words
    scaled_of = "‖W_g‖² Tr H_g in the middle"
    assert f"{scaled_of}, head: no ratio: Tr H_g is not above 2 standard errors in the middle" in words
    for name in ("embedding", "query", "key", "value", "output", "up", "down"):
        assert f"{scaled_of}, {name}: not told apart from the ends (1 [1, 1] times)" in words
    head = scaled(groups[groups["group"] == "head"])
    ratios = path_groups.group_ratios(head, LIMITS["middle"], LIMITS["resolved"])
    assert ratios["trace"].isna().to_list() == [False, True, False]
    _, raw, _, points = picture.figure.axes
    lengths = sorted(len(line.get_xdata()) for line in raw.lines)
    assert lengths == [12, 14, *[15] * 7]  # head, up, six groups and Tr H
    assert len(points.containers) == 2 * len(GROUPS)  # not head, but the sum


def test_the_longest_caption_has_its_words():
    """Cut intervals beside a rise that scale has an undecided share in."""
    groups, curvature = group_tables(middle=400, shrink=1)
    inner = groups["position"].between(0.001, 0.999)
    for table, column in ((groups, "norm"), (curvature, "trace")):
        at = table["position"].between(0.001, 0.999)
        table.loc[at, column] *= table.loc[at, "pair"].map(dict(zip(PAIRS, [5.0, 0.2, 1.0], strict=True)))
    groups.loc[inner, "trace"] *= groups.loc[inner, "pair"].map(
        dict(zip(PAIRS, [9.0, 1 / 9, 1], strict=True))
    )
    caption = drawn(path_groups, (groups, curvature)).caption
    assert "Intervals are cut" in caption
    assert "not told apart from 0" in caption


@pytest.mark.parametrize("column", ["norm", "radial"])
def test_another_table_makes_other_numbers(column):
    groups, curvature = group_tables()
    inner = groups["position"].between(0.3, 0.7)
    before = told(drawn(path_groups, (groups, curvature)))
    groups.loc[inner, column] *= 1.5
    assert told(drawn(path_groups, (groups, curvature))) != before
