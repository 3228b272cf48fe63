"""Fresh claims against the reference: what moved by more than the repeats allow."""

import numpy as np
import pandas as pd

from valleyscope.claims.verdicts import NOT, REPRODUCED

TIMED = ("A7", "A7x")  # ratios of seconds: another machine, another value
FACTOR = 3.0  # by which they may differ


def compare_claims(fresh: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """A row a claim of either table: id, verdicts and values of both, shift, agrees, why.

    `shift` is the difference of the values over the quadratic sum of both intervals' half-widths. A claim
    agrees if the shift is at most 1 and the verdicts do not contradict each other: an interval near its
    threshold may cross it by chance, so "reproduced" and "not reproduced" agree with "partly" and
    "undecided", not with each other. Where the interval has no width, it agrees if the values are equal to
    1e-6; a timed claim if its value is within a factor of 3, whatever its verdict. What is missing on one
    side does not agree.
    """
    both = fresh.merge(reference, on="id", how="outer", suffixes=("", "_reference"), sort=False)
    return pd.DataFrame([_compared(row) for row in both.itertuples()])


def _compared(row) -> dict:
    result = {
        "id": row.id,
        "verdict": row.verdict,
        "verdict_reference": row.verdict_reference,
        "value": row.value,
        "value_reference": row.value_reference,
        "shift": np.nan,
        "agrees": False,
    }
    if pd.isna(row.verdict) or pd.isna(row.verdict_reference):
        return result | {"why": "missing " + ("here" if pd.isna(row.verdict) else "in the reference")}
    if row.id in TIMED:
        agrees = row.value_reference / FACTOR <= row.value <= FACTOR * row.value_reference
        return result | {"agrees": agrees, "why": f"timed, {row.value:.3g} against {row.value_reference:.3g}"}
    before = "" if row.verdict == row.verdict_reference else f"{row.verdict_reference} before; "
    if {row.verdict, row.verdict_reference} == {REPRODUCED, NOT}:
        return result | {"why": f"{before}the opposite"}
    if pd.isna(row.value) or pd.isna(row.value_reference):
        agrees = pd.isna(row.value) and pd.isna(row.value_reference)
        why = "no interval" if agrees else "an interval on one side only"
        return result | {"agrees": agrees, "why": before + why}
    moved = _shifted(row)
    return result | moved | {"why": before + moved["why"]}


def _shifted(row) -> dict:
    difference = row.value - row.value_reference
    width = np.hypot(row.high - row.low, row.high_reference - row.low_reference) / 2
    if np.isclose(row.value, row.value_reference, rtol=1e-6, atol=0):
        return {"shift": 0.0, "agrees": True, "why": "the same value"}
    shift = abs(difference) / width if width else np.inf
    return {"shift": shift, "agrees": shift <= 1, "why": f"moved by {shift:.2g} of the intervals"}
