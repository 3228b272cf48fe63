"""The ratio of subspace to full space: how near 1 it is up to σ*, and what makes it so."""

import numpy as np
import pytest
from figure_check import changes_with, check, drawn, laid_out, told
from landscape_tables import SIGMAS, SMOKE, N, terms_table, validity_table, with_holes

from valleyscope.figures import panels
from valleyscope.figures.landscape import ratio

TERMS = ["value", "slope", "curvature", "cross"]


def tables(full_scale=1.0, changes=None, **options):
    """Δ₂ of very different size in each seed, times `full_scale` in full space."""
    terms = terms_table(**options).assign(**changes or {})
    size = 10.0 ** (2 * terms["seed"]) * np.where(terms["criterion"] == "delta2", full_scale, 1.0)
    terms[TERMS] = terms[TERMS].mul(size, axis=0)
    return [terms, validity_table(options.get("seeds", 5))]


SMALL = {"slope": 1e-12, "curvature": 0.0, "cross": 0.0}  # beside a²: both probes hold the same


def test_the_finding_is_in_the_caption_and_the_bytes_are_the_same(tmp_path):
    findings = [
        "Where the quadratic model holds, Δ₂^(D)/Δ₂ is within 1 % of 1 on the trajectory up to σ = 0.001",
        "up to σ = 0.001, as is a²/Δ₂ alone: D = 4 holds 0.044 [",
        "5 seeds of weights and data order; N = 1,000.",
    ]
    numbers = [
        "spread ratio of D = 4, on the trajectory, σ = 0.001: 0.044 [",
        "σ* of the increment, float64, trajectory: 0.002 [0.002, 0.002]",
        "above 0: 0",
    ]
    check(ratio, [terms_table(), validity_table()], findings, tmp_path, numbers)


@pytest.mark.parametrize("holes", [False, True])
def test_two_seeds_two_k_and_missing_cells_do_not_break_it(holes):
    made = tables(**SMOKE)
    assert "2 seeds" in laid_out(ratio, with_holes(made) if holes else made).caption


def test_a_seed_without_sigma_star_is_not_averaged_away():
    """The others have a σ* far above the grid; their mean alone would call every σ valid."""
    terms, validity = tables()
    validity = validity.assign(sigma_star=1.0)
    assert "seeds without σ*: none" in told(drawn(ratio, [terms, validity]))
    lost = (validity["regime"] == "trained") & (validity["dim"] == N) & (validity["seed"] == 3)
    picture = drawn(ratio, [terms, validity.assign(sigma_star=validity["sigma_star"].mask(lost))])
    assert "every σ exceeds the limit: trajectory 1 of 5; there" in told(picture)
    assert picture.figure.axes[0].get_title(loc="left").endswith(r"$>\ \sigma^*$")
    assert "on the trajectory at no judged σ, as the grid has none up to σ*" in picture.caption


def test_the_ratio_is_taken_within_a_seed():
    """With ratios of 1/2 in each seed every mean is 1/2; a ratio of means over seeds would mix sizes."""
    zero = dict.fromkeys(["slope", "curvature", "cross"], 0.0)
    terms, validity = tables(full_scale=2.0, changes=zero)
    picture = drawn(ratio, [terms.sample(frac=1, random_state=0), validity])
    assert "over k and D, on the trajectory, σ = 0.0001: 0.5 [0.5, 0.5]" in told(picture)
    assert "within 1 % of 1 on the trajectory at no σ:" in picture.caption
    lines = [line for line in picture.figure.axes[0].lines if line.get_linestyle() == "-"]
    assert all(line.get_ydata() == pytest.approx(0.5) for line in lines)


def test_a_ratio_whose_interval_holds_the_limit_is_not_called_far():
    terms, validity = tables(changes=SMALL)
    far = (terms["criterion"] == "delta2_D") & (terms["seed"] == 0)
    terms.loc[far, "value"] *= 1.2
    assert "on the trajectory at no σ for certain: D = 4" in drawn(ratio, [terms, validity]).caption


def test_why_the_ratio_is_near_one():
    told_as = drawn(ratio, tables(changes=SMALL)).caption
    assert "on the trajectory up to σ = 0.001, as is a²/Δ₂ alone: D = 4 holds 0.044 [" in told_as
    # a² is a quarter of Δ₂ and the subspace holds all the rest.
    slope = SMALL | {"slope": 3 * terms_table()["value"]}
    words = drawn(ratio, tables(changes=slope | {"spread_ratio": 1.0})).caption
    assert "up to σ = 0.001, because D = 4 holds 1 [1, 1] of the spread, over 0.5" in words
    words = drawn(ratio, tables(changes=slope | {"spread_ratio": 0.5})).caption
    assert "up to σ = 0.001, by a² and subspace: D = 4 holds 0.5 [0.5, 0.5] of the spread" in words


def test_cells_whose_estimate_is_not_positive_are_counted_and_leave_their_seed_unread():
    terms, validity = tables(changes=SMALL)
    lost = (terms["criterion"] == "delta2") & (terms["next"] == "single")
    lost &= (terms["k"] == 8) & (terms["seed"] == 0)
    terms.loc[lost, TERMS] = -1e-9
    words = told(drawn(ratio, [terms, validity]))
    assert f"above 0: {2 * len(SIGMAS) * 2}" in words  # D = 1 and 4, both regimes
    assert "(4 of 5 repeats)" in words
    assert "on the trajectory at no σ for certain" in words  # it could be the seed whose ratio is off


@pytest.mark.parametrize(
    ("limit", "value", "words"),
    [
        ("ratio", 1e-6, "within 0.0001 % of 1 on the trajectory up to σ = 0.0001, as is a²/Δ₂ alone"),
        ("ratio", 1e-9, "within 1e-07 % of 1 on the trajectory at no σ: D = 4"),
        ("spread_ratio", 0.95, "by a² and subspace: D = 4 holds 0.9 [0.9, 0.9] of the spread"),
        ("spread_ratio", 0.2, "because D = 4 holds 0.9 [0.9, 0.9] of the spread, over 0.2"),
    ],
)
def test_another_threshold_is_told(limit, value, words):
    made = tables()
    if limit == "spread_ratio":
        made = tables(changes=SMALL | {"slope": 3 * terms_table()["value"], "spread_ratio": 0.9})
    assert changes_with(ratio, made, limit, value)
    assert words in drawn(ratio, made, **{limit: value}).caption


def test_the_longest_caption_is_short():
    """Both parts make the ratio, a seed has no spread ratio, and intervals are cut."""
    terms, validity = tables(changes=SMALL | {"slope": 3 * terms_table()["value"]})
    terms["spread_ratio"] = 0.3 * 10.0 ** (terms["seed"] - 2)
    terms.loc[terms["k"] == 16, "spread_ratio"] = 10.0 ** (2.5 * (terms["seed"] - 2))
    terms.loc[(terms["k"] == 8) & (terms["seed"] == 1), "spread_ratio"] = -1.0
    caption = drawn(ratio, [terms, validity]).caption
    assert caption.count("by a² and subspace: D = 4 holds") == 2
    assert caption.count("(4 of 5 repeats)") == 2
    assert panels.CUT in caption
