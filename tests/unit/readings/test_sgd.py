"""Readings of SGD beside a path from synthetic tables of known motion."""

import numpy as np
import pandas as pd
import pytest
from figure_check import LIMITS
from sgd_tables import FEW, FLOOR, PAIRS, SPEED, sgd_tables, speed_tables

from valleyscope.errors import InputError
from valleyscope.readings.sgd import (
    beyond_control,
    by_start,
    courses,
    directed,
    final_changes,
    floor_share,
    last_common_step,
    late_loss,
    late_losses,
    late_rows,
    outward,
    path_loss,
    recession,
    shared_starts,
    speed_ratio,
    step_sizes,
    uphill,
    within,
)

INSIDE = LIMITS["inside"]
SPEEDS = FLOOR | {name: LIMITS[name] for name in ("reach", "kept")}


def test_outward_is_towards_the_nearer_end_and_undefined_from_the_middle():
    table = pd.DataFrame({"start": [0.3, 0.3, 0.7, 0.7, 0.5], "position": [0.2, 0.4, 0.8, 0.6, 0.6]})
    assert outward(table)[:4].to_numpy() == pytest.approx([0.1, -0.1, 0.1, -0.1])
    assert np.isnan(outward(table)[4])


def test_a_window_of_starts_holds_its_ends_and_drift_no_middle():
    table = pd.DataFrame({"start": [0.1, 0.2 - 1e-12, 0.5, 0.8 + 1e-12, 0.9], "position": 0.1})
    assert within(table, INSIDE).index.to_list() == [1, 2, 3]
    assert directed(table, INSIDE)["outward"].index.to_list() == [1, 3]


def test_the_starts_and_steps_that_runs_share():
    table, _ = sgd_tables(["momentum", "slow", "descent"])
    assert shared_starts(table) == [0.2, 0.8]
    assert last_common_step(table) == 150
    with pytest.raises(InputError, match="share no start"):
        shared_starts(table[(table["run"] == "slow") | ~table["start"].isin(FEW)])


def test_replicas_are_averaged_within_a_pair_and_start():
    table, _ = sgd_tables(["momentum"])
    table["position"] = table["start"] + table["replica"] % 2
    means = by_start(table, ["position"])
    assert (means["position"] - means["start"]).to_numpy() == pytest.approx(0.5)
    assert len(means) * 2 == len(table)


def test_the_path_s_loss_is_that_of_the_pair_s_own_path():
    _, losses = sgd_tables(["momentum"])
    losses.loc[losses["pair"] == "2-3", "train_loss"] *= 2
    found = path_loss(losses, pd.Series(["0-1", "2-3"]), pd.Series([0.25, 0.255]))
    assert found == pytest.approx([0.025, 2 * 0.0249])


def test_uphill_is_read_off_the_path_of_the_pair_and_only_from_inside():
    table, losses = sgd_tables(["momentum"])
    table["outward"] = outward(table)
    flipped = (losses["pair"] == "0-1") & (losses["train_loss"] < 1)
    losses.loc[flipped, "train_loss"] = 0.04 - losses.loc[flipped, "train_loss"]
    changes = final_changes(table, losses, "momentum", **FLOOR)
    assert sorted(changes["start"].unique()) == [0.2, 0.3, 0.4, 0.6, 0.7, 0.8]
    assert uphill(changes).to_dict() == {"0-1": 0.0, "2-3": 1.0, "4-5": 1.0}
    assert np.allclose(changes["loss_change"].abs(), 0.02 * changes["outward"])
    inner = final_changes(table, losses, "momentum", **FLOOR | {"inside": [0.35, 0.65]})
    assert sorted(inner["start"].unique()) == [0.4, 0.6]


def test_a_replica_is_off_the_floor_by_its_own_late_loss():
    table, losses = sgd_tables(["momentum"])
    late = table["step"] > 0.9 * 1500
    for loss, share in ((0.05, 1), (0.1, 0)):  # the path's is about 0.03
        on = final_changes(table.assign(loss=np.where(late, loss, 9.0)), losses, "momentum", **FLOOR)[
            "on_floor"
        ]
        assert on.mean() == share
    high = table.assign(loss=np.where(late, 0.05, 9.0))
    for limits in ({"late": 0.5}, {"off_floor": 1.5}):
        assert not final_changes(high, losses, "momentum", **FLOOR | limits)["on_floor"].any()


def test_what_is_beyond_a_control_is_taken_from_the_same_start():
    means = by_start(directed(sgd_tables(["momentum", "descent"])[0], INSIDE), ["outward"])
    excess = beyond_control(means[means["step"] == 150], "descent")
    assert len(excess) == 6 * len(PAIRS)
    wanted = (SPEED["momentum"] - SPEED["descent"]) * 150
    assert excess.set_index("pair").loc["2-3", "excess"].to_numpy() == pytest.approx(wanted)


