"""The verdict rule on cells whose truth is known, in both directions."""

import types

import numpy as np
import pandas as pd
import pytest

from valleyscope.claims.verdicts import (
    MOST_REPEATS,
    NOT,
    PARTLY,
    REPRODUCED,
    UNDECIDED,
    UNTESTABLE,
    Cell,
    Evidence,
    claim,
    claims_of,
    judge,
    tally,
)
from valleyscope.errors import InputError
from valleyscope.readings.intervals import student_interval

LOW, ACROSS, HIGH = np.array([0.1, 0.2, 0.3]), np.array([0.5, 1.0, 1.5]), np.array([3.0, 3.1, 3.2])
NONE = np.array([1.0, np.nan, 2.0])
OPPOSITE = {REPRODUCED: NOT, NOT: REPRODUCED}


def cells(letters, side):
    """h: holds, f: fails, u: undecided, -: not testable; threshold 1."""
    values = {"h": LOW, "f": HIGH} if side != "above" else {"h": HIGH, "f": LOW}
    return [Cell(x, (values | {"u": ACROSS, "-": NONE})[x], 1.0, side) for x in letters]


@pytest.mark.parametrize("side", ["below", "above", "within"])
@pytest.mark.parametrize(
    ("letters", "verdict"),
    [
        ("h", REPRODUCED),
        ("hhh", REPRODUCED),
        ("hf", PARTLY),
        ("hhhhhf", PARTLY),
        ("hfu", PARTLY),  # undecided ones do not change that
        ("hfuuuuu", PARTLY),
        ("hfu--", PARTLY),
        ("u", UNDECIDED),
        ("uuu", UNDECIDED),
        ("hu", UNDECIDED),
        ("hhhhhu", UNDECIDED),
        ("huuuuu", UNDECIDED),
        ("hh-", REPRODUCED),  # untestable cells count neither way
        ("hu-", UNDECIDED),
        ("uu-", UNDECIDED),
        ("h-", REPRODUCED),  # half of them are not more than half
        ("hf--", PARTLY),
        ("u-", UNDECIDED),
        ("h--", UNTESTABLE),
        ("hf---", UNTESTABLE),
        ("u--", UNTESTABLE),
        ("-", UNTESTABLE),
        ("---", UNTESTABLE),
        ("", UNTESTABLE),
    ],
)
def test_cells_are_combined_by_the_same_rule_in_both_directions(letters, verdict, side):
    assert judge(cells(letters, side))[0] == verdict
    mirrored = letters.translate(str.maketrans("hf", "fh"))
    assert judge(cells(mirrored, side))[0] == OPPOSITE.get(verdict, verdict)


def test_a_cell_is_judged_by_its_whole_interval():
    for values, below, above in (
        (LOW, REPRODUCED, NOT),
        (HIGH, NOT, REPRODUCED),
        (ACROSS, UNDECIDED, UNDECIDED),
        (NONE, UNTESTABLE, UNTESTABLE),
    ):
        assert Cell("", values, 1.0, "below").verdict == below
        assert Cell("", values, 1.0, "above").verdict == above


def test_a_cell_with_two_sides_asks_for_the_interval_around_zero():
    assert Cell("", np.array([-0.1, 0.0, 0.1]), 0.3, "within").verdict == REPRODUCED
    for sign in (1, -1):
        assert Cell("", sign * np.array([0.9, 1.0, 1.1]), 0.3, "within").verdict == NOT
        across = Cell("", sign * np.array([0.2, 0.3, 0.4]), 0.3, "within")
        assert across.verdict == UNDECIDED
        assert across.margin() == pytest.approx(0)


def test_a_wide_interval_is_undecided_or_decided_never_untestable():
    wide = np.array([-1e6, 0.0, 1e6])
    for side in ("below", "above", "within"):
        assert Cell("", wide, 0.3, side).verdict == UNDECIDED
    assert Cell("", np.array([5e3, 6e3, 7e3]), 1.0, "below").verdict == NOT
    assert Cell("", np.array([-7e3, -6e3, -5e3]), 1.0, "below").verdict == REPRODUCED
    assert Cell("", np.array([5e3, 6e3, 7e3]), 1.0, "above").verdict == REPRODUCED
    assert Cell("", np.array([-7e3, -6e3, -5e3]), 1.0, "within").verdict == NOT


