"""Verdicts on synthetic tables whose truth is known, in both directions."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from claims_tables import FAILS, HOLDS, LIMITS, architecture_tables, tables

from valleyscope import claims
from valleyscope.claims import landscape
from valleyscope.claims.verdicts import NOT, PARTLY, REPRODUCED, UNTESTABLE, Cell, judge, tally, text
from valleyscope.errors import InputError


def test_a_cell_is_judged_by_its_whole_interval():
    low, high = np.array([0.01, 0.02, 0.03]), np.array([1.0, 1.1, 1.2])
    assert Cell("", low, 0.2, "below").verdict(10) == REPRODUCED
    assert Cell("", high, 0.2, "below").verdict(10) == NOT
    assert Cell("", high, 0.2, "above").verdict(10) == REPRODUCED
    assert Cell("", low, 0.2, "above").verdict(10) == NOT
    across = np.array([0.1, 0.2, 0.3])
    assert Cell("", across, 0.2, "below").verdict(10) == PARTLY
    assert Cell("", across, 0.2, "below").verdict(1) == UNTESTABLE  # its interval is wider than 0.2
    assert Cell("", 100 * high, 0.2, "below").verdict(1) == NOT  # wide, but decided
    assert Cell("", np.array([np.nan, 1.0]), 0.2, "below").verdict(10) == UNTESTABLE


def test_a_cell_with_two_sides_asks_for_the_interval_around_zero():
    assert Cell("", np.array([-0.1, 0.0, 0.1]), 0.3, "within").verdict(10) == REPRODUCED
    for sign in (1, -1):
        assert Cell("", sign * np.array([0.9, 1.0, 1.1]), 0.3, "within").verdict(10) == NOT
        across = Cell("", sign * np.array([0.2, 0.3, 0.4]), 0.3, "within")
        assert across.verdict(10) == PARTLY
        assert across.margin() == pytest.approx(0)
    assert Cell("", np.array([-9.0, 0.0, 9.0]), 0.3, "within").verdict(10) == UNTESTABLE


def test_ratios_take_their_interval_in_logarithms():
    ratio = np.array([0.5, 1.0, 2.0])
    mean, low, high = Cell("", ratio, 1.0, "above", log=True).interval
    assert mean == pytest.approx(1)
    assert low == pytest.approx(1 / high)
    inverse = Cell("", 1 / np.array([2.0, 2.1, 2.2]), 1.0, "above", log=True)
    assert inverse.verdict(10) == NOT
    assert Cell("", np.array([2.0, -1.0, 2.0]), 1.0, "above", log=True).verdict(10) == UNTESTABLE


def test_equal_values_on_the_threshold_are_not_above_it():
    """A ratio that is 1 by construction reproduces nothing."""
    assert Cell("", np.ones(3), 1.0, "above").verdict(10) == NOT
    assert Cell("", np.ones(3), 1.0, "above", log=True).verdict(10) == NOT


@pytest.mark.parametrize("values", [[], [2.0]])
def test_fewer_than_two_repeats_test_nothing(values):
    cell = Cell("", np.array(values), 1.0, "above")
    assert cell.verdict(10) == UNTESTABLE
    assert judge([cell], 10) == (UNTESTABLE, cell)


def test_cells_are_combined_and_the_worst_one_decides():
    good = Cell("good", np.array([0.01, 0.02]), 1.0, "below")
    bad = Cell("bad", np.array([5.0, 5.1]), 1.0, "below")
    wide = Cell("wide", np.array([0.0, 100.0]), 1.0, "below")
    assert judge([good, good], 10) == (REPRODUCED, good)
    assert judge([good, bad], 10) == (PARTLY, bad)
    assert judge([bad, bad], 10)[0] == NOT
    assert judge([wide], 10)[0] == UNTESTABLE
    assert judge([good, wide], 10)[0] == PARTLY  # part of the grid is untested
    assert judge([bad, wide], 10)[0] == NOT  # it holds nowhere


def verdicts(**truth):
    """Of Paper A's claims."""
    made = tables(**truth)
    return pd.DataFrame([claim.row(made, LIMITS) for claim in landscape.CLAIMS]).set_index("id")


def test_every_claim_has_a_verdict_and_a_control():
    table = verdicts()
    assert set(table["verdict"]) <= {REPRODUCED, PARTLY, NOT, UNTESTABLE}
    assert (table["control"].str.len() > 10).all()
    assert (table["low"] <= table["high"]).all()


def test_a_ratio_near_one_from_a_shared_value_is_not_because_of_the_subspace():
    table = verdicts(slope=1e-6)
    assert table["verdict"]["A3"] == REPRODUCED
    assert table["verdict"]["A3x"] == NOT
    assert table["verdict"]["A10"] == PARTLY
    held = verdicts(slope=0.9)
    assert held["verdict"]["A3x"] == REPRODUCED
    assert held["verdict"]["A10"] == REPRODUCED


