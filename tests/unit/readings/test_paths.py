"""Readings of paths from synthetic tables with known ratios."""

import numpy as np
import pandas as pd
import pytest
from figure_check import LIMITS, grid
from path_tables import PAIRS, group_tables, profile_tables, spectrum_tables, table

from valleyscope.readings.paths import (
    SCALE_FREE,
    barrier,
    dip_over_ends,
    kinds_of,
    low_in_loss,
    middle_over_ends,
    over_ends,
    rises,
    rows_of,
    scaled,
    scaled_trace,
    variants_of,
)

MIDDLE = LIMITS["middle"]


def test_ratios_are_within_a_pair_and_need_no_order():
    rows = table([[2, 9, 8, 9, 6], [1, 9, 8, 9, 1]])
    assert middle_over_ends(rows.sample(frac=1, random_state=0), "loss", MIDDLE).to_list() == [2, 8]
    assert barrier(rows, "loss").to_list() == [1.5, 9]
    assert over_ends(rows, "loss").to_list()[:3] == [0.5, 9 / 4, 2]


def test_the_middle_is_from_0_4_to_0_6_however_the_positions_are_rounded():
    rows = table([[1, 50, 2, 3, 4, 50, 1]], positions=[0, 0.39, 0.4 - 1e-12, 0.5, 0.6 + 1e-12, 0.61, 1])
    assert middle_over_ends(rows, "loss", (0.4, 0.6)).to_list() == [3]
    assert middle_over_ends(rows, "loss", (0.38, 0.4)).to_list() == [26]


def test_no_ratio_to_ends_that_are_not_above_0():
    rows = table([[-1, 1, 2, 1, -1], [1, 1, 2, 1, 1]])
    assert middle_over_ends(rows, "loss", MIDDLE).isna().to_list() == [True, False]
    assert over_ends(rows, "loss")[:5].isna().all()
    assert dip_over_ends(rows, "loss").isna().all()
    assert barrier(rows, "loss").isna().to_list() == [True, False]


def test_two_kinds_of_path_at_once_are_refused():
    rows = table([[1, 1, 2, 1, 1]])
    with pytest.raises(ValueError, match="one kind"):
        middle_over_ends(pd.concat([rows, rows]), "loss", MIDDLE)


def test_a_dip_is_found_at_its_distance_from_either_end():
    assert dip_over_ends(table([[2, 1, 4, 1, 2]] * 3), "loss").to_list() == [0.5, 0.5, 0.5]
    assert dip_over_ends(table([[2, 1, 4, 3, 2]] * 2), "loss").to_list() == [1, 1]


def test_noise_is_no_dip():
    """The lowest value of each pair is 20 % below its ends; chosen without it, the place is not low."""
    values = 1 + 0.1 * np.random.default_rng(0).normal(size=(200, 13))
    values[:, [0, -1]] = 1
    rows = table(values, positions=np.linspace(0, 1, 13))
    assert rows.groupby("pair")["loss"].min().mean() < 0.86
    assert dip_over_ends(rows, "loss").mean() == pytest.approx(1, abs=0.02)
    assert dip_over_ends(table([[1, 1, 1, 1, 1]]), "loss").isna().all()


def test_finders_and_optimisers_are_named_in_a_fixed_order():
    losses = profile_tables()[0].sample(frac=1, random_state=0)
    assert kinds_of(losses) == ["straight", "bezier", "polygon", "autoneb"]
    assert kinds_of(losses, "sgd") == ["straight", "autoneb"]
    assert variants_of(losses) == ["adamw", "sgd"]
    assert variants_of(losses, "polygon") == ["adamw"]
    assert set(rows_of(losses, "polygon")["kind"]) == {"polygon"}


def test_a_trace_per_square_of_relative_change_is_summed_over_groups():
    groups = grid(pair=PAIRS[:1], position=[0.0, 1.0], group=["a", "b"])
    groups["norm"], groups["trace"] = [2.0, 3.0, 1.0, 1.0], [5.0, 7.0, 1.0, -1.0]
    assert scaled(groups)["scaled"].to_list() == [20, 63, 1, -1]
    assert scaled_trace(groups)["scaled"].to_list() == [83, 0]


def test_every_measure_of_curvature_rises_as_it_was_made_to():
    _, curvature, _ = profile_tables(middle=4.0)
    _, eigenvalues, _ = spectrum_tables(middle=3.0)
    groups, _ = group_tables(middle=4.0, shrink=0.5)
    found = rises(curvature, eigenvalues, groups, MIDDLE)
    wanted = {"Tr H": 4, "λ_max": 2, "sum of the 8 largest eigenvalues": 3, SCALE_FREE: 1}
    assert list(found) == list(wanted)
    for name, ratio in wanted.items():
        assert found[name].to_numpy() == pytest.approx(ratio)
    straight = rises(
        curvature, eigenvalues.assign(kind="straight"), groups.assign(kind="straight"), MIDDLE, "straight"
    )
    assert straight["Tr H"].to_numpy() == pytest.approx(1)
    wide = rises(curvature, eigenvalues, groups, (0.1, 0.9))
    assert (wide["Tr H"] < 4).all()


def test_a_finder_is_low_in_loss_by_the_geometric_mean_of_all_its_pairs():
    losses = pd.DataFrame({"variant": "adamw", "kind": "polygon", "pair": ["a"] * 3 + ["b"] * 3})
    losses["position"], losses["train_loss"] = [0.0, 0.5, 1.0] * 2, [1.0, 1.0, 1.0, 1.0, 1.44, 1.0]
    assert low_in_loss(losses, 1.201, "polygon")
    assert not low_in_loss(losses, 1.199, "polygon")
    assert not low_in_loss(losses, 1.201, "bezier")  # there is none
    assert not low_in_loss(losses.assign(train_loss=[1.0, 1.0, 1.0, 0.0, 1.0, 0.0]), 9.0, "polygon")
