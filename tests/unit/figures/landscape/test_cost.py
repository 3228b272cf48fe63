"""Cost by stage, end to end and to one accuracy, from calls of known length."""

import pytest
from estimator_tables import DEFAULT, SMOKE, cost_tables
from figure_check import check, drawn, laid_out, told

from valleyscope.figures.landscape import cost


def test_the_finding_is_in_the_caption_and_the_bytes_are_the_same(tmp_path):
    check(
        cost,
        cost_tables(**DEFAULT),
        [
            "1.07 times as long as the closed form (unbatched 1.46), against 20,000 (100,000) times after",
        ],
        tmp_path,
        numbers=[
            "one gradient of L_k, ms (95 % t-interval over calls): 10 [",
            "direct MC, unbatched over closed form, published, end to end: 1.02",
            "stages I + II, seconds, published over corrected: 10",
            "stage I, corrected, in gradients of L_k: 200",
            "bias of the closed form at σ = 0.001, % (± standard error): 0.1 ± 0.01",
        ],
        uncertainty="Medians of 3 timed calls (points)",
    )


def test_the_smoke_grids_are_enough():
    laid_out(cost, cost_tables(**SMOKE))


def test_a_closed_form_whose_bias_is_too_large_never_gets_there():
    timing, errors = cost_tables(**DEFAULT)
    errors["difference"] = -0.02 * errors["direct"]
    caption = drawn(cost, [timing, errors]).caption
    assert "never gets there at σ = 0.0001, 0.001, 0.01 (hollow)" in caption


def test_the_cost_of_stage_two_is_followed_over_k():
    timing, errors = cost_tables(**DEFAULT)
    grows = timing["stage"] == "II coefficients"
    timing.loc[grows, "seconds"] *= timing["k"] / 8
    assert drawn(cost, [timing, errors]).numbers["stage II, corrected, k = 128 over k = 8"] == "16.00"


@pytest.mark.parametrize(
    ("rmse", "seconds", "never"),
    [(0.01, "22", "0.01"), (0.1, "2.2", None), (0.0005, "8e+03", "0.001, 0.01")],
)
def test_the_accuracy_is_handed_over(rmse, seconds, never):
    """At the largest σ direct Monte Carlo's standard error is 0.1 in 0.2 of its 2.2 seconds (S = 64)."""
    picture = drawn(cost, cost_tables(**DEFAULT), rmse=rmse)
    assert f"To {100 * rmse:g} % at σ = 0.01 direct Monte Carlo needs {seconds} s" in picture.caption
    assert f"direct MC to {100 * rmse:g} % at σ = 0.01, stage I included, s: {seconds}" in told(picture)
    assert ("never" in picture.caption) == (never is not None)
    assert never is None or f"at σ = {never} (hollow)" in picture.caption
    assert picture.figure.axes[3].get_title(loc="left") == f"To {100 * rmse:g} % relative standard error"
