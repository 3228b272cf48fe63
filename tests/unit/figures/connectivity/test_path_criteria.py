"""Paper A's probe along Paper B's path: what the figure says must be what the tables hold."""

import pytest
from figure_check import check, drawn, laid_out, told
from path_tables import SCATTER, criteria_tables, few

from valleyscope.figures.connectivity import path_criteria


def test_the_finding_is_in_the_caption_and_the_bytes_are_the_same(tmp_path):
    findings = [
        "the curvature-aligned probe rises with it at σ = 0.0001, 0.001, 0.01; a² is not told apart from its "
        "ends (1 [1, 1]",
        "Where Tr H has its barrier (4 [4, 4] times the ends)",
        "D = 16, middle: 0.4 to 0.6",
        "over 3 independent pairs",
    ]
    numbers = [
        "Tr H in the middle: higher than at the ends (4 [4, 4] times)",
        "a² in the middle: not told apart from the ends (1 [1",
        "slope term in the middle: higher than at the ends (1.5 [1.5, 1.5] times)",
        "curvature term in the middle: higher than at",
        "Var δ in the middle, σ = 0.0001: higher than at the ends (1.5 [1.5, 1.5] times)",
        "Var δ in the middle, σ = 0.001: higher than at the ends (1.62 [1.62, 1.62] times)",
        "along the path, a²: 0 [0, 0], not told apart from 0",
        "Var δ over Δ₂^(D), mean over the path, σ = 0.001: ",
    ]
    check(path_criteria, criteria_tables(), findings, tmp_path, numbers)


def test_few_positions_and_two_pairs_are_enough():
    assert "over 2 independent pairs" in laid_out(path_criteria, few(criteria_tables())).caption


def test_the_window_of_the_middle_is_told_and_changes_what_is_seen():
    before, after = (
        drawn(path_criteria, criteria_tables(), middle=window) for window in ([0.4, 0.6], [0.2, 0.3])
    )
    assert "middle: 0.2 to 0.3" in after.caption
    name = "slope term in the middle"
    assert before.numbers[name] != after.numbers[name]


def test_pairs_that_scatter_around_no_rise_show_none():
    words = told(drawn(path_criteria, criteria_tables(bend=1, factors=SCATTER)))
    assert "the curvature-aligned probe is not told apart from its ends at σ = 0.0001, 0.001, 0.01;" in words
    assert "rises" not in words
    assert "σ = 0.001: higher" not in words


def test_without_a_barrier_the_probe_has_none_to_see():
    caption = drawn(path_criteria, criteria_tables(middle=1)).caption
    assert caption.startswith("Tr H shows no clear barrier")
    assert "rises with" not in caption


def test_a_falling_probe_does_not_see_the_barrier():
    criteria, curvature = criteria_tables()
    criteria["variance"] = (
        criteria["variance"].groupby(criteria["sigma"]).transform("max") ** 2 / (criteria["variance"])
    )
    caption = drawn(path_criteria, (criteria, curvature)).caption
    assert "probe falls at σ = 0.0001, 0.001, 0.01;" in caption


def test_only_the_widest_probe_and_each_sigma_count():
    """D = 1 is constant in the tables; σ = 0.01 alone sees curvature if the slope is flat."""
    criteria, curvature = criteria_tables()
    flat = criteria["sigma"] < 0.005
    criteria.loc[flat, ["slope", "variance"]] = 1e-8
    caption = drawn(path_criteria, (criteria, curvature)).caption
    assert "rises with it at σ = 0.01; is not told apart from its ends at σ = 0.0001, 0.001;" in caption


def test_the_share_of_the_spread_is_its_largest():
    criteria, curvature = criteria_tables()
    shares = {
        name: float(value.split()[0])
        for name, value in drawn(path_criteria, (criteria, curvature)).numbers.items()
        if name.startswith("Var δ over")
    }
    assert len(shares) == 3
    assert f"makes at most {max(shares.values()):g} of" in drawn(path_criteria, (criteria, curvature)).caption


@pytest.mark.parametrize("factors", [(1e4, 1e-4, 1.0)])
def test_cut_intervals_are_said_to_be(factors):
    assert "Intervals are cut" in laid_out(path_criteria, criteria_tables(factors=factors)).caption