@pytest.mark.parametrize("log", [False, True])
def test_what_is_below_is_not_above_also_where_an_interval_ends_at_the_threshold(log):
    """Claimed are "≤ t" and "> t": one is reproduced exactly where the other is not."""
    values = np.array([1.0, 2.0, 4.0])
    _, low, high = Cell("", values, 1.0, "above", log).interval
    for threshold in (low / 2, low, (low + high) / 2, high, 2 * high):
        below, above = (Cell("", values, threshold, side, log).verdict for side in ("below", "above"))
        assert above == OPPOSITE.get(below, below)
        # "within" of 0 is "below" for values far from −t.
        assert Cell("", values, threshold, "within", log).verdict == below or low < -threshold
    assert Cell("", values, low, "below", log).verdict == UNDECIDED
    assert Cell("", values, high, "below", log).verdict == REPRODUCED


def test_equal_values_on_the_threshold_are_not_above_it():
    """A ratio that is 1 by construction reproduces nothing."""
    for log in (False, True):
        assert Cell("", np.ones(3), 1.0, "above", log).verdict == NOT
        assert Cell("", np.ones(3), 1.0, "below", log).verdict == REPRODUCED
        assert Cell("", np.ones(3), 1.0, "within", log).verdict == REPRODUCED


def test_positive_quantities_take_their_interval_in_logarithms():
    ratio = np.array([0.5, 1.0, 2.0])
    mean, low, high = Cell("", ratio, 1.0, "above", log=True).interval
    assert mean == pytest.approx(1)
    assert low == pytest.approx(1 / high)
    assert (mean, low, high) == pytest.approx(tuple(np.exp(student_interval(np.log(ratio)))))
    assert Cell("", 1 / np.array([2.0, 2.1, 2.2]), 1.0, "above", log=True).verdict == NOT
    # A factor's scatter decides where the same values, taken as they are, do not.
    scattered = np.array([1e-4, 1e-3, 1e-2, 0.04])
    assert Cell("", scattered, 0.0, "above").verdict == UNDECIDED
    assert Cell("", scattered, 1e-5, "above", log=True).verdict == REPRODUCED


@pytest.mark.parametrize("bad", [0.0, -1.0])
def test_a_repeat_at_zero_or_below_has_no_logarithm_so_the_cell_is_taken_as_it_is(bad):
    values = np.array([bad, 2.0, 2.1])
    assert Cell("", values, 1.0, "above", log=True).interval == student_interval(values)
    zeros = Cell("", np.zeros(3), 1.0, "above", log=True)
    assert zeros.interval == (0, 0, 0)
    assert zeros.verdict == NOT
    assert Cell("", np.zeros(3), 1.0, "below", log=True).verdict == REPRODUCED
    assert Cell("", values, 99.0, "above", log=True).verdict == NOT


@pytest.mark.parametrize("values", [[], [2.0], [np.nan, 1.0], [np.inf, 1.0], [np.nan, np.nan]])
def test_fewer_than_two_repeats_or_one_without_a_value_test_nothing(values):
    cell = Cell("", np.array(values), 1.0, "above")
    assert np.isnan(cell.interval).all()
    assert cell.verdict == UNTESTABLE
    assert judge([cell]) == (UNTESTABLE, cell)


def test_the_worst_cell_is_told():
    good, fair, bad = (
        Cell(x, np.array([m, m]), 1.0, "below") for x, m in zip("abc", (0.1, 0.9, 5), strict=True)
    )
    assert judge([good, bad, fair]) == (PARTLY, bad)
    assert judge([good, fair]) == (REPRODUCED, fair)
    none = Cell("none", NONE, 1.0, "below")
    assert judge([none, good]) == (REPRODUCED, good)  # of those that have an interval
    assert judge([none, none, good]) == (UNTESTABLE, good)
    high, low = (Cell("", np.array([m, m]), 1.0, "above") for m in (5.0, 0.1))
    assert judge([high, low]) == (PARTLY, low)
    assert judge([]) == (UNTESTABLE, None)


def test_cells_are_counted_by_verdict():
    assert tally(cells("hffu-", "below")) == "1 hold, 2 fail, 1 undecided, 1 not testable"
    assert tally(cells("f", "above")) == "1 fail"
    assert tally([]) == "none"


# ---------------------------------------------------------------- a claim and its row


def made(evidence, threshold="least"):
    @claim("X1", source="s", statement="it rises", metric="m", figure="decay", threshold=threshold)
    def x1(heights, *, least, window) -> Evidence:
        """Rises."""
        return evidence(heights, least, window)

    return x1


