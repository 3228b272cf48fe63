"""SGD that is never projected, from synthetic tables whose course is known."""

import pytest
from figure_check import check, drawn, laid_out, told
from sgd_tables import PAIRS, SPEED, sgd_tables, two_repeats

from valleyscope.figures.connectivity import unprojected


def test_the_findings_are_told_and_the_bytes_are_the_same(tmp_path):
    findings = [
        "SGD goes on leaving the path: at t_eff = 30 it is 3.87 [3.68, 4.07] away, 1.41 [1.41, 1.41] times "
        "as far",
        "The nearest point moves outward (0.075 [0.0713, 0.0787] of the path)",
        "Its minibatch loss is lower than that with projection",
        "over 3 independent pairs",
    ]
    numbers = [
        "distance over that at half the time: 1.41 [1.41, 1.41]",
        "with projection, just before each: 1.5 [1.43, 1.58]",
        "outward displacement with projection, of the path: 0.15 [0.143, 0.157]",
        "never projected minus projected: -0.075",
        "minibatch loss over the last 0.1 of the run, nats per token: 0.05 [0.0476, 0.0525]",
        "minibatch loss with projection: 0.1 [0.0951, 0.105]",
        "training loss of the path at the nearest points: 0.0",
    ]
    check(unprojected, sgd_tables(), findings, tmp_path, numbers)


def test_two_repeats_are_enough():
    assert "over 2 independent pairs" in laid_out(unprojected, two_repeats(sgd_tables())).caption


@pytest.mark.parametrize(
    ("limit", "words", "name"),
    [
        (
            {"inside": [0.25, 0.75]},
            "starts, in 0.25 to 0.75",
            "training loss of the path at the nearest points",
        ),
        ({"late": 0.5}, "over the last 0.5 of the run", "minibatch loss with projection"),
    ],
)
def test_each_limit_is_told_and_changes_what_is_seen(limit, words, name):
    table, losses = sgd_tables(["momentum", "free"])
    table["loss"] *= 2 - table["step"] / table["step"].max()
    before, after = (drawn(unprojected, [table, losses], **given) for given in ({}, limit))
    assert words in told(after)
    assert words not in told(before)
    assert before.numbers[name] != after.numbers[name]


def test_a_distance_that_has_settled_is_not_said_to_grow():
    table, losses = sgd_tables(["momentum", "free"], SPEED | {"free": 0.0})
    late = (table["run"] == "free") & (table["step"] > 0)
    table.loc[late, "distance"] = 3.0
    table.loc[late, "loss"] = table.loc[(table["run"] == "momentum") & (table["step"] > 0), "loss"].to_numpy()
    caption = drawn(unprojected, [table, losses]).caption
    assert "Without projection SGD is not shown to go on leaving the path: at t_eff = 30" in caption
    assert "The nearest point shows no direction (0 [0, 0] of the path)" in caption
    assert "not shown to differ from that with projection" in caption


def test_cut_intervals_are_said_to_be():
    """The longest caption."""
    table, losses = sgd_tables(["momentum", "free"])
    factors = dict(zip(PAIRS, [1e-4, 1.0, 1e4], strict=True))
    table["distance"] *= table["pair"].map(factors)
    table.loc[table["run"] == "free", "loss"] *= table["pair"].map(factors)
    late = table["step"] == table["step"].max()
    table.loc[late & (table["run"] == "free"), "distance"] *= table["pair"].map(factors)
    caption = laid_out(unprojected, [table, losses]).caption
    assert "Intervals are cut" in caption
    assert "is not shown to go on leaving the path" in caption
    assert "is not shown to differ from that with projection" in caption