def test_speeds_are_taken_before_the_end_of_the_path_stops_a_run():
    """Ten times as fast, and at the end of the path after a third of the steps: the ratio is still ten."""
    table, losses = speed_tables(["adam", "matched"], SPEED | {"adam": 1e-3, "matched": 1e-4}, scatter=0)
    ratio, step = speed_ratio(table, losses, "adam", "matched", **SPEEDS)
    assert ratio.to_numpy() == pytest.approx(10)
    assert step == 90
    assert speed_ratio(table, losses, "adam", "matched", **SPEEDS | {"reach": 0.05})[1] == 45


def test_a_run_that_left_the_valley_floor_has_no_speed():
    table, losses = speed_tables(["momentum", "slow", "sgd"])
    gone = (table["run"] == "slow") & (table["pair"] == "2-3")
    table.loc[gone & (table["replica"] == 0), "loss"] = 5.0
    ratio, step = speed_ratio(table, losses, "momentum", "slow", **SPEEDS)
    assert ratio.notna().all()  # one of three replicas
    table.loc[gone, "loss"] = 5.0
    ratio, _ = speed_ratio(table, losses, "momentum", "slow", **SPEEDS)
    assert ratio.isna().to_dict() == {"0-1": False, "2-3": True, "4-5": False}
    assert floor_share(table, losses, "slow", step, **FLOOR).to_dict() == {"0-1": 1, "2-3": 0, "4-5": 1}


def test_a_run_that_does_not_move_outward_has_no_speed():
    table, losses = speed_tables(["momentum", "slow"])
    still = (table["run"] == "slow") & (table["pair"] == "2-3")
    table.loc[still, "position"] = table.loc[still, "start"]
    ratio, _ = speed_ratio(table, losses, "momentum", "slow", **SPEEDS)
    assert ratio.isna().to_dict() == {"0-1": False, "2-3": True, "4-5": False}


def test_a_step_s_size_is_its_root_mean_square_over_the_run():
    table, _ = sgd_tables(["slow", "sgd"], scatter=0)
    fast = (table["run"] == "slow") & (table["step"] > 450)
    table.loc[fast, "step_size"] = 0.15  # three times the rest, in half of the periods
    sizes = step_sizes(table).set_index("run")
    assert sizes.loc["slow", "first"].to_numpy() == pytest.approx(0.05)
    assert sizes.loc["slow", "whole"].to_numpy() == pytest.approx(0.05 * 5**0.5)
    assert sizes.loc["sgd", "whole"].to_numpy() == pytest.approx(0.05)
    assert len(sizes) == 2 * len(PAIRS)


def test_the_paths_loss_is_that_at_the_nearest_point():
    table, losses = sgd_tables(["momentum", "free"], scatter=0)
    last = courses(table, losses, INSIDE).query("step == 1500").set_index("run")["path_loss"]
    assert last["free"].to_numpy() == pytest.approx(
        0.02 + 0.02 * (0.2 + 0.075)
    )  # starts 0.2 from 0.5 on average
    assert last["momentum"].to_numpy() == pytest.approx(0.02 + 0.02 * (0.2 + 0.15))
    outer = courses(table, losses, [0.15, 0.25]).query("step == 1500").set_index("run")["path_loss"]
    assert outer["free"].to_numpy() == pytest.approx(0.02 + 0.02 * (0.3 + 0.075))


def test_late_is_the_last_share_of_a_run_without_its_first_step():
    table = pd.DataFrame({"step": [0, 30, 60, 90, 100]})
    assert late_rows(table, 0.1)["step"].to_list() == [100]
    assert late_rows(table, 0.11)["step"].to_list() == [90, 100]


def test_a_late_loss_is_that_of_starts_inside_and_of_one_run():
    table = pd.DataFrame({"run": "adam", "pair": "0-1", "start": [0.3, 0.3, 0.05, 0.3], "position": 0.3})
    table["step"], table["loss"] = [50, 100, 100, 100], [9.0, 1.0, 9.0, 3.0]
    other = table.assign(run="slow", loss=7.0)
    found = late_loss(pd.concat([table, other]), "adam", inside=INSIDE, late=0.1)
    assert found.to_dict() == {"0-1": 2.0}


def test_recession_and_late_losses_are_those_of_a_pairs_runs():
    both = pd.DataFrame(
        {
            "run": ["free"] * 4 + ["momentum"] * 4,
            "pair": "0-1",
            "step": [0, 40, 60, 100] * 2,
            "distance": [0.0, 2.0, 9.0, 3.0] + [1.0] * 4,
            "loss": [5.0, 5.0, 5.0, 2.0] + [1.0] * 4,
            "path_loss": 0.1,
        }
    )
    assert recession(both).to_dict() == {"0-1": 1.5}  # step 40 is the last up to half of 100
    assert late_losses(both, 0.1)["loss"].to_dict() == {("free", "0-1"): 2.0, ("momentum", "0-1"): 1.0}
