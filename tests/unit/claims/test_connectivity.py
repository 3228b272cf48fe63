"""Verdicts on Paper B's claims from synthetic tables whose truth is known, in both directions."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from claims_tables import LIMITS
from claims_tables import tables as increment_tables
from figure_check import grid

from valleyscope.claims import connectivity, judge_claims
from valleyscope.claims.verdicts import NOT, PARTLY, REPRODUCED, UNTESTABLE
from valleyscope.errors import InputError

SRC = Path(__file__).parents[3] / "src"
PAIRS = ["0-1", "2-3", "4-5"]
PARENTS, BRANCHES = [10, 11, 12], [0, 20, 60, 150]
KINDS = {"adamw": ["straight", "bezier", "autoneb"], "sgd": ["autoneb"]}
STARTS = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
LEDGER = ["B1", "B2", "B3", "B3x", "B4", "B5", "B6", "B7", "B8", "B9", "B10", "B11", "C1"]


def scatter(table, size=0.01):
    """1 ± size by pair or parent."""
    name = next(n for n in ("pair", "parent", "repeat", "seed") if n in table)
    index = table[name].map(dict(zip(table[name].unique(), range(99), strict=False)))
    return 1 + size * (index % 3 - 1)


def tables(
    coefficient=0.5,
    highest=1.0,
    bezier=1.1,
    rise=2.0,
    norm=1.0,
    variance=2.0,
    outward=0.1,
    loss_end=0.02,
    exponents=(-1.0, 2.0),
    fair=3.0,
    loss_gone=20,
    curvature_gone=150,
    slope=1.0,
    free=0.1,
    gain=0.02,
    hump=1.0,
    loss=0.03,
):
    """Every table of Paper B with those findings.

    `norm`: group norms in the middle over the ends. `loss_end`: change of the path's loss from the middle
    outward; `loss`: of the minibatches. `fair`: speed over the fair partner's. `loss_gone`, `curvature_gone`:
    branch steps from which on the barriers are 0. `hump`: loss in the middle of a run's line over its chord.
    """
    fits = grid(
        seed=range(5),
        noise=["isotropic", "proportional"],
        quantity=["density", "drift"],
        step_size=[1e-3, 5e-4],
        law=["log", "linear"],
    )
    own = (fits["noise"] == "isotropic") == (fits["law"] == "log")
    fits["coefficient"] = np.where(own, coefficient, 0.9) * scatter(fits)
    fits["chi2_dof"] = np.where(own, 1.0, 20.0)

    kinds = pd.DataFrame([(v, k) for v in KINDS for k in KINDS[v]], columns=["variant", "kind"])
    along = kinds.merge(grid(pair=PAIRS, position=np.linspace(0, 1, 21).round(9)), how="cross")
    bump = 1 - (2 * (along["position"] - 0.5)).abs()  # 0 at the ends, 1 in the middle
    losses = along.copy()
    top = along["kind"].map({"straight": 100.0, "bezier": bezier, "autoneb": highest})
    losses["train_loss"] = 0.02 * (1 + (top - 1) * bump - loss_end * bump) * scatter(losses)
    curvature = along.copy()
    for name in ("trace", "lambda_max"):
        curvature[name] = 100 * (1 + (rise - 1) * np.minimum(1, 2 * bump)) * scatter(curvature)
    curvature["train_loss"], curvature["trace_se"] = losses["train_loss"], 1.0
    leading = curvature.merge(pd.DataFrame({"rank": [1, 2]}), how="cross")
    leading["eigenvalue"] = leading["lambda_max"] / leading["rank"]
    groups = curvature.merge(pd.DataFrame({"group": ["up", "down"]}), how="cross")
    groups["norm"] = 1 + (norm - 1) * np.minimum(1, 2 * (1 - 2 * (groups["position"] - 0.5).abs()))
    groups["trace"] = groups["trace"] / 2
    looked = curvature[(curvature["kind"] == "autoneb") & (curvature["variant"] == "adamw")]
    criteria = looked.merge(grid(dim=[1, 4], sigma=[1e-3, 1e-2]), how="cross")
    shape = np.minimum(1, 2 * (1 - 2 * (criteria["position"] - 0.5).abs()))
    criteria["variance"] = (1 + (variance - 1) * shape) * scatter(criteria)
    criteria["value"] = 1.0

    speed = {
        "momentum": outward,
        "free": free,
        "slow": outward / fair,
        "nesterov": outward,
        "adam": outward,
        "matched": outward / fair,
        "sgd": outward / 10,
        "descent": 0.001,
        "noise": 0.0,
    }
    runs = grid(run=list(speed), pair=PAIRS, start=STARTS, replica=[0, 1], step=[0, 300, 600])
    side = np.sign((runs["start"] - 0.5).round(9))
    moved = runs["run"].map(speed) * runs["step"] / 600 * scatter(runs)
    runs["position"] = runs["start"] + side * moved
    runs["t_eff"] = runs["step"] * 0.1
    runs["distance"], runs["loss"], runs["step_size"] = 1.0 + runs["step"] / 600, loss, 0.05

    settings = pd.DataFrame(
        [(0.1, 4, 15), (0.2, 4, 15), (0.1, 2, 15), (0.1, 8, 15), (0.1, 4, 5)],
        columns=["learning_rate", "batch", "steps"],
    )
    velocities = grid(pair=PAIRS).merge(settings, how="cross")
    velocities["velocity"], velocities["descent"] = 1e-3 * scatter(velocities), 1e-4 * scatter(velocities)
    powers = {"batch": exponents[0], "learning_rate": exponents[1], "steps": 1.0}
    found = grid(pair=PAIRS, variable=list(powers))
    found["exponent"] = found["variable"].map(powers) * scatter(found)
    found["predicted"] = found["formula"] = found["variable"].map(powers)
    fitted = grid(pair=PAIRS, predictor=["linear", "followed", "leading"]).merge(settings, how="cross")
    fitted["slope"] = slope * scatter(fitted)
    fitted.loc[(fitted["batch"] != 4) | (fitted["steps"] != 15), "slope"] = 9.0  # not to be read
    fitted["chi2_dof"] = 1.0 * scatter(fitted)

    children = grid(
        parent=PARENTS, branch=BRANCHES, position=np.linspace(0, 1, 5), line=["children", "checkpoint"]
    )
    inside = children["position"] == 0.5
    between = children["line"] == "children"
    barrier = (children["branch"] < loss_gone) * 3.0
    start = np.where(between, 0.02, 0.02 + 5.0 * (1 - children["position"]))  # of a run, from far above
    children["train_loss"] = start + inside * np.where(between, barrier, start * (hump - 1))
    children["train_loss"] *= scatter(children)
    bend = grid(parent=PARENTS, branch=BRANCHES, position=[0.0, 0.5, 1.0])
    bend["trace"] = 100 + 500.0 * (bend["position"] == 0.5) * (bend["branch"] < curvature_gone)
    bend["trace_se"] = 1.0

    rows = [("path", p, None, n) for p in PAIRS for n in ("end 0", "end 1", "0.5")]
    rows += [("children", p, b, n) for p in PARENTS for b in BRANCHES for n in ("end 0", "end 1", "middle")]
    rows += [("swa", p, None, n) for p in PAIRS for n in ("last", "average")]
    averages = pd.DataFrame(rows, columns=["source", "repeat", "branch", "point"])
    better = gain * averages["point"].isin(["0.5", "middle", "average"]) * scatter(averages)
    averages["accuracy"], averages["scaled_loss"] = 0.3 + better, 3.0 - 2 * better
    averages["held_out_loss"] = averages["train_loss"] = averages["trace"] = 1.0
    return {
        "valley_fits": fits,
        "path_losses": losses,
        "path_curvature": curvature,
        "path_eigenvalues": leading,
        "path_groups": groups,
        "path_criteria": criteria,
        "projected_sgd": runs,
        "drift_velocities": velocities,
        "drift_exponents": found,
        "drift_slopes": fitted,
        "children": children,
        "children_curvature": bend,
        "averages": averages,
    }


def verdicts(**truth):
    made = tables(**truth)
    return pd.DataFrame([claim.row(made, LIMITS) for claim in connectivity.CLAIMS]).set_index("id")


def test_every_claim_of_the_ledger_has_a_row_a_verdict_and_a_control():
    table = judge_claims({**increment_tables(), **tables()}, LIMITS).set_index("id")
    first = ["A1", "A1e", "A2", "A3", "A3x", "A4", "A5", "A6", "A7", "A7x", "A8", "A9", "A9x", "A10", "A11"]
    assert table.index.tolist() == first + LEDGER
    assert set(table["verdict"]) <= {REPRODUCED, PARTLY, NOT, UNTESTABLE}
    assert (table["control"].str.len() > 10).all()
    assert (table["low"] <= table["high"]).all()


def test_tables_in_which_every_claim_holds():
    table = verdicts()
    assert table["verdict"].to_dict() == dict.fromkeys(LEDGER, REPRODUCED)


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
        ("B4", {"loss": 1.0}, PARTLY),  # all off the valley floor
        ("B4", {"highest": 1.1, "loss_end": 0.0}, PARTLY),  # no start from which outward is uphill
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
        # A time beyond the last branch bounds the lag: enough in one measure, in the other too little.
        ("B7", {"loss_gone": 150, "curvature_gone": 999}, PARTLY),
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


def test_a_row_names_its_figure_and_the_tables_it_was_read_from():
    made = {**increment_tables(), **tables()}
    table = judge_claims(made, LIMITS).set_index("id")
    assert table["tables"]["B8"] == "drift_slopes"
    assert table["tables"]["B7"] == "children children_curvature"
    assert set(" ".join(table["tables"]).split()) == set(made)  # none is made for nothing
    assert {f"plot_{name}.py" for name in table["figure"]} <= {p.name for p in SRC.glob("plot_*.py")}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda made: made.pop("drift_slopes"), "the table drift_slopes is missing"),
        (lambda made: made["drift_slopes"].pop("chi2_dof"), "B8 needs .*chi2_dof"),
    ],
)
def test_a_missing_table_or_column_is_named(change, words):
    made = tables()
    change(made)
    claim = next(claim for claim in connectivity.CLAIMS if claim.id == "B8")
    with pytest.raises(InputError, match=words):
        claim.row(made, LIMITS)


@pytest.mark.parametrize("name", ["path_curvature", "projected_sgd", "drift_slopes"])
def test_a_missing_value_makes_a_claim_untestable_not_right(name):
    column = {"path_curvature": "trace", "projected_sgd": "position", "drift_slopes": "slope"}[name]
    made = tables()
    made[name].loc[made[name]["pair"] == "0-1", column] = np.nan
    affected = {"path_curvature": "B3", "projected_sgd": "B9", "drift_slopes": "B8"}[name]
    row = next(claim for claim in connectivity.CLAIMS if claim.id == affected).row(made, LIMITS)
    assert row["verdict"] in (UNTESTABLE, PARTLY)
    assert row["verdict"] != REPRODUCED
