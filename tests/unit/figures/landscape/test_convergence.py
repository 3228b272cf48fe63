"""Monte Carlo against the closed form, with and without a², from tables with a known difference."""

import numpy as np
import pytest
from estimator_tables import estimators_table, with_gaps
from figure_check import check, drawn, laid_out, told

from valleyscope.figures.landscape import convergence

CELL = "k = 16, S = 64, D = 4, σ = 0.001"


def test_the_finding_is_in_the_caption_and_the_bytes_are_the_same(tmp_path):
    check(
        convergence,
        [estimators_table()],
        [
            "(S = 64, σ = 0.001) is off the closed form by 0.05 [0.05, 0.05] of it",
            "leaves out, of Var q, 0.03 [0.03, 0.03], and 0.3 [0.3, 0.3] at σ = 0.01",
            "trained weights, k = 16, D = 4",
        ],
        tmp_path,
        numbers=[
            f"over Var q (trained, {CELL}): 0.03 [0.03, 0.03] (not 0)",
            "over Var q (minimisers, k = 8, S = 64, D = 4, σ = 0.001): 0.03 [0.03, 0.03] (not 0)",
            "over Var q (trained, k = 16, S = 64, D = 4, σ = 0.01): 0.3 [0.3, 0.3] (not 0)",
        ],
    )


def test_two_seeds_and_two_points_with_a_missing_cell_and_a_gap_are_drawn():
    table = estimators_table(seeds=[0, 1], dims=(1, 4, 600), sigmas=(1e-3, 1e-1))
    picture = laid_out(convergence, [with_gaps(table, ["variance", "difference"])])
    assert "over 2 seeds" in picture.caption


def test_trained_weights_alone_are_drawn():
    assert "minimisers" not in told(drawn(convergence, [estimators_table().query("regime == 'trained'")]))


def test_one_seed_has_no_interval():
    picture = drawn(convergence, [estimators_table(seeds=[0])])
    assert "unknown (fewer than two seeds)" in told(picture)


def test_closed_form_less_a_squared_may_be_negative_and_zero():
    table = estimators_table()
    table.loc[table["seed"] == 0, "gaussian_moment"] = table["value"]
    table.loc[table["seed"] == 1, "gaussian_moment"] = 0.5 * table["value"]
    picture = drawn(convergence, [table])
    assert "is 0 or negative (middle): 4 of 6" in told(picture)
    assert f"over Var q (trained, {CELL}): 0.03 [0.03, 0.03] (not 0)" in told(picture)
    low, high = picture.figure.axes[1].get_ylim()
    assert low == pytest.approx(-0.036)
    assert high == pytest.approx(0.036)


def test_an_interval_around_zero_is_no_deviation():
    numbers = drawn(convergence, [estimators_table()]).numbers
    assert numbers[f"direct Monte Carlo over the closed form, less 1 (trained, {CELL})"] == (
        "0.05 [0.05, 0.05] (not 0)"
    )
    assert numbers[f"quadratic Monte Carlo over the closed form, less 1 (trained, {CELL})"].endswith(
        "(holds 0)"
    )


def test_what_a_squared_leaves_of_the_closed_form_is_told():
    table = estimators_table(seeds=[0, 1])
    table["gaussian_moment"] = 4 * table["value"]
    picture = drawn(convergence, [table])
    assert "all of it but 0.75 [0.75, 0.75] is the a²" in picture.caption
    name = f"share of the closed form that is not a² (trained, {CELL})"
    assert picture.numbers[name] == "0.75 [0.75, 0.75]"


def test_where_the_cell_has_the_largest_σ_it_is_told_once():
    caption = drawn(convergence, [estimators_table()], fig5={"dim": 10, "sigma": 1e-2}).caption
    assert caption.count("0.3 [0.3, 0.3]") == 1
    assert "and 0.3" not in caption


@pytest.mark.parametrize(
    ("fig5", "title", "told_as"),
    [
        ({"dim": 1, "sigma": 1e-3}, "0.001", "D = 1."),
        ({"dim": 10, "sigma": 9e-3}, "0.01", "σ = 0.01)"),
    ],
)
def test_the_published_cell_is_handed_over_and_the_nearest_is_taken(fig5, title, told_as):
    picture = drawn(convergence, [estimators_table()], fig5=fig5)
    assert told_as in picture.caption
    assert picture.figure.axes[0].get_title(loc="left").endswith(f"= {title}")
    assert all(told_as.strip(".)") in name for name in picture.numbers if name.startswith("direct Monte"))


def test_draws_stand_side_by_side():
    picture = drawn(convergence, [estimators_table()])
    shifts = {round(float(line.get_xdata()[0]) / 8, 6) for line in picture.figure.axes[0].lines[:-1]}
    np.testing.assert_allclose(sorted(shifts), np.exp([-0.06, -0.02, 0.02, 0.06]), rtol=1e-5)
