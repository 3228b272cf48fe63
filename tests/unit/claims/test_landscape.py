"""Verdicts on Paper A's claims from synthetic tables whose truth is known, in both directions."""

import numpy as np
import pandas as pd
import pytest
from claims_tables import FAILS, HOLDS, architecture_tables
from claims_tables import landscape_tables as tables
from figure_check import LIMITS

from valleyscope.claims import landscape
from valleyscope.claims.verdicts import NOT, PARTLY, REPRODUCED, UNDECIDED, UNTESTABLE, claims_of
from valleyscope.errors import InputError

CLAIMS = {claim.id: claim for claim in claims_of(landscape)}


def verdicts(**truth):
    """Of Paper A's claims."""
    made = tables(**truth)
    return pd.DataFrame([claim.row(made, LIMITS) for claim in CLAIMS.values()]).set_index("id")


def row_of(name, change=lambda made: None, **truth):
    """One claim's row on tables with that truth, then changed."""
    made = tables(**truth)
    change(made)
    return CLAIMS[name].row(made, LIMITS)


def test_every_claim_has_a_verdict_and_a_control():
    table = verdicts()
    assert set(table["verdict"]) <= {REPRODUCED, PARTLY, NOT, UNDECIDED, UNTESTABLE}
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
    row = CLAIMS["A7"].row(made, LIMITS)
    assert row["verdict"] == PARTLY
    assert "worst: unbatched, as published" in row["scale"]
    assert row["value"] == pytest.approx(5.0, rel=0.02)


def test_the_rate_over_the_later_sizes_is_told_beside_the_whole():
    assert "from k = 32 on: γ = 0.4 [0.4, 0.4]" in row_of("A1e", late=0.4)["control"]

    def larger_minimisers(made):
        """Which k are late is read off the trajectory alone."""
        points = made["points"]
        points.loc[points["regime"] == "minimisers", "k"] *= 16

    assert "from k = 32 on: γ = 0.4 [0.4, 0.4]" in row_of("A1e", larger_minimisers, late=0.4)["control"]

    def one_k(made):
        made["points"] = made["points"].query("k == 8")

    assert "from k = 8 on: γ = not measured" in row_of("A1e", one_k)["control"]


def test_a_search_that_did_not_reach_a_minimiser_tests_nothing():
    table = verdicts(stationarity=0.5)
    assert table["verdict"]["A10"] == UNTESTABLE
    assert "0.5 of the gradient noise" in table["scale"]["A10"]


def short(star, seeds=slice(None), regime="trained"):
    """A change that sets σ* of some seeds."""

    def change(made):
        v = made["validity"]
        chosen = v["regime"].eq(regime) & v["precision"].eq("float64") & v["seed"].isin(list(range(5))[seeds])
        v.loc[chosen, "sigma_star"] = star

    return change


@pytest.mark.parametrize(
    ("name", "regime", "where"),
    [
        ("A3", "trained", "at the end of training"),
        ("A3x", "trained", "at the end of training"),
        ("A10", "minimisers", "at minimisers"),
    ],
)
def test_sigmas_beyond_sigma_star_are_named_and_not_judged(name, regime, where):
    every, some = row_of(name), row_of(name, short(5e-4, regime=regime))
    assert 2 * some["cells"] == every["cells"]
    assert f"σ* 0.0005 [0.0005, 0.0005] {where}; σ = 0.001 beyond it, not judged" in some["scale"]
    assert f"σ* 0.0051 [0.005, 0.0052] {where}" in every["scale"]
    assert "not judged" not in every["scale"]
    other = {"trained": "minimisers", "minimisers": "trained"}[regime]
    assert row_of(name, short(5e-4, regime=other))["cells"] == every["cells"]  # each regime has its own


@pytest.mark.parametrize(("name", "regime"), [("A3", "trained"), ("A3x", "trained"), ("A10", "minimisers")])
def test_a_seed_without_sigma_star_leaves_no_sigma_valid(name, regime):
    """Its σ* may be anything, so that of the others promises nothing; the same where σ* is below the grid."""
    lost = row_of(name, short(np.nan, slice(1), regime), slope=0.9)
    assert lost["verdict"] == UNTESTABLE
    assert "no σ of the grid is valid in every seed: σ* " in lost["scale"]
    assert "(4 of 5 repeats)" in lost["scale"]
    assert "σ* none" in row_of(name, short(np.nan, regime=regime))["scale"]
    below = row_of(name, short(1e-5, regime=regime), slope=0.9)
    assert below["verdict"] == UNTESTABLE
    assert "σ* 1e-05 [1e-05, 1e-05]" in below["scale"]


def lost_ratio(made):
    """Δ₂ of one seed at one k is not above 0: no ratio there."""
    t = made["terms"]
    t.loc[(t["seed"] == 0) & (t["k"] == 32) & (t["criterion"] == "delta2"), "value"] = -1.0


def test_a_k_without_a_ratio_could_be_the_worst_so_the_cell_is_not_testable():
    assert row_of("A3", slope=0.9)["verdict"] == REPRODUCED
    row = row_of("A3", lost_ratio, slope=0.9)
    assert row["verdict"] == UNTESTABLE
    assert "of 2 cells 2 not testable" in row["scale"]


def test_a_spread_ratio_that_is_not_above_zero_makes_its_cell_not_testable():
    def lose(made):
        t = made["terms"]
        t.loc[(t["seed"] == 0) & (t["k"] == 32) & (t["sigma"] == 1e-3), "spread_ratio"] = -0.1

    row = row_of("A3x", lose, slope=0.9)
    assert row["verdict"] == REPRODUCED
    assert "of 2 cells 1 hold, 1 not testable" in row["scale"]


