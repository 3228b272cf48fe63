"""What subspaces see, from tables in which minibatch gradients hold three times as much as the top one."""

import numpy as np
import pandas as pd
from figure_check import check, drawn, laid_out, told
from landscape_tables import captured_tables

from valleyscope.figures.landscape import captured
from valleyscope.readings.intervals import quoted

N = 10_000


def test_the_finding_is_in_the_caption_and_the_bytes_are_the_same(tmp_path):
    findings = [
        "Of the squared slope the top eigenspace (D = 4) holds ",
        "when trained (more than bottom, random, less than gradients)",
        "at minimisers (more than bottom, random, less than gradients)",
        "Of random index sets 0.25 [0.25, 0.25] and 0.25 [0.25, 0.25] exceed its quadratic term.",
        "Intervals exclude 3 of Lemma 5's 3 assumptions.",
        "3 seeds of weights and data order; N = 10,000.",
    ]
    numbers = [
        "the share of gradients over the top's, when trained, k = 16: 3 [3, 3]",
        "the share of bottom over the top's, at minimisers, k = 16: 0.1 [0.1, 0.1]",
        "eigenvectors with B_ii ≥ 0 (Lemma 5 asks 1), at minimisers, k = 16: 0.75 [0.75, 0.75]",
        "rank correlation of B_ii with the eigenvalue (Lemma 5 asks 1), at minimisers, k = 16: 0.5 [",
        "off-diagonal part of B (Lemma 5 asks 0), when trained, k = 16: 0.9 [",
        "σ* of the increment, float64, trained: 0.002 [0.002, 0.002]",
    ]
    check(captured, captured_tables(), findings, tmp_path, numbers)


def test_two_seeds_and_two_points_with_a_missing_cell_and_a_gap_are_drawn():
    subspaces, *others = captured_tables(seeds=(0, 1), sigmas=(1e-3, 1e-1))
    subspaces = subspaces.drop(index=len(subspaces) - 1)  # minimisers: the last cell of the last seed
    subspaces.loc[1, "spread_ratio"] = np.nan
    assert "over 2 seeds" in laid_out(captured, [subspaces, *others]).caption


def test_trained_weights_alone_are_drawn():
    assert "minimisers" not in told(
        drawn(captured, [table.query("regime == 'trained'") for table in captured_tables()])
    )


def test_the_share_of_the_slope_counts_once_a_seed():
    """Its rows are repeated for each σ, which would narrow the interval."""
    made = captured_tables()
    top = made[0].query("subspace == 'top' and dim == 4 and regime == 'trained' and sigma == 1e-4")
    words = told(drawn(captured, made))
    assert f"D = 4, when trained, k = 16: {quoted(top['gradient_share'], 2, log=True)}" in words
    assert f"D/N, when trained, k = 16: {quoted(top['gradient_share'] / 4e-4, log=True)}" in words


def test_subspaces_are_compared_within_a_seed():
    """Seeds differ by factors of 100; gradients hold three times as much in each of them."""
    subspaces, *others = captured_tables()
    subspaces["gradient_share"] *= 100.0 ** -subspaces["seed"]
    assert "less than gradients" in drawn(captured, [subspaces, *others]).caption
    wide = subspaces["subspace"].isin(captured.OTHERS)
    subspaces["gradient_share"] *= np.where(wide, 1e4 ** (subspaces["seed"] - 1.0), 1.0)
    assert "(not told from others)" in drawn(captured, [subspaces, *others]).caption


def test_assumptions_that_an_interval_allows_are_not_excluded():
    subspaces, sets, lemma5, validity = captured_tables()
    lemma5["rank_correlation"] = 1 - 0.1 * (lemma5["seed"] - 1.0)
    lemma5.loc[lemma5["regime"] == "trained", "off_diagonal"] = 0.0
    caption = drawn(captured, [subspaces, sets, lemma5, validity]).caption
    assert "Intervals exclude 1 of Lemma 5's 3 assumptions." in caption


def test_the_second_sigma_is_the_largest_inside_the_model_or_else_the_largest():
    sigmas = pd.Series([1e-4, 1e-3, 1e-2])
    for star, expected in [(2e-3, 1e-3), (2e-4, 1e-2), (np.nan, 1e-2)]:
        assert captured.two_sigmas(sigmas, pd.Series([star, star])) == (1e-4, expected)


def test_spread_above_sigma_star_is_dashed():
    figure = drawn(captured, captured_tables(n=1_000_000)).figure  # σ* in full space is 2e-4
    assert figure.axes[1].lines[0].get_linestyle() == "-"
    assert figure.axes[2].lines[0].get_linestyle() == "--"
    assert "> $\\sigma^*$" in figure.axes[2].get_title(loc="left")


def test_seeds_without_sigma_star_are_counted():
    *others, validity = captured_tables()
    lost = (validity["seed"] == 0) & (validity["dim"] == N) & (validity["regime"] == "trained")
    validity.loc[lost, "sigma_star"] = np.nan
    words = told(drawn(captured, [*others, validity]))
    assert "Seeds without σ*, as every σ exceeds the limit: trained 1 of 3; there" in words


def test_the_longest_caption_is_short():
    subspaces, *others = captured_tables()
    lost = (subspaces["seed"] == 1) & (subspaces["subspace"] == "top")
    subspaces["gradient_share"] = subspaces["gradient_share"].mask(lost)
    assert drawn(captured, [subspaces, *others]).caption.count("(2 of 3 repeats)") == 2
