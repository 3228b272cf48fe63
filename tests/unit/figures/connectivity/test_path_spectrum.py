"""Spectrum and gradient noise along the path: what the figure says must be what the tables hold."""

import numpy as np
import pytest
from figure_check import LIMITS, check, drawn, laid_out, told
from path_tables import PAIRS, SCATTER, few, spectrum_tables

from valleyscope.figures.connectivity import path_spectrum


def test_the_finding_is_in_the_caption_and_the_bytes_are_the_same(tmp_path):
    findings = [
        "‖H‖_F is higher (3 [3, 3] times)",
        "the eigenvalue is higher at ranks 1 to 8.",
        "gradient noise Tr Σ higher (2 [2, 2] times)",
        "its alignment with H not told apart",
        "over 3 independent pairs",
    ]
    numbers = [
        "eigenvalue of rank 1 in the middle: higher than at the ends (3 [3, 3] times)",
        "eigenvalue of rank 8 in the middle: higher than at the ends (3 [3, 3] times)",
        "samples' gradients (mean over the path): 0.6 [0.6, 0.6]",
        "standard error of one Tr HΣ (median): 2 %",
        "largest residual of an eigenvalue, over itself: 1.0e-04",
    ]
    check(path_spectrum, spectrum_tables(), findings, tmp_path, numbers)


def test_the_share_of_large_eigenvalues_is_larger_inside():
    name = "share of the spectrum above 0.1 of the path's largest eigenvalue, position 0.5 over 0"
    assert drawn(path_spectrum, spectrum_tables()).numbers[name].endswith(", larger")


def test_two_pairs_are_enough():
    picture = laid_out(path_spectrum, few(spectrum_tables(), positions=None))
    assert "over 2 independent pairs" in picture.caption


@pytest.mark.parametrize(
    ("limit", "words"),
    [({"middle": [0.0, 0.2]}, "middle: 0 to 0.2"), ({"large": 0.3}, "above 0.3 of the path's largest")],
)
def test_each_limit_is_told_and_changes_what_is_seen(limit, words):
    before, after = (drawn(path_spectrum, spectrum_tables(), **given) for given in ({}, limit))
    assert words in told(after)
    assert words not in told(before)
    values = [
        [v for name, v in picture.numbers.items() if name.startswith(("eigenvalue", "share"))]
        for picture in (before, after)
    ]
    assert values[0] != values[1]


def test_pairs_that_scatter_around_no_rise_show_none():
    picture = drawn(path_spectrum, spectrum_tables(middle=1, factors=SCATTER))
    assert "‖H‖_F is not told apart (1 [0.0319, 31.3] times)" in picture.caption
    assert "the eigenvalue is not told apart at ranks 1 to 8" in picture.caption
    assert "higher" not in told(picture)


def test_densities_of_pairs_with_other_grids_are_averaged_where_they_are():
    spectrum, eigenvalues, _ = spectrum_tables()
    rows = spectrum[spectrum["position"] == 0.5]
    by_pair = path_spectrum.on_shared_grid(rows)
    assert list(by_pair) == PAIRS
    assert (by_pair.loc[by_pair.index > 1.06 * 36, "0-1"] == 0).all()
    assert np.trapezoid(by_pair["4-5"], by_pair.index) == pytest.approx(1, abs=0.02)
    share = path_spectrum.large_share(spectrum, eigenvalues, LIMITS["large"])
    own = rows[(rows["pair"] == "0-1") & (rows["eigenvalue"] > 3.6)]  # a tenth of 3 * 12
    assert share.loc["0-1", 0.5] == pytest.approx(np.trapezoid(own["density"], own["eigenvalue"]), rel=0.02)


def test_ranks_that_differ_are_told_apart():
    """Every other rank is flat, and bands are cut: the longest caption."""
    spectrum, eigenvalues, curvature = spectrum_tables()
    even = eigenvalues["rank"] % 2 == 0
    inner = eigenvalues["position"].between(0.001, 0.999)
    factors = dict(zip(PAIRS, [1e3, 1e-3, 1.0], strict=True))
    eigenvalues.loc[~even & inner, "eigenvalue"] *= eigenvalues["pair"].map(factors)
    caption = laid_out(path_spectrum, (spectrum, eigenvalues, curvature)).caption
    assert "the eigenvalue is higher at rank 2, 4, 6, 8, not told apart at rank 1, 3, 5, 7." in caption
    assert "Intervals are cut" in caption