def test_positive_quantities_that_scatter_by_factors_are_judged_in_logarithms():
    """Over seeds 1, 2, 4, 8, 16 times: geometric mean 4."""
    factor = lambda table: 2.0 ** table["seed"]  # noqa: E731

    def scatter(made):
        made["validity"]["sigma_star"] = 1e-3 * factor(made["validity"])
        for column in ("published_bound", "sharper_bound"):
            made["terms"][column] = made["terms"][column] / factor(made["terms"])
        rows = made["subspaces"]["subspace"] != "top"
        made["subspaces"].loc[rows, "gradient_share"] /= factor(made["subspaces"])[rows]

    at = {name: row_of(name, off=1e-3) for name in ("A8", "A9x")}
    scattered = {name: row_of(name, scatter, off=1e-3) for name in ("A4", "A8", "A9x")}
    for name, row in at.items():
        assert scattered[name]["value"] == pytest.approx(4 * row["value"], rel=1e-6)
    assert scattered["A4"]["value"] == pytest.approx(4e-3)
    for row in scattered.values():
        assert row["low"] * row["high"] == pytest.approx(row["value"] ** 2)


@pytest.mark.parametrize("name", ["A5", "A6"])
def test_an_error_near_0_in_one_seed_does_not_hide_the_others(name):
    """Beside four errors above the limit one of nearly 0, which takes the geometric mean far below it."""

    def one_near_zero(made):
        made["estimators"]["difference"] *= np.where(made["estimators"]["seed"] == 0, 1e-9, 1.0)

    assert row_of(name, one_near_zero, off=0.1)["verdict"] != REPRODUCED


@pytest.mark.parametrize(
    ("name", "truth", "verdict"),
    [
        ("A4", {}, REPRODUCED),
        ("A6", {"off": 0.01}, REPRODUCED),
        ("A6", {"off": 0.5}, NOT),
        ("A8", {}, REPRODUCED),
        ("A8", {"bound": 1e-9}, PARTLY),  # the sharper bound alone is broken
        ("A9", {}, REPRODUCED),
        ("A9", {"beaten": 0.5}, NOT),
        ("A9x", {}, REPRODUCED),
        ("A9x", {"gradients": 0.5}, PARTLY),
    ],
)
def test_a_claim_in_both_directions(name, truth, verdict):
    assert row_of(name, **truth)["verdict"] == verdict


def test_a_radius_too_small_or_missing_fails():
    def change(star):
        return lambda made: made["validity"].update(
            pd.DataFrame({"sigma_star": star}, made["validity"].index)
        )

    assert row_of("A4", change(1e-4))["verdict"] == NOT
    some = row_of(
        "A4", short(np.nan, slice(2))
    )  # a seed without counts as 0: the interval spans the threshold
    assert some["verdict"] == UNDECIDED
    assert "2 hold, 2 undecided" in some["scale"]
    assert row_of("A4", short(np.nan))["verdict"] == PARTLY  # no seed has one at the trained weights


def test_a_subspace_that_holds_the_increment_by_construction_is_shown_not_judged():
    row = row_of("A9x")
    assert row["cells"] == 3  # random, bottom, gradients
    assert "increment" not in row["scale"]
    assert "by construction one direction along Δg holds 1.02 [1, 1.04] of the slope term" in row["control"]
    assert "top over the increment's own subspace, shown, not judged: 0.3 [0.3, 0.3]" in row["control"]


@pytest.mark.parametrize(("wanted", "sigma", "dim"), [((10, 1e-3), 0.001, 10), ((2, 2e-4), 0.0001, 4)])
def test_the_published_cell_is_the_nearest_of_the_grid(wanted, sigma, dim):
    made = tables()
    e = made["estimators"]
    made["estimators"] = pd.concat([e.assign(dim=dim) for dim in (4, 10, 30)])
    published = {"fig5": dict(zip(("dim", "sigma"), wanted, strict=True))}
    row = CLAIMS["A5"].row(made, LIMITS | published)
    assert row["scale"].endswith(f"worst: D = {dim}, σ = {sigma:g}, S = 64")


def test_the_published_map_ends_at_its_largest_sigma():
    made = tables()
    for largest, cells in ((1e-2, 2), (5e-4, 1)):
        limits = LIMITS | {"fig6": {"samples": 24, "sigma": largest}}
        assert CLAIMS["A6"].row(made, limits)["cells"] == cells


def test_a_saddle_is_no_minimiser():
    bent = tables()
    bent["lemma5"]["lambda_min"] = -0.2  # below minus the ridge
    row = CLAIMS["A10"].row(bent, LIMITS)
    assert row["verdict"] == UNTESTABLE
    assert "not a minimum" in row["scale"]


def a11(change=lambda made: None):
    made = architecture_tables()
    change(made)
    return CLAIMS["A11"].row(made, LIMITS)


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


def test_architectures_that_were_not_measured_count_neither_way():
    for column in HOLDS:
        row = a11(spoilt("MLP", column, np.nan))
        assert row["verdict"] == REPRODUCED
        assert row["held"] == 14
        assert "of 15 cells 14 hold, 1 not testable" in row["scale"]
        assert f"{landscape.QUANTITIES[column][0]}: 2 hold, 1 not testable" in row["control"]

        def spoil(made, column=column):
            spoilt("MLP", column, np.nan)(made)
            spoilt("GRU", column, FAILS[column])(made)

        assert a11(spoil)["verdict"] == PARTLY

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