def test_a_slower_decay_is_not_the_claimed_rate():
    assert verdicts(gamma=0.0)["verdict"]["A1"] == REPRODUCED
    slow = verdicts(gamma=0.6)
    assert slow["verdict"]["A1"] == NOT
    assert slow["verdict"]["A1e"] == NOT
    assert slow["value"]["A1"] == pytest.approx(0.6, abs=0.05)
    # Δ₁ is √Δ₂'s equal in these tables: its exponent is not smaller.
    assert slow["verdict"]["A2"] == NOT


def test_disagreement_is_measured_without_the_shared_value():
    assert verdicts(off=0.01)["verdict"]["A5"] == REPRODUCED
    apart = verdicts(off=0.5)
    assert apart["verdict"]["A5"] == NOT
    assert apart["value"]["A5"] == pytest.approx(0.51, rel=0.05)
    assert "with a² left in: 0.0005" in apart["control"]["A5"]


def test_cost_end_to_end_flips_with_sigma():
    table = verdicts()
    assert table["verdict"]["A7"] == REPRODUCED
    # At the small σ one draw suffices for Δ, not for Δ − a²; at the large one the closed form is biased.
    assert table["verdict"]["A7x"] == PARTLY
    assert table["scale"]["A7x"].startswith("3 values a cell; of 4 cells 1 hold, 3 fail")
    assert "σ = 0.0001, Δ: bias 1e-06, S 1, ratio 0.896" in table["control"]["A7x"]
    assert "σ = 0.0001, Δ − a²: bias 1e-05, S 64, ratio 1.33" in table["control"]["A7x"]
    assert "bias 0.5, S 6.4e+03, ratio 0 [0, 0]" in table["control"]["A7x"]
    nothing_shared = verdicts(value=0.0)
    assert nothing_shared["verdict"]["A7x"] == NOT


def test_the_closed_form_is_timed_against_its_own_procedure():
    made = tables()
    chosen = (made["timing"]["procedure"] == "published") & (made["timing"]["estimator"] == "gaussian_moment")
    made["timing"].loc[chosen, "seconds"] = 1.0
    row = next(claim for claim in landscape.CLAIMS if claim.id == "A7").row(made, LIMITS)
    assert row["verdict"] == PARTLY
    assert "worst: unbatched, as published" in row["scale"]
    assert row["value"] == pytest.approx(5.0, rel=0.02)


def test_the_rate_over_the_later_sizes_is_told_beside_the_whole():
    assert "from k = 32 on: γ = 0.4 [0.4, 0.4]" in verdicts(late=0.4)["control"]["A1e"]


def test_repeats_that_have_no_value_are_told():
    assert text([1.0, 1.0, np.nan]) == "1 [1, 1] (2 of 3 repeats)"
    assert text([1.0, 1.0, -1.0], log=True) == "1 [1, 1] (2 of 3 repeats)"
    assert text([1.0, np.nan]) == "not measured"


def test_cells_are_counted_by_verdict():
    good, bad = Cell("", np.array([0.1, 0.1]), 1.0, "below"), Cell("", np.array([2.0, 2.0]), 1.0, "below")
    across, wide = (
        Cell("", np.array([0.5, 1.5]), 1.0, "below"),
        Cell("", np.array([-99.0, 99.0]), 1.0, "below"),
    )
    assert tally([good, bad, bad, across, wide], 20) == "1 hold, 2 fail, 1 undecided, 1 not testable"
    assert tally([bad], 20) == "1 fail"


def test_a_search_that_did_not_reach_a_minimiser_tests_nothing():
    table = verdicts(stationarity=0.5)
    assert table["verdict"]["A10"] == UNTESTABLE
    assert "0.5 of the gradient noise" in table["scale"]["A10"]


def test_no_threshold_is_unused():
    source = "".join(path.read_text() for path in Path(claims.__file__).parent.glob("*.py"))
    for key in LIMITS:
        assert f'limits["{key}"]' in source


def test_sigmas_beyond_the_validated_regime_are_named_and_not_judged():
    short = tables()
    short["validity"]["sigma_star"] = 5e-4
    with pytest.warns(UserWarning, match=r"sigma = 0\.001 is beyond the validated regime, sigma\* = 0\.0005"):
        assert landscape.valid_sigmas(short, "trajectory") == [1e-4]
    short["validity"].loc[0, "sigma_star"] = np.nan  # a seed where the model never holds
    with pytest.warns(UserWarning, match="beyond the validated regime"):
        assert landscape.valid_sigmas(short, "trajectory") == [1e-4]


def test_a_saddle_is_no_minimiser():
    bent = tables()
    bent["lemma5"]["lambda_min"] = -0.2  # below minus the ridge
    row = next(claim for claim in landscape.CLAIMS if claim.id == "A10").row(bent, LIMITS)
    assert row["verdict"] == UNTESTABLE
    assert "not a minimum" in row["scale"]


