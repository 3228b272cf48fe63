"""Paper B's dynamics from synthetic tables with a known finding, and with none."""

import numpy as np
import pandas as pd
import pytest
from figure_check import check, drawn, grid, laid_out, modules

from valleyscope.errors import InputError
from valleyscope.figures import repeats
from valleyscope.figures.connectivity import (
    averages,
    branching,
    drift_sweeps,
    optimisers,
    path_drift,
    projected_sgd,
    unprojected,
)
from valleyscope.readings.branching import line_barriers, rises, vanishing_times
from valleyscope.readings.drift import SETTING, exponents, velocities
from valleyscope.readings.sgd import floor_share

PAIRS = ["0-1", "2-3", "4-5"]
STARTS = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95]
FEW = [0.2, 0.35, 0.65, 0.8]
SPEED = {  # outward, path lengths a step
    "momentum": 1e-4,
    "descent": 1e-5,
    "noise": 0.0,
    "free": 5e-5,
    "sgd": 2e-5,
    "slow": 5e-5,
    "nesterov": 1e-4,
    "decay": 1.2e-4,
    "adam": 3e-4,
    "matched": 1e-4,
}
STEPS = {"momentum": 1500, "descent": 150, "noise": 600, "free": 1500}
STEP_SIZE = {"adam": 0.02, "matched": 0.03}


