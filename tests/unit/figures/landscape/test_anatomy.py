"""What Δ₂ is made of, from tables in which a² is nearly all of it."""

import numpy as np
import pandas as pd
import pytest
from figure_check import check, drawn, laid_out, told
from landscape_tables import SIGMAS, SMOKE, N, terms_table, validity_table, with_holes

from valleyscope.figures import panels
from valleyscope.figures.landscape import anatomy
from valleyscope.readings.intervals import quoted


def tables(**options):
    return [terms_table(**options), validity_table(options.get("seeds", 5))]


def test_the_finding_is_in_the_caption_and_the_bytes_are_the_same(tmp_path):
    findings = [
        "On the trajectory the value makes all but ",
        "of Δ₂'s terms, at minimisers the value all but ",
        "(expected next sample, full space, σ = 0.001, largest k)",
        "Slope exceeds value at some σ up to 0.01 in 0 of 5 seeds on the trajectory, 0 of 5 at minimisers.",
        "5 seeds of weights and data order; N = 1,000.",
    ]
    numbers = [
        "largest term, on the trajectory, D = 4, k = 64, σ = 0.001: value, all but ",
        "slope exceeds value, on the trajectory, full space, k = 64: at no σ",
        "curvature exceeds slope, at minimisers, D = 4, k = 16: at no σ",
        "grid of σ: 0.0001 to 0.01;",
        "σ* of the increment, float64, full space (trajectory): 0.002 [0.002, 0.002]",
    ]
    check(anatomy, tables(), findings, tmp_path, numbers)


@pytest.mark.parametrize("holes", [False, True])
def test_two_seeds_two_k_and_missing_cells_do_not_break_it(holes):
    made = tables(**SMOKE)
    assert "2 seeds" in laid_out(anatomy, with_holes(made) if holes else made).caption


def test_a_seed_without_sigma_star_is_not_averaged_away():
    """The others have a σ* far above the grid; their mean alone would call every σ valid."""
    terms, validity = tables()
    validity = validity.assign(sigma_star=1.0)
    assert "seeds without σ*: none" in told(drawn(anatomy, [terms, validity]))
    lost = (validity["regime"] == "trained") & (validity["dim"] == N) & (validity["seed"] == 3)
    picture = drawn(anatomy, [terms, validity.assign(sigma_star=validity["sigma_star"].mask(lost))])
    assert "every σ exceeds the limit: full space (trajectory) 1 of 5; there" in told(picture)
    assert picture.figure.axes[0].get_title(loc="left").endswith(r"$>\ \sigma^*$")


def test_a_takeover_is_where_the_power_laws_cross():
    rows = pd.DataFrame({"sigma": SIGMAS, "value": 1.0})
    for at, expected in [(3e-3, 3e-3), (1.0, np.inf), (1e-6, 0.0)]:
        rows["slope"] = (rows["sigma"] / at) ** 2
        assert anatomy.takeover(rows, "slope", "value") == pytest.approx(expected)
    assert np.isnan(anatomy.takeover(rows.assign(slope=np.nan), "slope", "value"))


def test_the_share_of_a_term_needs_all_four():
    rows = pd.DataFrame({"seed": [0, 1, 2], "value": 6.0, "slope": [2.0, np.nan, 0.0], "curvature": 1.0})
    shares = anatomy.shares(rows.assign(cross=-1.0))
    assert shares.loc[0].to_dict() == {"value": 0.6, "slope": 0.2, "curvature": 0.1, "cross": 0.1}
    assert shares.isna().all(axis=1).to_list() == [False, True, False]


def test_it_says_where_the_slope_takes_over():
    terms, validity = tables()
    scatter = 1.2 ** (terms["seed"] - 2)
    terms["slope"] = terms["value"] * (terms["sigma"] / 3e-4 / scatter) ** 2
    picture = drawn(anatomy, [terms, validity])
    expected = quoted(3e-4 * 1.2 ** np.arange(-2, 3), 2, log=True)
    at = "on the trajectory, full space, k = 64"
    assert f"slope exceeds value, {at}: above σ = {expected}" in told(picture)
    assert f"largest term, {at}, σ = 0.001: slope, all but " in told(picture)
    assert "On the trajectory the slope makes all but " in picture.caption
    assert "in 5 of 5 seeds on the trajectory" in picture.caption
    terms.loc[terms["seed"] == 0, "slope"] = 0.0  # has no crossing to speak of
    assert "in 4 of 4 seeds on the trajectory" in drawn(anatomy, [terms, validity]).caption
    terms.loc[terms["seed"] == 1, "slope"] = 1e-30
    words = told(drawn(anatomy, [terms, validity]))
    assert "above σ = 0.0003, 0.00036, 0.00043 (at no σ in 1 seeds, at every σ in 0)" in words


def test_terms_are_drawn_at_the_middle_sigma_and_at_the_largest_k():
    terms, validity = tables()
    top, bottom = drawn(anatomy, [terms, validity]).figure.axes[::4]
    rows = terms.query("next == 'expected' and regime == 'trajectory' and criterion == 'delta2'")
    for panel, x, chosen in (
        (top, "k", rows[rows["sigma"] == 1e-3]),
        (bottom, "sigma", rows[rows["k"] == 64]),
    ):
        lines = [line for line in panel.lines if line.get_marker() == "o"]
        for line, name in zip(lines, anatomy.STYLES, strict=True):
            logs = np.log(chosen[name].abs()).groupby(chosen[x]).mean()
            assert line.get_xdata() == pytest.approx(logs.index)
            assert line.get_ydata() == pytest.approx(np.exp(logs))


def test_the_longest_caption_is_short():
    """A seed has no value of a term, and intervals are cut."""
    terms, validity = tables()
    scatter = 10.0 ** (terms["seed"] - 2)
    terms["slope"] *= np.where((terms["k"] == 16) & (terms["sigma"] == 1e-3), scatter**2.5, 1.0)
    terms["value"] = (terms["value"] * scatter).mask((terms["seed"] == 1) & (terms["sigma"] == 1e-3))
    caption = drawn(anatomy, [terms, validity]).caption
    assert caption.count("(4 of 5 repeats)") == 2
    assert panels.CUT in caption