def a11(change=lambda made: None):
    made = architecture_tables()
    change(made)
    return next(claim for claim in landscape.CLAIMS if claim.id == "A11").row(made, LIMITS)


def spoilt(name, column, value):
    """A change that puts `value` in a column of one architecture (of all: None)."""

    def change(made):
        table = made["architectures"]
        chosen = table["architecture"] == name if name else table["seed"] >= 0
        table.loc[chosen, column] = value

    return change


def test_a_claim_across_architectures_that_holds_in_each():
    row = a11()
    assert row["verdict"] == REPRODUCED
    assert "of 15 cells 15 hold" in row["scale"]
    assert row["tables"] == "architecture_curvature architecture_losses architectures"
    assert row["figure"] == "architectures"
    assert "held-out loss 2.1 to 2.4 at its last k" in row["scale"]
    assert "none in 0 of 15 runs" in row["scale"]


def test_a_claim_across_architectures_that_holds_nowhere():
    def fail(made):
        scatter = 1 + 0.01 * made["architectures"]["seed"]
        for column, value in FAILS.items():
            made["architectures"][column] = value * scatter

    row = a11(fail)
    assert row["verdict"] == NOT
    assert "of 15 cells 15 fail" in row["scale"]
    assert "A3x: 3 fail" in row["control"]


@pytest.mark.parametrize("column", HOLDS)
def test_one_architecture_in_which_one_quantity_fails_is_named(column):
    limits = {
        "rate_delta2": "rate",
        "rate_delta2_D": "rate",
        "ratio_off": "ratio",
        "sigma_star": "sigma_star",
    }
    row = a11(spoilt("GRU", column, FAILS[column]))
    assert row["verdict"] == PARTLY
    assert "of 15 cells 14 hold" in row["scale"]
    assert f"worst: GRU, {landscape.QUANTITIES[column][0]}" in row["scale"]
    assert row["value"] == pytest.approx(FAILS[column])
    assert row["threshold"] == LIMITS[limits.get(column, "spread_ratio")]
    assert f"{landscape.QUANTITIES[column][0]}: 2 hold, 1 fail" in row["control"]


def test_architectures_that_were_not_measured_are_not_in_favour():
    for column in HOLDS:
        row = a11(spoilt("MLP", column, np.nan))
        assert row["verdict"] == PARTLY
        assert f"{landscape.QUANTITIES[column][0]}: 2 hold, 1 not testable" in row["control"]

    def nothing(made):
        made["architectures"][list(HOLDS)] = np.nan

    assert a11(nothing)["verdict"] == UNTESTABLE
    single = a11(lambda made: made.update(architectures=made["architectures"].query("seed == 0")))
    assert single["verdict"] == UNTESTABLE


def test_the_radius_zero_where_no_sigma_is_valid_fails():
    row = a11(spoilt("MLP", "sigma_star", 0.0))
    assert row["verdict"] == PARTLY
    assert "σ*: 2 hold, 1 fail" in row["control"]
    assert "none in 5 of 15 runs" in row["scale"]


def test_the_controls_across_architectures_are_read_off_their_tables():
    control = a11()["control"]
    assert control.startswith("of 3 architectures A1, Δ₂ of the expected next sample: 3 hold; ")
    assert "|γ| is at most 0.003" in control
    assert "off 1 by 0.1 to 0.4; captured share 0.05 to 0.2" in control
    assert "MLP 2 [2, 2] at a highest loss of 1.1 [1.1, 1.1]; GRU 1 [1, 1]" in control

    def higher(made):
        made.update({k: v for k, v in architecture_tables(rise=3.0).items() if k.endswith("curvature")})
        losses = made["architecture_losses"]
        losses.loc[(losses["position"] == 0.5) & (losses["architecture"] == "MLP"), "train_loss"] = 1.4

    assert "MLP 3 [3, 3] at a highest loss of 1.4 [1.4, 1.4]; GRU 1 [1, 1]" in a11(higher)["control"]


@pytest.mark.parametrize("column", [*HOLDS, "architecture", "shared_off", "gradient_share", "rate_fixed"])
def test_a_missing_column_of_the_architectures_is_named(column):
    with pytest.raises(InputError, match=f"A11 needs .*{column}"):
        a11(lambda made: made["architectures"].pop(column))


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("architecture_curvature", "trace"),
        ("architecture_curvature", "pair"),
        ("architecture_losses", "train_loss"),
    ],
)
def test_a_missing_table_or_column_of_the_paths_is_named(table, column):
    with pytest.raises(InputError, match=f"A11 needs .*{column}"):
        a11(lambda made: made[table].pop(column))
    with pytest.raises(InputError, match=f"the table {table} is missing"):
        a11(lambda made: made.pop(table))