def sgd_tables(runs=tuple(SPEED), speed=SPEED, scatter=0.02, noise=0.0):
    """Straight motion outward at `speed`; pairs differ by `scatter` of it, replicas by `noise`.

    The path's loss is 0.02 at 0.5 and rises by 0.01 to either end; the straight line's is far higher.
    """
    rng = np.random.default_rng(0)
    tables = []
    for run in runs:
        few = run not in STEPS
        steps = range(0, STEPS.get(run, 900) + 1, 15)
        table = grid(run=[run], pair=PAIRS, start=FEW if few else STARTS, copy=[0, 1], step=steps)
        table["replica"] = 2 * table.groupby("start").ngroup() + table["copy"]
        table["t_eff"] = table["step"] * 0.02
        factor = 1 + scatter * (table["pair"].map(PAIRS.index) - 1)
        moved = np.sign((table["start"] - 0.5).round(9)) * speed[run] * factor * table["step"]
        walk = np.concatenate(
            [np.cumsum(rng.normal(size=len(steps))) - 0 for _ in range(len(table) // len(steps))]
        )
        table["position"] = (table["start"] + moved + noise * walk).clip(0, 1)
        growth = 0.1 * np.sqrt(table["step"]) if run == "free" else 1.5
        moving = table["step"] > 0
        table["distance"] = np.where(moving, growth * factor, 0)
        table["loss"] = np.where(moving, (0.05 if run == "free" else 0.1) * factor, np.nan)
        table["step_size"] = np.where(moving, STEP_SIZE.get(run, 0.05) * factor, np.nan)
        tables.append(table.drop(columns="copy"))
    losses = grid(
        variant=["adamw", "sgd"], kind=["straight", "autoneb"], pair=PAIRS, position=np.linspace(0, 1, 101)
    )
    looked_at = (losses["variant"] == "adamw") & (losses["kind"] == "autoneb")
    losses["train_loss"] = np.where(looked_at, 0.02 + 0.02 * (losses["position"] - 0.5).abs(), 3.0)
    return pd.concat(tables, ignore_index=True), losses


def speed_tables(*args, **options):
    """The same with every replica on the valley floor."""
    table, losses = sgd_tables(*args, **options)
    return table.assign(loss=0.02), losses


RATES = [0.005, 0.01, 0.02, 0.04]
BASE = {"learning_rate": 0.02, "batch": 4, "steps": 15}
SWEEPS = {"learning_rate": RATES, "batch": [2, 4, 8], "steps": [5, 15, 30]}


def drift_tables(too_large=lambda rate: 1.0, noise=0.0, power=None):
    """Formula's drift, outward; the linear prediction is `too_large` times that, the first order twice that.

    `power` replaces the exponents (learning_rate, batch) of the measured drift.
    """
    rng = np.random.default_rng(1)
    rows = [BASE | {name: value} for name, values in SWEEPS.items() for value in values]
    settings = pd.DataFrame(rows).drop_duplicates()
    positions = (np.arange(14) + 0.5) / 14
    table = grid(pair=PAIRS, position=positions).merge(settings, how="cross")
    eta, b, m = (table[name] for name in SETTING)
    level = (
        0.01
        * (1 + 0.03 * (table["pair"].map(PAIRS.index) - 1))
        * (eta / 0.02) ** 3
        * m
        * (m - 1)
        / 210
        * 4
        / b
    )
    shape = np.sin(2 * np.pi * (table["position"] - 0.5))
    truth = level * shape
    se = 0.04 * level
    measured = table.assign(
        descent=1e-4 * shape * eta / 0.02,
        displacement_se=se,
        entropic=truth + noise * se * rng.normal(size=len(table)),
        followed=truth * 1.02,
        followed_se=se,
    )
    if power:
        measured["entropic"] *= (eta / 0.02) ** (power[0] - 3) * (b / 4) ** (power[1] + 1)
    linear = truth * eta.map(too_large)
    predicted = table.assign(predicted=linear, predicted_se=se, leading=2 * linear, leading_se=se)
    slopes = grid(pair=PAIRS, predictor=["linear", "followed", "leading"]).merge(settings, how="cross")
    share = {"linear": 1.0, "followed": 1.02, "leading": 2.0}
    slopes["slope"] = 1 / slopes["learning_rate"].map(too_large) * slopes["predictor"].map(share) ** -1.0
    slopes["slope"] *= 1 + 0.01 * (slopes["pair"].map(PAIRS.index) - 1)
    slopes["slope_se"], slopes["chi2_dof"], slopes["points"] = 0.02, 1.1, 14
    other = (slopes["batch"] != 4) | (slopes["steps"] != 15)
    slopes.loc[other, "slope"] = 9.0  # must not be read
    return measured, predicted, slopes


def sweep_tables(**options):
    measured, predicted, _ = drift_tables(**options)
    speeds = velocities(measured, predicted)
    return speeds, exponents(speeds)


BRANCHES = [0, 25, 75, 150, 300]
LOSS = [3.0, 1.0, 0.1, 0.02, 0.01]  # barriers, by branch
TRACE = [900.0, 800.0, 500.0, 200.0, 30.0]
PARENTS = [10, 11, 12]


def children_tables(loss=LOSS, trace=TRACE, rise=0.0):
    """Parabolas of given height between children; checkpoints fall to the end, with a hump of `rise`."""
    losses = grid(
        parent=PARENTS, line=["children", "checkpoint"], branch=BRANCHES, position=np.linspace(0, 1, 21)
    )
    hump = 4 * losses["position"] * (1 - losses["position"])
    factor = 1 + 0.1 * (losses["parent"] - 11)
    between = 0.02 + hump * losses["branch"].map(dict(zip(BRANCHES, loss, strict=True))) * factor
    start = losses["branch"].map(dict(zip(BRANCHES, [4.0, 2.0, 0.5, 0.1, 0.04], strict=True))) * factor
    run = start * (0.02 / start) ** losses["position"] + 2 * rise * hump * start
    losses["train_loss"] = np.where(losses["line"] == "children", between, run)
    curvature = grid(parent=PARENTS, branch=BRANCHES, position=[0, 0.25, 0.5, 0.75, 1])
    hump = 4 * curvature["position"] * (1 - curvature["position"])
    height = curvature["branch"].map(dict(zip(BRANCHES, trace, strict=True)))
    curvature["trace"] = 600 + hump * height * (1 + 0.1 * (curvature["parent"] - 11))
    curvature["trace_se"] = 20.0
    return losses, curvature


POINTS = {
    "path": (PAIRS, ["end 0", "end 1", "0.25", "0.5", "0.75"], [None]),
    "children": (PARENTS, ["end 0", "end 1", "middle"], BRANCHES),
    "swa": (PAIRS, ["last", "average"], [None]),
}


def averages_table(gain=0.02, scatter=0.1):
    """Averages gain `gain` accuracy and twice that of scaled loss, lose raw loss and get flatter."""
    tables = [
        grid(source=[source], repeat=names, branch=branches, point=points)
        for source, (names, points, branches) in POINTS.items()
    ]
    table = pd.concat(tables, ignore_index=True)
    average = ~table["point"].isin(["end 0", "end 1", "last"])
    side = table["point"].map({"end 0": 1.0, "end 1": -1.0}).fillna(0)  # cancels in the mean of the ends
    index = table["repeat"].map(lambda name: (PAIRS.index(name) if name in PAIRS else name - 10) - 1)
    size = average * (1 + scatter * index)
    failed = average & (table["branch"] == 0)  # far apart: the mean of the children is no minimum
    table["accuracy"] = 0.3 + 0.01 * side + gain * size - 0.2 * failed * size
    table["scaled_loss"] = 3.5 - 0.05 * side - 2 * gain * size + 1.0 * failed * size
    table["held_out_loss"] = 9 + side + 0.3 * size
    table["train_loss"] = 0.03 + 0.001 * side + 3.0 * failed * size
    table["trace"] = 600 + 50 * side - 200 * size
    table["temperature"], table["trace_se"] = 3.0, 10.0
    return (table,)


CASES = {
    projected_sgd: (
        sgd_tables,
        [
            "moves outward, to the nearer end of the path: by t_eff = 30 its mean outward displacement from "
            "starts in [0.2, 0.8] is 0.15 [0.143, 0.157] of the path",
            "t_eff = 3, the last step that all runs share, it is, from the starts that all share (0.2, 0.3, "
            "0.4, 0.6, 0.7, 0.8), 0.015 [0.0143, 0.0157], that of full-batch "
            "descent (control) 0.0015 [0.00143, 0.00157]",
            "(null) 0 [0, 0], SGD minus descent 0.0135",
            "outward from the starts 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95 and inward from none",
            "36 replicas with starts in [0.2, 0.8], 36 have moved outward by t_eff = 30 and 36 are off the "
            "valley floor",
            "a share of 1 [1, 1] of all replicas (null, by t_eff = 12: 0 [0, 0])",
            "is higher at the end than at the start (0.003 [0.00285, 0.00315] nats per token)",
            "over 3 independent pairs of minima, 2 replicas of SGD a start",
        ],
    ),
    optimisers: (
        lambda: speed_tables(),
        [
            "momentum is faster than its fair partner, plain SGD at rate η/(1−β) (ratio 2 [2, 2])",
            "Adam is faster than plain SGD with Adam's RMS step over the run (ratio 3 [3, 3])",
            "momentum is faster than plain SGD at the same rate (ratio 5 [5, 5])",
            "Nesterov is not shown to differ from momentum (ratio 1 [1, 1])",
            "momentum with weight decay is faster than momentum without it (ratio 1.2 [1.2, 1.2])",
            "step is 1.5 [1.5, 1.5] times Adam's in the first period and 1.5 [1.5, 1.5] times over the run",
            "(all runs: 0.2, 0.8; not 0.5)",
            "is no drift: plain SGD 0 of 24, momentum 0 of 36, plain SGD at η/(1−β) 0 of 24",
            "(step 330 or 825 or 900)",
        ],
    ),
    unprojected: (
        sgd_tables,
        [
            "SGD goes on leaving the path: at t_eff = 30 replicas are 3.87 [3.68, 4.07] away",
            "1.41 [1.41, 1.41] times as far as at half the time; with projection, 1.5 [1.43, 1.58] before",
            "moves outward: 0.075 [0.0713, 0.0787] of the path (projected: 0.15 [0.143, 0.157]; free minus "
            "projected: -0.075",
            "is 0.05 [0.0476, 0.0525] nats per token, lower than with projection (0.1 [0.0951, 0.105])",
        ],
    ),
    path_drift: (
        lambda: drift_tables(lambda rate: 1 + 0.5 * (rate > 0.01) + 3 * (rate > 0.02)),
        [
            "At η = 0.005 the entropic drift agrees with the prediction within 15 %: slope 1 [0.975, 1.02]",
            "degrees of freedom 1.1 [1.1, 1.1]), 0.5 [0.488, 0.512] to first order in ηλ, 0.98 [0.956, 1]",
            "C from the recursion agrees at 0.005, 0.01, departs at 0.02, 0.04, undecided at none",
            "displacement is 6.24 [5.79, 6.72] (η = 0.005) and 399 [371, 430] (η = 0.04) times that of full",
            "Plain SGD, 15 steps, batch 4",
        ],
    ),
    drift_sweeps: (
        sweep_tables,
        [
            "The entropic drift is faster for smaller B, larger η and more steps m between projections.",
            "B with exponent -1 [-1, -1], predicted -1 [-1, -1], formula -1 (in the interval)",
            "of η with exponent 2 [2, 2], predicted 2 [2, 2], formula 2 (in the interval)",
            "At the base (B = 4, η = 0.02, m = 15) it is 0.0229 [0.0212, 0.0247], predicted",
        ],
    ),
    branching: (
        children_tables,
        [
            "between children vanishes before that of Tr H at 10 of 11 tolerances and after it at none",
            "barrier stays below from step 63.9 [63.9, 63.9] on, that of Tr H from 247 [247, 247] on",
            "0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, Tr H first at none, undecided at none, "
            "not comparable at 0.02",
            "[0.00333, 0.00333] of the largest loss barrier and 0.0333 [0.0333, 0.0333] of the largest Tr H",
            "3 of 15 Tr H barriers are within 2 standard errors of 0",
            "from no step and rises in no parent from step 0, 25, 75, 150, 300",
            "between children of step 0 151 [117, 193] times",
        ],
    ),
    averages: (
        averages_table,
        [
            "accuracy is better (0.02 [0.015, 0.025]), temperature-scaled held-out loss is better (-0.04",
            "raw held-out loss is worse (0.3 [0.225, 0.375])",
            "Tr H is flatter (-200 [-250, -150]), against ends of 0.3 [0.3, 0.3] (held-out accuracy)",
            "held-out accuracy better for 25, 75, 150, 300, worse for 0",
            "SWA against the last weights: held-out accuracy is better (0.02",
            "over 3 pairs of minima (path), 3 parents (children), 3 runs (swa)",
        ],
    ),
}


@modules(CASES)
def test_the_findings_are_in_the_caption_and_the_bytes_are_the_same(module, tmp_path):
    make, findings = CASES[module]
    check(module, make(), findings, tmp_path)


@modules(CASES)
def test_two_repeats_are_enough(module):
    """Of any number: two pairs or parents are the fewest that have an interval."""
    tables = []
    for table in CASES[module][0]():
        for column, kept in (
            ("pair", PAIRS[1:]),
            ("parent", PARENTS[1:]),
            ("repeat", PAIRS[1:] + PARENTS[1:]),
        ):
            if column in table:
                table = table[table[column].isin(kept)]
        tables.append(table.reset_index(drop=True))
    _, caption = laid_out(module, tables)
    assert any(f"over 2 {name}" in caption for name in ("independent pairs", "independent parents", "pairs"))


# ---------------------------------------------------------------- projected SGD


def test_scatter_around_zero_is_no_displacement():
    """Pairs that move by +d, -d and 0 have mean 0; the mean of |d| would not."""
    table, losses = sgd_tables(["momentum", "descent", "noise"], dict.fromkeys(SPEED, 0.0))
    sign = table["pair"].map(dict(zip(PAIRS, [1.0, -1.0, 0.0], strict=True)))
    moved = 1e-4 * sign * table["step"] * np.sign(table["start"] - 0.5) * (table["run"] == "momentum")
    table["position"] = (table["start"] + moved).clip(0, 1)
    _, caption = drawn(projected_sgd, [table, losses])
    assert "shows no direction on the path" in caption
    assert "outward from the starts none and inward from none" in caption
    assert "is not shown to differ between start and end" in caption


def test_motion_inward_is_not_called_outward():
    inward = SPEED | {"momentum": -1e-4}
    _, caption = drawn(projected_sgd, sgd_tables(["momentum", "descent", "noise"], inward))
    assert "moves inward, away from the nearer end of the path: by t_eff = 30 its mean outward" in caption
    assert "0 have moved outward by t_eff = 30 and 36 are off the valley floor" in caption
    assert "is lower at the end than at the start (-0.00" in caption
    assert "from the starts none and inward from 0.05, 0.1" in caption


def test_descent_that_moves_as_far_leaves_nothing_beyond_it():
    same = SPEED | {"descent": SPEED["momentum"]}
    _, caption = drawn(projected_sgd, sgd_tables(["momentum", "descent", "noise"], same))
    assert "SGD minus descent 0 [0, 0]" in caption
    assert "outward from the starts none and inward from none" in caption


def test_outward_is_towards_the_nearer_end_and_undefined_from_the_middle():
    table = pd.DataFrame({"start": [0.3, 0.3, 0.7, 0.7, 0.5], "position": [0.2, 0.4, 0.8, 0.6, 0.6]})
    assert projected_sgd.outward(table)[:4].to_numpy() == pytest.approx([0.1, -0.1, 0.1, -0.1])
    assert np.isnan(projected_sgd.outward(table)[4])


def test_uphill_is_read_off_the_path_of_the_pair_and_only_from_inside():
    table, losses = sgd_tables(["momentum"])
    table["outward"] = projected_sgd.outward(table)
    flipped = (losses["pair"] == "0-1") & (losses["train_loss"] < 1)
    losses.loc[flipped, "train_loss"] = 0.04 - losses.loc[flipped, "train_loss"]
    changes = projected_sgd.final_changes(table, losses, "momentum")
    assert sorted(changes["start"].unique()) == [0.2, 0.3, 0.4, 0.6, 0.7, 0.8]
    assert projected_sgd.uphill(changes).to_dict() == {"0-1": 0.0, "2-3": 1.0, "4-5": 1.0}
    assert np.allclose(changes["loss_change"].abs(), 0.02 * changes["outward"])


# ---------------------------------------------------------------- optimisers


def test_a_run_that_does_not_move_outward_has_no_ratio():
    table, losses = speed_tables(["momentum", "slow", "sgd"])
    still = (table["run"] == "slow") & (table["pair"] == "2-3")
    table.loc[still, "position"] = table.loc[still, "start"]
    _, caption = laid_out(optimisers, [table, losses])
    assert (
        "is not determined (by step 900 one of them did not move outward, or most of its replicas had left "
        "the valley floor, in 1 of 3 pairs)" in caption
    )
    assert "momentum is faster than plain SGD at the same rate" in caption
    assert "Adam" not in caption


def test_pairs_that_disagree_show_no_difference_of_speed():
    table, losses = speed_tables(["momentum", "slow"], SPEED | {"slow": 1e-4})
    factor = table["pair"].map(dict(zip(PAIRS, [0.5, 1.0, 2.0], strict=True))) * (table["run"] == "slow")
    moved = (table["position"] - table["start"]) * factor.where(factor > 0, 1)
    _, caption = drawn(optimisers, [table.assign(position=table["start"] + moved), losses])
    assert "momentum is not shown to differ from its fair partner, plain SGD at rate η/(1−β)" in caption


def test_speeds_are_taken_before_the_end_of_the_path_stops_a_run():
    """Ten times as fast, and at the end of the path after a third of the steps: the ratio is still ten."""
    table, losses = speed_tables(["adam", "matched"], SPEED | {"adam": 1e-3, "matched": 1e-4}, scatter=0)
    ratio, step = optimisers.speed_ratio(table, losses, "adam", "matched")
    assert ratio.to_numpy() == pytest.approx(10)
    assert step == 90


def test_only_starts_that_both_runs_have_are_compared():
    """Speeds grow towards the ends: from other starts a run would look faster."""
    table, losses = speed_tables(["momentum", "slow"], SPEED | {"slow": 1e-4})
    depth = 0.5 - (table["start"] - 0.5).abs()
    moved = (table["position"] - table["start"]) * (1 - depth)
    _, caption = drawn(optimisers, [table.assign(position=table["start"] + moved), losses])
    assert "(ratio 1 [1, 1])" in caption
    with pytest.raises(InputError, match="share no start"):
        optimisers.draw(table[(table["run"] == "slow") | ~table["start"].isin(FEW)], losses)


def test_a_run_that_left_the_valley_floor_has_no_speed():
    table, losses = speed_tables(["momentum", "slow", "sgd"])
    gone = (table["run"] == "slow") & (table["pair"] == "2-3")
    table.loc[gone & (table["replica"] == 0), "loss"] = 5.0
    ratio, step = optimisers.speed_ratio(table, losses, "momentum", "slow")
    assert ratio.notna().all()  # one of three replicas
    table.loc[gone, "loss"] = 5.0
    ratio, _ = optimisers.speed_ratio(table, losses, "momentum", "slow")
    assert ratio.isna().to_dict() == {"0-1": False, "2-3": True, "4-5": False}
    assert floor_share(table, losses, "slow", step).to_dict() == {"0-1": 1, "2-3": 0, "4-5": 1}
    _, caption = laid_out(optimisers, [table, losses])
    assert "left the valley floor, in 1 of 3 pairs)" in caption


# ---------------------------------------------------------------- never projected


def test_a_distance_that_has_settled_is_not_said_to_grow():
    table, losses = sgd_tables(["momentum", "free"], SPEED | {"free": 0.0})
    late = (table["run"] == "free") & (table["step"] > 0)
    table.loc[late, "distance"] = 3.0
    table.loc[late, "loss"] = table.loc[(table["run"] == "momentum") & (table["step"] > 0), "loss"].to_numpy()
    _, caption = drawn(unprojected, [table, losses])
    assert "Without projection SGD is not shown to go on leaving the path: at t_eff = 30" in caption
    assert "The nearest point of the path shows no direction: 0 [0, 0]" in caption
    assert "not shown to differ from with projection" in caption


def test_the_paths_loss_is_that_at_the_nearest_point():
    table, losses = sgd_tables(["momentum", "free"], scatter=0)
    last = unprojected.courses(table, losses).query("step == 1500").set_index("run")["path_loss"]
    assert last["free"].to_numpy() == pytest.approx(
        0.02 + 0.02 * (0.2 + 0.075)
    )  # starts 0.2 from 0.5 on average
    assert last["momentum"].to_numpy() == pytest.approx(0.02 + 0.02 * (0.2 + 0.15))


# ---------------------------------------------------------------- drift


def test_a_slope_agrees_only_with_its_whole_interval():
    assert path_drift.agreement(pd.Series([1.0, 1.02, 0.98]), 0.15) == "agrees"
    assert path_drift.agreement(pd.Series([1.0, 1.1, 0.9]), 0.15) == "undecided"
    assert path_drift.agreement(pd.Series([0.5, 0.52, 0.48]), 0.15) == "departs"
    assert path_drift.agreement(pd.Series([1.5, 1.52, 1.48]), 0.15) == "departs"
    assert path_drift.agreement(pd.Series([1.0]), 0.15) == "undecided"


def test_slopes_that_scatter_show_no_agreement():
    measured, predicted, slopes = drift_tables()
    slopes["slope"] *= slopes["pair"].map(dict(zip(PAIRS, [0.6, 1.0, 1.4], strict=True)))
    _, caption = drawn(path_drift, [measured, predicted, slopes])
    assert "At η = 0.005 the entropic drift is not shown to agree with the prediction within 15 %" in caption
    undecided = "C from the recursion agrees at none, departs at none, undecided at 0.005, 0.01, 0.02, 0.04"
    assert undecided in caption


def test_noise_does_not_count_as_an_entropic_displacement():
    measured, _, _ = drift_tables()
    rng = np.random.default_rng(2)
    noise = measured["displacement_se"] * rng.normal(size=len(measured))
    with_noise = path_drift.sizes(measured.assign(entropic=measured["entropic"] + noise))
    assert with_noise["entropic"].to_numpy() == pytest.approx(
        path_drift.sizes(measured)["entropic"], rel=0.05
    )
    still = path_drift.sizes(measured.assign(entropic=0.5 * measured["displacement_se"]))
    assert still["entropic"].isna().all()


def test_the_measured_and_predicted_points_are_where_they_should_be():
    measured, predicted, slopes = drift_tables(lambda rate: 1.5)
    figure, _ = drawn(path_drift, [measured, predicted, slopes])
    scatter = figure.axes[3]  # three pairs, then the smallest learning rate
    lines = [line for line in scatter.lines if len(line.get_xdata()) == 42]
    ratios = sorted(np.median(line.get_ydata() / line.get_xdata()) for line in lines)
    assert ratios == pytest.approx([1 / 1.5, 1 / 1.02])


def test_powers_that_do_not_fit_the_formula_are_seen():
    """A drift that goes as η instead of η² in velocity and does not depend on B."""
    _, caption = drawn(drift_sweeps, sweep_tables(power=(2, 0)))
    assert (
        "The entropic drift is faster for larger η and more steps m between projections. A dependence"
        in caption
    )
    assert "A dependence of the drift's speed on B is not shown." in caption
    assert "of η with exponent 1 [1, 1], predicted 2 [2, 2], formula 2 (outside the interval)" in caption


def test_no_exponent_is_claimed_where_pairs_disagree_or_do_not_drift():
    speeds, powers = sweep_tables()
    powers["exponent"] = powers["pair"].map(dict(zip(PAIRS, [-3.0, 0.0, 3.0], strict=True)))
    speeds.loc[0, "velocity"] *= -1
    _, caption = laid_out(drift_sweeps, [speeds, powers])
    assert caption.startswith("A dependence of the drift's speed on B, η and m is not shown. Outward")
    assert "1 velocities that are not outward cannot be drawn" in caption


def test_a_sweep_varies_one_variable():
    speeds, _ = sweep_tables()
    for variable, values in SWEEPS.items():
        rows = drift_sweeps.sweep(speeds, variable)
        assert sorted(rows[variable].unique()) == values
        assert (rows[[name for name in SETTING if name != variable]].nunique() == 1).all()


# ---------------------------------------------------------------- branching


def test_barriers_are_highest_values_minus_the_mean_of_the_ends():
    children = grid(parent=[1], line=["children", "checkpoint"], branch=[0, 50], position=[0.0, 0.5, 1.0])
    children["train_loss"] = [1.0, 4.0, 2.0, 1.0, 1.5, 2.0] + [9.0] * 6
    curvature = grid(parent=[1], branch=[0, 50], position=[0.0, 0.5, 1.0])
    curvature["trace"], curvature["trace_se"] = [100.0, 300.0, 200.0, 100.0, 200.0, 100.0], 4.0
    table = line_barriers(children.sample(frac=1, random_state=0), curvature).set_index("branch")
    assert table["loss_barrier"].to_list() == [2.5, 0.5]  # an end higher than the rest of the line counts
    assert table["curvature_barrier"].to_list() == [150.0, 100.0]
    assert table["loss_relative"].to_list() == pytest.approx([1, 0.2])
    assert table["curvature_relative"].to_list() == pytest.approx([1, 2 / 3])
    assert table["loss_over_ends"].to_list() == pytest.approx([2.5 / 1.5, 0.5 / 1.5])
    assert table["curvature_over_ends"].to_list() == pytest.approx([1, 1])
    assert table["curvature_se"].to_list() == pytest.approx([4 * 1.5**0.5] * 2)


def test_the_largest_barrier_of_each_parent_is_its_own_reference():
    """Tr H has its largest barrier not at the first branch, between whose children the loss is too high."""
    children, curvature = children_tables(trace=[10.0, 800.0, 500.0, 200.0, 30.0])
    table = line_barriers(children, curvature)
    by_parent = table.loc[table.groupby("parent")["curvature_barrier"].idxmax()]
    assert by_parent["branch"].to_list() == [25, 25, 25]
    assert by_parent["curvature_relative"].to_list() == [1, 1, 1]
    assert table.groupby("parent")["loss_relative"].max().to_list() == [1, 1, 1]
    assert table["curvature_relative"].max() == 1


def test_a_barrier_has_vanished_when_it_stays_below():
    barriers = pd.DataFrame({"parent": 1, "branch": [200, 0, 50, 100]})
    barriers["loss_relative"] = [0.05, 1.0, 0.05, 0.4]  # below at 50, above again at 100
    barriers["curvature_relative"] = [0.5, 1.0, 0.8, 0.6]
    times = vanishing_times(barriers, [0.1, 0.5, 0.7]).set_index("tolerance")
    expected = [100 + 100 * 0.3 / 0.35, 50 * 0.5 / 0.95, 50 * 0.3 / 0.95]  # straight between branches
    assert times["loss_time"].to_list() == pytest.approx(expected)
    assert times["curvature_time"].isna().to_list() == [True, True, False]  # 0.5 is not below 0.5
    assert times.loc[0.7, "curvature_time"] == pytest.approx(75)


def test_a_line_that_falls_all_the_way_does_not_rise():
    falls = rises(children_tables()[0]).query("line == 'checkpoint'")
    assert falls["ratio"].to_numpy() == pytest.approx(1)
    _, caption = drawn(branching, children_tables(rise=2.0))
    assert "above the higher end from step 0, 25, 75, 150, 300 and rises in no parent from no step" in caption


def test_curvature_that_vanishes_first_is_not_called_last():
    scaled = 3.0 / 900.0
    _, caption = drawn(branching, children_tables([t * scaled for t in TRACE], [v / scaled for v in LOSS]))
    assert caption.startswith("The barrier of Tr H between children vanishes before that of the loss.")


def test_barriers_that_vanish_together_have_no_order():
    _, caption = drawn(branching, children_tables(trace=[value * 300 for value in LOSS]))
    assert caption.startswith("Which barrier between children vanishes first is not shown.")
    assert "Loss vanishes first at tolerances none, Tr H first at none" in caption


def test_parents_that_disagree_show_no_order():
    children, curvature = children_tables()
    early, late = ((children if name == "loss" else curvature).copy() for name in ("loss", "curvature"))
    swapped, plain = children_tables([t / 300 for t in TRACE], [v * 300 for v in LOSS])
    children = pd.concat([early[early["parent"] != 10], swapped[swapped["parent"] == 10]])
    curvature = pd.concat([late[late["parent"] != 10], plain[plain["parent"] == 10]])
    _, caption = laid_out(branching, [children, curvature])
    assert "Loss vanishes first at tolerances none, Tr H first at none" in caption


def test_the_times_are_drawn_only_where_every_parent_has_one():
    children, curvature = children_tables()
    stays = (curvature["parent"] == 10) & (curvature["position"] == 0.5) & (curvature["branch"] == 300)
    curvature.loc[stays, "trace"] = 900.0
    figure, caption = drawn(branching, [children, curvature])
    assert "that of Tr H from no step in 1 of 3 parents on" in caption
    drawn_at = [line.get_xdata() for line in figure.axes[1].lines]
    assert min(map(min, drawn_at)) == pytest.approx(0.02, rel=0.05)
    tolerances = {
        round(x / 1.02, 6) for line in drawn_at for x in line if round(x / 1.02, 6) in branching.TOLERANCES
    }
    assert min(tolerances) == 0.4  # (900 − 600) / 810 of the largest


# ---------------------------------------------------------------- averages


def test_gains_that_scatter_around_zero_are_no_finding():
    _, caption = drawn(averages, averages_table(scatter=20.0))
    inside = caption.split(", against ends")[0]
    assert inside.count("is not shown to differ") == 5
    assert "better for none, worse for none" in caption


def test_worse_averages_are_called_worse():
    _, caption = drawn(averages, averages_table(gain=-0.02))
    assert "held-out accuracy is worse (-0.02" in caption
    assert "temperature-scaled held-out loss is worse (0.04" in caption


def test_averages_are_compared_with_what_they_average():
    table = averages.differences(averages_table(scatter=0)[0])
    path = table[table["source"] == "path"]
    assert set(path["point"]) == {"0.25", "0.5", "0.75"}
    assert path["trace"].to_numpy() == pytest.approx(-200)
    assert len(table[table["source"] == "children"]) == len(PARENTS) * len(BRANCHES)
    failed = table[(table["source"] == "children") & (table["branch"] == 0)]
    assert failed["train_loss"].to_numpy() == pytest.approx(3)
    assert set(table.loc[table["source"] == "swa", "point"]) == {"average"}


def test_points_read_from_a_file_without_names_are_the_same(tmp_path):
    """A file with paths only has numbers in its column of repeats or points."""
    (table,) = averages_table()
    table.to_csv(tmp_path / "averages.csv", index=False)
    _, caption = drawn(averages, [table])
    _, again = drawn(averages, [pd.read_csv(tmp_path / "averages.csv")])
    assert caption == again


# ---------------------------------------------------------------- what they share


def test_what_repeats_show():
    assert repeats.shown([1.0, 1.1, 0.9]) == 1
    assert repeats.shown([1.0, 1.1, 0.9], reference=2.0) == -1
    assert repeats.shown([1.0, -1.0, 0.5]) == 0
    assert repeats.shown([1.0]) == 0
    assert repeats.shown(np.log([1 + 1e-15, 1 + 1e-15])) == 0
    assert repeats.shown([1.0, 1.1, np.nan]) == 1
    assert repeats.quoted([1.0, np.nan]) == "1 (1 of 2 repeats)"
    assert repeats.quoted([np.nan]) == "not measured"


def test_a_geometric_summary_leaves_out_what_has_no_logarithm():
    table = pd.DataFrame({"x": [0, 0, 0, 1, 1], "y": [1.0, 100.0, -3.0, np.nan, -1.0]})
    rows = repeats.summary(table, "x", "y", repeats.GEOMETRIC)
    assert rows.index.to_list() == [0]
    assert rows.loc[0, "mean"] == pytest.approx(10)
    assert repeats.summary(table, "x", "y").loc[0, "mean"] == pytest.approx(98 / 3)


def test_intervals_over_many_decades_are_cut_and_said_to_be():
    speeds, powers = sweep_tables()
    _, caption = drawn(drift_sweeps, [speeds, powers])
    assert "are cut" not in caption
    speeds["velocity"] *= speeds["pair"].map(dict(zip(PAIRS, [1e-3, 1.0, 1e3], strict=True)))
    figure, caption = drawn(drift_sweeps, [speeds, powers])
    assert "Intervals are cut a factor of 30 beyond the means." in caption
    low, high = figure.axes[0].get_ylim()
    assert high == pytest.approx(30 * speeds["predicted"].max(), rel=0.1)
    assert figure.axes[1].get_ylim() == (low, high)