TABLES = {"heights": pd.DataFrame({"height": [3.0, 3.1, 3.2], "seed": [0, 1, 2]}), "other": None}
LIMITS = {"least": 1.0, "window": [0, 1], "unused": None}


def test_a_claim_takes_tables_by_position_and_limits_by_keyword():
    seen = []

    def evidence(heights, least, window):
        seen.extend([heights, least, window])
        return Evidence([Cell("tall", heights["height"].to_numpy(), least, "above")], "flat", note="short")

    row = made(evidence).row(TABLES, LIMITS)
    assert seen[0] is TABLES["heights"]
    assert seen[1:] == [1.0, [0, 1]]
    assert made(evidence).tables == ["heights"]
    assert made(evidence).limits == ["least", "window"]
    assert row["verdict"] == REPRODUCED
    assert (row["value"], row["low"], row["high"]) == student_interval([3.0, 3.1, 3.2])
    assert (row["threshold"], row["side"], row["cells"], row["held"]) == (1.0, "above", 1, 1)
    assert row["scale"] == "3 values a cell; of 1 cells 1 hold; worst: tall; short"
    assert (row["control"], row["tables"], row["figure"]) == ("flat", "heights", "decay")


@pytest.mark.parametrize("letters", ["h", "f", "u", "hf", "-"])
def test_a_failed_precondition_makes_a_claim_untestable_whatever_its_cells_say(letters):
    row = made(lambda *_: Evidence(cells(letters, "above"), "flat", "n", "too high")).row(TABLES, LIMITS)
    assert row["verdict"] == UNTESTABLE
    assert row["scale"].endswith("n; too high")
    assert row["held"] == letters.count("h")


def test_a_claim_without_a_cell_is_untestable_and_has_no_interval():
    row = made(lambda *_: Evidence([], "flat")).row(TABLES, LIMITS)
    assert row["verdict"] == UNTESTABLE
    assert np.isnan([row["value"], row["low"], row["high"], row["threshold"]]).all()
    assert row["scale"] == "of 0 cells none"


def test_what_a_claim_lacks_is_named_in_one_line():
    needs = made(lambda heights, least, window: Evidence([], str(heights["width"])))
    for tables, limits, words in (
        ({}, LIMITS, "the table heights is missing"),
        (TABLES, {"least": 1.0}, "X1 needs the threshold window"),
        (TABLES, LIMITS, "X1 needs 'width', which none of its tables has"),
    ):
        with pytest.raises(InputError, match=words):
            needs.row(tables, limits)


def test_the_claims_of_a_module_are_listed_in_the_order_of_its_lines():
    module = types.ModuleType("ledger")
    second, first = (made(lambda *_: None) for _ in range(2))
    module.b, module.helper, module.a = second, len, first
    assert claims_of(module) == [second, first]


@pytest.mark.parametrize(("side", "log"), [("below", False), ("above", True), ("within", False)])
def test_repeats_that_would_decide_a_cell_are_the_first_whose_interval_does(side, log):
    """Against the interval itself, of as many repeats with the same mean and spread."""
    values = np.array([0.6, 0.8, 1.3, 1.0])

    def cell(count: int) -> Cell:
        seen = np.log(values) if log else values
        z = np.resize([-1.0, 1.0], count) if count % 2 == 0 else np.r_[np.resize([-1.0, 1.0], count - 1), 0.0]
        same = seen.mean() + seen.std(ddof=1) * z / z.std(ddof=1)
        return Cell("", np.exp(same) if log else same, 0.7 if log else 1.05, side, log)

    first = Cell("", values, 0.7 if log else 1.05, side, log).repeats_to_decide()
    assert 4 < first < 1000
    assert cell(first).verdict != UNDECIDED
    assert cell(first - 1).verdict == UNDECIDED


def test_a_cell_with_its_mean_on_the_threshold_is_never_decided():
    assert Cell("", np.array([0.5, 1.5]), 1.0, "below").repeats_to_decide() == MOST_REPEATS


def test_an_undecided_claim_says_how_many_repeats_would_decide_it():
    undecided = Cell("", np.array([0.6, 0.8, 1.3, 1.0]), 1.05, "below")
    count = undecided.repeats_to_decide()
    row = made(lambda *_: Evidence([undecided], "flat")).row(TABLES, LIMITS)
    assert f"about {count} repeats would decide all cells" in row["scale"]
    decided = made(lambda *_: Evidence([undecided], "flat", untestable="x")).row(TABLES, LIMITS)
    assert "would decide" not in decided["scale"]
