"""Powers of the drift's speed, from synthetic tables whose exponents are known."""

import numpy as np
import pytest
from figure_check import check, drawn, laid_out, told
from sgd_tables import PAIRS, sweep_tables, two_repeats

from valleyscope.figures.connectivity import drift_sweeps


def test_the_findings_are_told_and_the_bytes_are_the_same(tmp_path):
    findings = [
        "The entropic drift is faster for smaller B, larger η and more steps m between projections.",
        "-1 [-1, -1] in B (formula: -1), 2 [2, 2] in η (formula: 2)",
        "positions 0.2 to 0.8",
        "over 3 independent pairs",
    ]
    numbers = [
        "exponent of B: -1 [-1, -1]",
        "exponent of B, predicted: -1 [-1, -1]",
        "exponent of B, formula: -1 (in the interval)",
        "exponent of η: 2 [2, 2]",
        "exponent of η, predicted: 2 [2, 2]",
        "exponent of η, formula: 2 (in the interval)",
        "at B = 4, η = 0.02, m = 15, lengths of weights per t_eff: 0.0229 [0.0212, 0.0247]",
        "predicted velocity at B = 4, η = 0.02, m = 15: 0.0229",
        "velocity of full-batch descent at B = 4",
    ]
    check(drift_sweeps, sweep_tables(), findings, tmp_path, numbers)


def test_two_repeats_are_enough():
    assert "over 2 independent pairs" in laid_out(drift_sweeps, two_repeats(sweep_tables())).caption


def test_the_window_of_positions_is_told():
    """The velocities in the table are means over it, so it changes nothing else here."""
    picture = drawn(drift_sweeps, sweep_tables(), inside=[0.3, 0.7])
    assert "positions 0.3 to 0.7" in picture.caption
    assert "mean over positions in 0.3 to 0.7" in picture.numbers["velocity"]


def test_powers_that_do_not_fit_the_formula_are_seen():
    """A drift that goes as η instead of η² in velocity and does not depend on B."""
    picture = drawn(drift_sweeps, sweep_tables(power=(2, 0)))
    faster = "The entropic drift is faster for larger η and more steps m between projections. A dependence"
    assert faster in picture.caption
    assert "A dependence of the drift's speed on B is not shown." in picture.caption
    words = told(picture)
    assert "exponent of η: 1 [1, 1]" in words
    assert "exponent of η, predicted: 2 [2, 2]" in words
    assert "exponent of η, formula: 2 (outside the interval)" in words


def test_no_exponent_is_claimed_where_pairs_disagree_or_do_not_drift():
    speeds, powers = sweep_tables()
    powers["exponent"] = powers["pair"].map(dict(zip(PAIRS, [-3.0, 0.0, 3.0], strict=True)))
    speeds.loc[0, "velocity"] *= -1
    picture = laid_out(drift_sweeps, [speeds, powers])
    assert picture.caption.startswith(
        "A dependence of the drift's speed on B, η and m is not shown. Exponents"
    )
    lost = "velocities that are not outward (not drawn; their pair has no exponent)"
    assert picture.numbers[lost] == "1"


def test_intervals_over_many_decades_are_cut_and_said_to_be():
    speeds, powers = sweep_tables()
    assert "are cut" not in drawn(drift_sweeps, [speeds, powers]).caption
    speeds["velocity"] *= speeds["pair"].map(dict(zip(PAIRS, [1e-3, 1.0, 1e3], strict=True)))
    powers.loc[powers["pair"] == "0-1", "exponent"] = np.nan  # the longest caption
    powers.loc[powers["variable"] == "batch", "exponent"] *= powers["pair"].map({"2-3": 1, "4-5": -1})
    picture = drawn(drift_sweeps, [speeds, powers])
    assert "Intervals are cut a factor of 30 beyond the means." in picture.caption
    assert "(2 of 3 repeats) in B" in picture.caption
    low, high = picture.figure.axes[0].get_ylim()
    assert high == pytest.approx(30 * speeds["predicted"].max(), rel=0.1)
    assert picture.figure.axes[1].get_ylim() == (low, high)
