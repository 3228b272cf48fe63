"""Sequences until one more changes little, from k that double from seed to seed."""

import numpy as np
import pandas as pd
import pytest
from figure_check import check, drawn, laid_out, told
from landscape_tables import SMOKE, sequences_table, with_holes

from valleyscope.figures import panels
from valleyscope.figures.landscape import sequences


def test_the_finding_is_in_the_caption_and_the_bytes_are_the_same(tmp_path):
    findings = [
        "one more sequence changes the loss by less than ε = 0.001 nats",
        "on the trajectory from k = 600 [154, 2340] (extrapolated in 2 of 5 seeds)",
        "at minimisers from k = 600 [154, 2340]",
        "full space, σ = 0.001",
        "5 seeds of weights and data order; N = 1,000.",
    ]
    numbers = [
        "0.001 nats from, on the trajectory, single next sample, full space: k = 480 [123, 1872] (extrap",
        "0.001 nats from, at minimisers, expected next sample, D = 4: k = 500 [128, 1950] (extrapolated in",
    ]
    check(sequences, [sequences_table()], findings, tmp_path, numbers)


@pytest.mark.parametrize("holes", [False, True])
def test_two_seeds_and_missing_cells_do_not_break_it(holes):
    made = [sequences_table(SMOKE["seeds"])]
    assert "2 seeds" in laid_out(sequences, with_holes(made) if holes else made).caption


def test_hollow_where_extrapolated():
    table = sequences_table()
    picture = drawn(sequences, [table.assign(extrapolated=table["epsilon"] == 1e-4)])
    assert "k = 600 [154, 2340] (interpolated)" in picture.caption
    points = [line for line in picture.figure.axes[0].lines if line.get_marker() == "o"]
    assert {line.get_xdata()[0] for line in points if line.get_mfc() == "w"} == {1e-4}


@pytest.mark.parametrize("missing", [-1.0, np.nan])
def test_a_regime_without_a_fitted_decay_is_drawn_empty(missing):
    table = sequences_table()
    table.loc[table["regime"] == "trajectory", "k"] = missing
    picture = laid_out(sequences, [table])
    empty, full = picture.figure.axes
    assert [text.get_text() for text in empty.texts] == ["no decay fitted"]
    assert not empty.lines
    assert full.lines
    assert not full.texts
    assert "on the trajectory from an unknown k" in picture.caption
    laid_out(sequences, [table.query("regime == 'trajectory'")])


def test_seeds_without_a_fitted_decay_are_counted():
    table = sequences_table()
    table.loc[table["seed"] == 4, "k"] = np.nan
    assert "(4 of 5 repeats) (extrapolated in 1 of 4 seeds)" in drawn(sequences, [table]).caption


def test_a_number_of_sequences_beyond_a_million_is_rounded():
    table = sequences_table()
    assert "k = 6e+05 [1.54e+05, 2.34e+06]" in told(drawn(sequences, [table.assign(k=1000 * table["k"])]))


def test_the_middle_sigma_is_one_of_the_probe():
    table = sequences_table(seeds=2).query("sigma > 1e-4")
    first = table.query("sigma == 1e-3").assign(criterion="delta1", sigma=0.0)
    assert "σ = 0.01)" in drawn(sequences, [pd.concat([table, first])]).caption


def test_the_longest_caption_is_short():
    """A seed has no fitted decay, others are extrapolated, and intervals are cut."""
    table = sequences_table()
    table["k"] = table["k"].mask(table["seed"] == 1)
    table["k"] *= np.where(table["epsilon"] == 1e-4, 10.0 ** (2.5 * (table["seed"] - 2)), 1.0)
    caption = drawn(sequences, [table]).caption
    assert caption.count("(4 of 5 repeats) (extrapolated in 2 of 4 seeds)") == 2
    assert panels.CUT in caption
