"""Decay with k, from tables in which γ is 1/4 on the trajectory and 0 at minimisers."""

import numpy as np
import pandas as pd
import pytest
from figure_check import check, drawn, laid_out, told
from landscape_tables import (
    SMOKE,
    STARS,
    N,
    criteria_table,
    fixed_table,
    slopes_table,
    terms_table,
    validity_table,
    with_holes,
)

from valleyscope.figures import panels
from valleyscope.figures.landscape import decay


def tables(stars=STARS, **options):
    seeds = options.get("seeds", 5)
    criteria = criteria_table(terms_table(**options))
    return [criteria, fixed_table(seeds), slopes_table(seeds), validity_table(seeds, stars)]


def test_the_finding_is_in_the_caption_and_the_bytes_are_the_same(tmp_path):
    findings = [
        "On the trajectory Δ₂ ~ k^(γ−2) (expected next sample, full space, σ = 0.001) decays more slowly",
        "more slowly than k⁻² (γ = 0.250 [0.230, 0.270])",
        "at minimisers at a rate consistent with k⁻² (γ = 0.000 [-0.020, 0.020])",
        "At fixed random weights, by algebra k⁻², γ = 0.000 [-0.020, 0.020].",
        "5 seeds of weights and data order; N = 1,000.",
    ]
    numbers = [
        "γ of Δ₂ in D = 4, at minimisers, single next sample, k = 8 to 16: 0.000 [-0.020, 0.020]",
        "γ of Δ₂ in D = 4, at minimisers, expected next sample, k = 8 to 16: 0.000 [-0.020, 0.020]",
        "γ of Δ₂ in full space, on the trajectory, single next sample, k = 8 to 64: 0.250 [0.230, 0.270]",
        "γ of Δ₁, on the trajectory, expected next sample, k = 8 to 64: 0.250 [0.230, 0.270]",
        "fixed random weights, single next sample, σ = 0.001: 0.000 [-0.020, 0.020]",
        "fixed trained weights, expected next sample, σ = 0.001: 0.000 [-0.020, 0.020]",
        "no σ* in some seed: none",
        "left out: 0",
    ]
    check(decay, tables(), findings, tmp_path, numbers)


@pytest.mark.parametrize("holes", [False, True])
def test_two_seeds_two_k_and_missing_cells_do_not_break_it(holes):
    made = tables(**SMOKE)
    assert "2 seeds" in laid_out(decay, with_holes(made) if holes else made).caption


def test_the_verdict_on_the_rate_follows_the_interval():
    criteria, fixed, slopes, validity = tables()
    for shift, words in [
        (-0.5, "faster than k⁻² (γ = -0.25"),
        (-0.25, "at a rate consistent with k⁻² (γ = 0.00"),
    ]:
        shifted = slopes.assign(slope=slopes["slope"] + shift)
        assert f"decays {words}" in drawn(decay, [criteria, fixed, shifted, validity]).caption
    one = slopes[slopes["seed"] == 0]
    assert (
        "decays at a rate not measured in two seeds" in drawn(decay, [criteria, fixed, one, validity]).caption
    )


def test_lines_above_sigma_star_are_named_and_dotted():
    picture = drawn(decay, tables(STARS | {N: 5e-4}))
    named = "no σ* in some seed: on the trajectory, full space; at minimisers, full space"
    assert named in told(picture)
    for panel in picture.figure.axes[1:3]:
        assert [line.get_color() for line in panel.lines if line.get_linestyle() == ":"] == ["k"]


def test_a_seed_without_sigma_star_is_not_averaged_away():
    """The others have a σ* far above the grid; their mean alone would call every σ valid."""
    *others, validity = tables(dict.fromkeys(STARS, 1.0))
    assert "seeds without σ*: none" in told(drawn(decay, [*others, validity]))
    lost = (validity["regime"] == "trained") & (validity["dim"] == N) & (validity["seed"] == 3)
    words = told(drawn(decay, [*others, validity.assign(sigma_star=validity["sigma_star"].mask(lost))]))
    assert "no σ* in some seed: on the trajectory, full space\n" in words
    assert "every σ exceeds the limit: full space (trajectory) 1 of 5; there" in words


def test_bands_are_cut_far_from_the_lines_and_the_caption_says_so():
    made = tables()
    assert panels.CUT not in drawn(decay, made).caption
    # One cell scatters over ten decades: its interval reaches further than the factor of 30.
    cell = made[0].eval("regime == 'trajectory' and k == 16 and next == 'single' and criterion == 'delta1'")
    made[0].loc[cell, "estimate"] *= 10.0 ** (2.5 * (made[0]["seed"] - 2))
    figure, caption = (picture := drawn(decay, made)).figure, picture.caption
    assert "Intervals are cut a factor of 30 beyond the means. " in caption
    low, high = figure.axes[0].get_ylim()
    lines = np.concatenate([line.get_ydata() for line in figure.axes[0].lines])
    assert low == pytest.approx(lines.min() / 30)
    assert high == pytest.approx(lines.max() * 30)


def test_scaled_controls_are_flat():
    figure = drawn(decay, tables()).figure
    squares = [line for line in figure.axes[2].lines if line.get_marker() == "s"]
    assert len(squares) == 2
    for line in squares:
        assert line.get_ydata() == pytest.approx(line.get_ydata()[0])


def test_estimates_that_a_logarithm_cannot_show_are_counted():
    criteria, *others = tables()
    lost = (criteria["k"] == 8) & (criteria["seed"] == 0) & (criteria["criterion"] == "delta2")
    criteria.loc[lost, "estimate"] = -1e-9
    closed = (lost & (criteria["estimator"] == "gaussian_moment")).sum()
    assert f"left out: {closed}" in told(drawn(decay, [criteria, *others]))


def test_the_longest_caption_is_short():
    """Undecided rates, seeds without a slope and a cut interval at once."""
    criteria, fixed, slopes, validity = tables()
    wide = slopes["slope"].where(slopes["seed"] > 0) + 10 * (-1.0) ** slopes["seed"]
    cell = criteria.eval("k == 16 and next == 'single' and criterion == 'delta1'")
    criteria.loc[cell, "estimate"] *= 10.0 ** (2.5 * (criteria["seed"] - 2))
    caption = drawn(decay, [criteria, fixed, slopes.assign(slope=wide), validity]).caption
    assert caption.count("(4 of 5 repeats)") == 3
    assert caption.count("consistent with") == 2
    assert panels.CUT in caption


def test_the_control_is_read_at_the_nearest_sigma_that_it_has():
    criteria, fixed, slopes, validity = tables()
    fixed["sigma"] = 2e-3
    moved = slopes["regime"].isin(["random", "trained"])
    slopes["sigma"] = slopes["sigma"].mask(moved, 2e-3)
    far = pd.concat([fixed, fixed.assign(sigma=1.0, estimate=7.0)])
    assert "γ = 0.000 [-0.020, 0.020]." in drawn(decay, [criteria, far, slopes, validity]).caption
