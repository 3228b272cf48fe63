"""Verdicts on Paper B's claims from synthetic tables whose truth is known, in both directions."""

import numpy as np
import pandas as pd
import pytest
from claims_tables import connectivity_tables as tables
from figure_check import LIMITS

from valleyscope.claims import connectivity
from valleyscope.claims.verdicts import NOT, PARTLY, REPRODUCED, UNDECIDED, UNTESTABLE, claims_of

CLAIMS = {claim.id: claim for claim in claims_of(connectivity)}


def verdicts(**truth):
    made = tables(**truth)
    return pd.DataFrame([claim.row(made, LIMITS) for claim in CLAIMS.values()]).set_index("id")


def test_tables_in_which_every_claim_holds():
    table = verdicts()
    assert table["verdict"].to_dict() == dict.fromkeys(CLAIMS, REPRODUCED)


@pytest.mark.parametrize(
    ("claim", "truth", "verdict"),
    [
        ("B1", {"coefficient": 1.0}, NOT),
        ("B1", {"coefficient": 0.25}, NOT),
        ("B1", {"coefficient": 0.58}, NOT),  # 16 % off
        ("B2", {"highest": 2.0}, NOT),
        ("B3", {"rise": 0.5}, NOT),
        ("B3", {"rise": 1.0}, NOT),
        ("B3", {"norm": 0.5}, PARTLY),  # the scale-free trace falls where the norms halve
        ("B3", {"highest": 2.0}, UNTESTABLE),
        ("B3x", {"rise": 0.5}, NOT),
        ("B3x", {"bezier": 3.0}, UNTESTABLE),
        ("B4", {"outward": -0.05}, NOT),
        ("B4", {"outward": 0.0}, NOT),
        ("B4", {"outward": 0.01}, UNDECIDED),  # at its threshold
        ("B5", {"exponents": (-1.0, 0.0)}, PARTLY),
        ("B5", {"exponents": (1.0, -2.0)}, NOT),
        ("B6", {"fair": 0.5}, NOT),
        ("B6", {"outward": -0.05}, UNTESTABLE),  # neither moves outward
        ("B7", {"loss_gone": 150, "curvature_gone": 20}, NOT),
        ("B7", {"loss_gone": 60, "curvature_gone": 60}, NOT),
        ("B7", {"loss_gone": 999, "curvature_gone": 999}, UNTESTABLE),
        ("B8", {"slope": 1.5}, NOT),
        ("B8", {"slope": 0.5}, NOT),
        ("B9", {"free": -0.1}, NOT),
        ("B10", {"gain": -0.02}, NOT),
        ("B11", {"hump": 2.0}, NOT),  # twice the chord in the middle
        ("B10", {"gain": 0.005}, UNDECIDED),
        ("C1", {"variance": 0.5}, NOT),
        ("C1", {"rise": 0.8}, UNTESTABLE),  # no barrier to see
    ],
)
def test_a_claim_that_does_not_hold(claim, truth, verdict):
    assert verdicts(**truth)["verdict"][claim] == verdict


def test_a_barrier_that_never_vanishes_counts_as_later_than_one_that_does():
    assert verdicts(curvature_gone=999)["verdict"]["B7"] == REPRODUCED


def test_the_worst_pair_and_the_controls_are_told():
    table = verdicts(highest=1.1, loss_end=0.0)
    assert "highest of any pair by AutoNEB 1.1" in table["control"]["B2"]
    assert "straight line 100" in table["control"]["B2"]
    assert "noise without a force" in table["control"]["B4"]
    assert "moves 0 [0, 0]" in table["control"]["B4"]
    assert "0 of 36 replicas end off the valley floor" in table["control"]["B4"]
    assert "RMS step of Adam's partner over Adam's 1 [1, 1]" in table["control"]["B6"]
    assert "straight line" not in table["scale"]["B3x"]
    assert "η²(m − 1)/B -1" in table["control"]["B5"]


def test_replicas_that_climb_are_counted_where_the_path_rises_outward():
    """From the middle, where the loss is lowest, outward is uphill."""
    table = verdicts()
    assert table["verdict"]["B4"] == REPRODUCED
    assert "share 1 [1, 1]" in table["control"]["B4"]
    assert "of 11 cells 11 hold" in table["scale"]["B4"]  # starts from which it rises among them
    falling = verdicts(highest=1.1, loss_end=0.0)
    assert "share 0 [0, 0]" in falling["control"]["B4"]
    assert "of 11 cells 10 hold" in falling["scale"]["B4"]


def test_scale_is_taken_out_of_the_rise():
    table = verdicts(rise=2.0, norm=0.5)
    assert "Tr H 2 [2, 2], of which scale makes a factor of 4 [4, 4]" in table["control"]["B3"]


