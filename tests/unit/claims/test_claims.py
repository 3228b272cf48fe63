"""The ledger as a whole: every claim has what it must have, every threshold and window is read."""

import re
from pathlib import Path

import numpy as np
import pytest
from claims_tables import connectivity_tables, landscape_tables
from figure_check import CONFIG, LIMITS

from valleyscope.claims import CLAIMS, judge_claims
from valleyscope.claims.verdicts import NOT, PARTLY, REPRODUCED, UNDECIDED, UNTESTABLE
from valleyscope.errors import InputError
from valleyscope.figures.catalogue import FIGURES

ROOT = Path(__file__).parents[3]
LEDGER = "A1 A1e A2 A3 A3x A4 A5 A6 A7 A7x A8 A9 A9x A10 A11 B1 B2 B3 B3x B4 B5 B6 B7 B8 B9 B10 B11 C1"
BY_ID = pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)


@pytest.fixture(scope="module")
def made():
    return {**landscape_tables(), **connectivity_tables()}


@pytest.fixture(scope="module")
def judged(made):
    return judge_claims(made, LIMITS).set_index("id")


def test_every_claim_of_the_ledger_has_a_row_a_verdict_and_a_control(judged):
    assert " ".join(judged.index) == LEDGER
    assert set(judged["verdict"]) <= {REPRODUCED, PARTLY, NOT, UNDECIDED, UNTESTABLE}
    assert (judged["control"].str.len() > 10).all()
    assert (judged["low"] <= judged["high"]).all()
    assert judged["threshold"].notna().all()


@BY_ID
def test_a_claim_says_how_it_is_read_in_one_to_four_lines(claim):
    lines = [line for line in claim.read.__doc__.splitlines() if line.strip()]
    assert 1 <= len(lines) <= 4
    assert len(claim.read.__doc__) > 60


@BY_ID
def test_the_threshold_of_a_claim_is_of_the_configuration_and_among_its_limits(claim):
    thresholds = claim.threshold.split()
    assert thresholds
    assert set(thresholds) <= set(claim.limits)
    assert set(thresholds) <= set(CONFIG["claims"])
    assert set(claim.limits) <= set(LIMITS)


@BY_ID
def test_the_cells_of_a_claim_are_judged_by_its_thresholds(claim, made):
    """One by one: moved by a lot to either side, it moves the threshold of a cell."""
    before = [cell.threshold for cell in claim.evidence(made, LIMITS).cells]
    for name in claim.threshold.split():
        after = [cell.threshold for cell in claim.evidence(made, LIMITS | {name: 7 * LIMITS[name]}).cells]
        assert max(np.divide(after, before)) == pytest.approx(7)
    assert set(before) == {LIMITS[name] for name in claim.threshold.split()}


@BY_ID
def test_quantities_that_scatter_by_factors_are_judged_in_logarithms(claim, made):
    """Ratios, σ*, shares over shares, bounds, seconds; not exponents, shares of 1, displacements, gains,
    nor errors (A5, A6), which a seed near 0 would make small whatever the others say."""
    factors = {c.log for c in claim.evidence(made, LIMITS).cells}
    both = {"A10", "A11"}  # exponents beside ratios
    logs = {"A3", "A3x", "A4", "A7", "A7x", "A8", "A9x", "B2", "B3", "B3x", "B6", "B11", "C1"}
    assert factors == ({True, False} if claim.id in both else {claim.id in logs})


def test_no_threshold_or_window_is_unused():
    """By claims, figures or the DAG."""
    read = {name for claim in CLAIMS for name in claim.limits}
    read |= {name for figure in FIGURES.values() for name in figure.limits}
    rules = "".join(path.read_text() for path in [ROOT / "Snakefile", *ROOT.glob("rules/*.smk")])
    read |= set(re.findall(r'\["(?:readings|claims)"\]\["(\w+)"\]', rules))
    assert set(LIMITS) - read == set()


def test_no_two_sections_name_the_same_limit():
    assert not set(CONFIG["readings"]) & set(CONFIG["claims"])


def test_a_row_names_a_figure_of_the_catalogue_and_the_tables_it_was_read_from(made, judged):
    assert judged["tables"]["B8"] == "drift_slopes"
    assert judged["tables"]["B7"] == "children children_curvature"
    assert set(" ".join(judged["tables"]).split()) == set(made)  # none is made for nothing
    assert set(judged["figure"]) <= set(FIGURES)


def test_only_rows_of_a_table_count_not_their_order(made, judged):
    """Tables are gathered from parts in any order."""
    shuffled = {name: table.sample(frac=1, random_state=1) for name, table in made.items()}
    again = judge_claims(shuffled, LIMITS).set_index("id")
    assert again["verdict"].equals(judged["verdict"])
    assert np.allclose(again[["value", "low", "high"]], judged[["value", "low", "high"]], equal_nan=True)


@BY_ID
def test_a_missing_table_column_or_threshold_is_named(claim, made):
    for name in claim.tables:
        with pytest.raises(InputError, match=f"the table {name} is missing"):
            claim.row({key: table for key, table in made.items() if key != name}, LIMITS)
        for column in made[name].columns:
            less = made | {name: made[name].drop(columns=column)}
            try:
                claim.row(less, LIMITS)
            except InputError as error:
                assert re.match(f"claims: {claim.id} needs .*{column}", str(error))  # noqa: PT017
    for name in claim.limits:
        with pytest.raises(InputError, match=f"{claim.id} needs the threshold {name}"):
            claim.row(made, {key: value for key, value in LIMITS.items() if key != name})
