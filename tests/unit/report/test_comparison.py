"""Fresh claims against the reference."""

import numpy as np
import pandas as pd
import pytest

from valleyscope.report.comparison import compare_claims

NAN = float("nan")


def claims(**rows):
    """id -> (value, low, high, verdict)."""
    table = pd.DataFrame([(name, *row) for name, row in rows.items()])
    return table.set_axis(["id", "value", "low", "high", "verdict"], axis=1)


BEFORE = (1.0, 0.8, 1.2, "partly")


@pytest.mark.parametrize(
    ("now", "agrees", "why"),
    [
        (BEFORE, True, "the same value"),
        ((1.1, 0.9, 1.3, "partly"), True, "moved by 0.35 of the intervals"),
        ((1.5, 1.3, 1.7, "partly"), False, "moved by 1.8 of the intervals"),
        ((0.5, 0.3, 0.7, "partly"), False, "moved by 1.8 of the intervals"),
        ((1.1, 0.9, 1.3, "reproduced"), True, "partly before; moved by 0.35 of the intervals"),
        ((1.5, 1.3, 1.7, "reproduced"), False, "partly before; moved by 1.8 of the intervals"),
        ((1.1, 0.9, 1.3, "not testable here"), True, "partly before; moved by 0.35 of the intervals"),
        ((NAN, NAN, NAN, "partly"), False, "an interval on one side only"),
    ],
)
def test_a_claim_agrees_within_both_intervals(now, agrees, why):
    row = compare_claims(claims(A1=now), claims(A1=BEFORE)).iloc[0]
    assert bool(row["agrees"]) is agrees
    assert row["why"] == why


@pytest.mark.parametrize("verdict", ["reproduced", "not reproduced", "partly", "not testable here"])
def test_undecided_contradicts_no_verdict(verdict):
    """An interval near its threshold may cross it by chance."""
    near, before = (claims(A1=(*BEFORE[:3], word)) for word in ("undecided", verdict))
    for now, reference, word in ((near, before, verdict), (before, near, "undecided")):
        row = compare_claims(now, reference).iloc[0]
        assert row["agrees"]
        assert row["why"] == f"{word} before; the same value"
    far = claims(A1=(5.0, 4.8, 5.2, "undecided"))
    assert not compare_claims(far, before)["agrees"].any()  # its value must agree all the same


def test_opposite_verdicts_never_agree():
    for now, before in (("reproduced", "not reproduced"), ("not reproduced", "reproduced")):
        row = compare_claims(claims(A1=(*BEFORE[:3], now)), claims(A1=(*BEFORE[:3], before))).iloc[0]
        assert not row["agrees"]
        assert row["why"] == f"{before} before; the opposite"


def test_a_claim_without_interval_on_both_sides_agrees():
    none = (NAN, NAN, NAN, "not testable here")
    assert compare_claims(claims(A1=none), claims(A1=none))["agrees"].all()


def test_a_value_without_width_must_be_the_same():
    exact = (1.0, 1.0, 1.0, "partly")
    assert compare_claims(claims(A1=exact), claims(A1=exact))["agrees"].all()
    other = (1.001, 1.001, 1.001, "partly")
    row = compare_claims(claims(A1=other), claims(A1=exact)).iloc[0]
    assert not row["agrees"]
    assert np.isinf(row["shift"])


def test_timed_claims_may_differ_by_a_factor_and_in_verdict():
    fast = claims(A7=(7000.0, 6900.0, 7100.0, "partly"))
    assert compare_claims(claims(A7=(12000.0, 11e3, 13e3, "reproduced")), fast)["agrees"].all()
    assert not compare_claims(claims(A7=(700.0, 600.0, 800.0, "not reproduced")), fast)["agrees"].any()
    never = claims(A7x=(0.0, 0.0, 0.0, "not reproduced"))
    assert compare_claims(never, never)["agrees"].all()
    assert not compare_claims(claims(A7x=(0.9, 0.9, 0.9, "partly")), never)["agrees"].any()


def test_a_missing_claim_is_named_on_either_side():
    table = compare_claims(claims(A1=BEFORE, B1=BEFORE), claims(A1=BEFORE, B2=BEFORE)).set_index("id")
    assert table["agrees"].to_dict() == {"A1": True, "B1": False, "B2": False}
    assert table["why"]["B1"] == "missing in the reference"
    assert table["why"]["B2"] == "missing here"