@pytest.mark.parametrize(
    ("claim", "truth", "cell"),
    [
        ("B4", {"loss": 1.0}, "replicas on the valley floor"),  # none
        ("B4", {"highest": 1.1, "loss_end": 0.0}, "where the path's loss rises outward"),  # from no start
        # A time beyond the last branch bounds the lag: enough in one measure, in the other too little.
        ("B7", {"loss_gone": 150, "curvature_gone": 999}, "over the ends of the line"),
    ],
)
def test_a_cell_that_cannot_be_tested_counts_neither_way(claim, truth, cell):
    """The others decide, be it for the claim or against it."""
    made = tables(**truth)
    evidence = CLAIMS[claim].evidence(made, LIMITS)
    assert [c.label for c in evidence.cells if c.verdict == UNTESTABLE] == [cell]
    row = CLAIMS[claim].row(made, LIMITS)
    assert row["verdict"] == REPRODUCED
    assert row["held"] == row["cells"] - 1
    assert "1 not testable" in row["scale"]


def test_the_lag_is_bounded_in_both_directions():
    """Tr H vanishes, the loss does not: a bound on the other side."""
    assert verdicts(loss_gone=999, curvature_gone=20)["verdict"]["B7"] == NOT


@pytest.mark.parametrize(
    ("name", "column", "claim"), [("projected_sgd", "position", "B9"), ("drift_slopes", "slope", "B8")]
)
def test_a_missing_value_makes_a_claim_untestable_not_right(name, column, claim):
    made = tables()
    made[name].loc[made[name]["pair"] == "0-1", column] = np.nan
    assert CLAIMS[claim].row(made, LIMITS)["verdict"] == UNTESTABLE


def test_a_measure_with_a_missing_value_holds_nowhere_and_leaves_the_verdict_to_the_others():
    for truth, verdict in (({}, REPRODUCED), ({"rise": 0.5}, NOT)):
        made = tables(**truth)
        made["path_curvature"].loc[made["path_curvature"]["pair"] == "0-1", "trace"] = np.nan
        row = CLAIMS["B3"].row(made, LIMITS)
        assert row["verdict"] == verdict
        assert row["cells"] == 8
        assert "2 not testable" in row["scale"]  # Tr H, of AdamW and of SGD


def test_windows_are_those_that_the_claims_are_handed():
    """The rise stands between 0.25 and 0.75 of the path, starts between 0.2 and 0.8."""
    made = tables()
    for window, rise in (([0.4, 0.6], 2), ([0.05, 0.15], 1.4)):
        row = CLAIMS["B3"].row(made, LIMITS | {"middle": window})
        assert row["value"] == pytest.approx(rise, rel=0.05)
    for window, starts in (([0.2, 0.8], 6), ([0.3, 0.7], 4)):
        row = CLAIMS["B4"].row(made, LIMITS | {"inside": window})
        assert row["cells"] == 5 + starts
    row = CLAIMS["B7"].row(made, LIMITS | {"tolerances": [0.1, 0.3]})
    assert "of 2 tolerances from 0.1 to 0.3" in row["control"]
    assert "0 of 36 replicas end off" in CLAIMS["B4"].row(made, LIMITS)["control"]
    strict = CLAIMS["B4"].row(made, LIMITS | {"off_floor": 1.1})["control"]
    assert "36 of 36 replicas end off the valley floor (minibatch loss above 1.1 times" in strict
    runs = made["projected_sgd"]
    runs["loss"] = np.where(runs["step"] == 600, 0.02, 5.0)  # steps 0, 300, 600
    for late, loss in ((0.1, "0.02 [0.02, 0.02]"), (0.9, "2.5 [2.5, 2.5]")):
        told = CLAIMS["B6"].row(made, LIMITS | {"late": late})["control"]
        assert f"(share of replicas on the valley floor at the end) momentum {loss}" in told


def test_path_finders_that_came_near_the_loss_of_the_ends_are_judged_the_others_shown():
    row = CLAIMS["B3x"].row(tables(), LIMITS)
    assert row["cells"] == 4  # Bézier and AutoNEB, two measures
    assert "shown, not judged: straight line, high in loss (100" in row["control"]
    one = CLAIMS["B3x"].row(tables(bezier=3.0), LIMITS)
    assert "1 path finder of 3 came near the loss of the ends" in one["scale"]
    assert "Bézier, high in loss (2.98 [2.98, 2.98] times the higher end's)" in one["control"]
    none = CLAIMS["B3x"].row(tables(bezier=3.0, highest=3.0), LIMITS)
    assert none["verdict"] == UNTESTABLE
    assert "0 path finder of 3" in none["scale"]
