"""Loss and curvature along paths: what the figure says must be what the tables hold."""

import numpy as np
import pytest
from figure_check import check, drawn, laid_out, told
from path_tables import KINDS, PAIRS, SCATTER, few, profile_tables

from valleyscope.figures.connectivity import path_profile
from valleyscope.figures.connectivity.shared import FINDER_COLOURS
from valleyscope.readings.paths import rows_of

FINDINGS = [
    "Tr H is higher than at the ends (4 [4, 4] times) and λ_max is higher than at the ends (2 [2, 2] times)",
    "within 1.2 times the higher end's loss (full markers): Tr H is higher for AutoNEB",
    "over 3 independent pairs",
]
NUMBERS = [
    "Tr H in the middle, AdamW, AutoNEB: higher than at the ends (4 [4, 4] times)",
    *(
        f"Tr H in the middle, AdamW, {name}: not told apart from the ends (1 [1, 1] times)"
        for name in ("straight line", "Bézier", "polygon")
    ),
    *(
        f"λ_max in the middle, AdamW, {name}: higher than at the ends (2 [2, 2] times)"
        for name in ("straight line", "Bézier", "polygon")
    ),
    "Tr H in the middle, SGD, AutoNEB: higher than at the ends (4 [4, 4] times)",
    "λ_max in the middle, SGD, straight line: higher than at the ends (3 [3, 3] times)",
    "λ_max in the middle, SGD, AutoNEB: higher than at the ends (3 [3, 3] times)",
    *(
        f"highest training loss over the higher end's, {path}"
        for path in (
            "AdamW, straight line: 100 [100, 100]",
            "AdamW, Bézier: 4 [4, 4]",
            "AdamW, polygon: 1.5 [1.5, 1.5]",
            "AdamW, AutoNEB: 1.1",
            "SGD, straight line: 100 [100, 100]",
            "SGD, AutoNEB: 1.1",
        )
    ),
    "(distance from the nearer end): lower than at the ends (0.5 [0.5, 0.5] times)",
    "held-out loss in the middle: lower than at the ends (0.9 [0.9, 0.9] times)",
    "the Fisher (drawn labels) in the middle: higher than at the ends (4 [4, 4] times)",
    "mean trace of the Fisher over mean Tr H: 0.9 [0.9, 0.9]",
    "standard error of one Tr H (median): 5 %",
    *(
        f"length over the distance of the ends, {path}"
        for path in (
            "AdamW, Bézier: 1.1 [1.1, 1.1]",
            "AdamW, polygon: 1.7 [1.7, 1.7]",
            "AdamW, AutoNEB: 1.8 [1.8, 1.8]",
            "SGD, AutoNEB: 1.8",
        )
    ),
]


def test_the_finding_is_in_the_caption_and_the_bytes_are_the_same(tmp_path):
    check(path_profile, profile_tables(), FINDINGS, tmp_path, NUMBERS, comparable=1.2)


def test_few_positions_and_two_pairs_are_enough():
    assert "over 2 independent pairs" in laid_out(path_profile, few(profile_tables())).caption


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (
            {"comparable": 5.0},
            "within 5 times the higher end's loss (full markers): Tr H is higher for AutoNEB; is not told",
        ),
        ({"middle": [0.0, 0.2]}, "middle: 0 to 0.2"),
    ],
)
def test_each_limit_is_told_and_changes_what_is_seen(limit, words):
    before, after = drawn(path_profile, profile_tables()), drawn(path_profile, profile_tables(), **limit)
    assert words in after.caption
    assert words not in before.caption
    ratios = [told(picture).split("AdamW, AutoNEB: ")[1].splitlines()[0] for picture in (before, after)]
    assert (ratios[0] != ratios[1]) == ("middle" in limit)


def test_no_finder_within_the_limit_is_said():
    assert "(full markers): Tr H of none." in drawn(path_profile, profile_tables(), comparable=1.01).caption


def test_pairs_that_scatter_around_no_rise_show_none():
    picture = drawn(path_profile, profile_tables(middle=1, dip=1, factors=SCATTER), comparable=1.2)
    assert "Tr H is not told apart from the ends (1 [0.032, 31] times)" in picture.caption
    assert "Tr H is not told apart for AutoNEB" in picture.caption
    words = told(picture)
    assert "Tr H in the middle, AdamW, AutoNEB: not told apart from the ends (1 [0.032, 31] times)" in words
    assert "Tr H in the middle, AdamW, Bézier: not told apart from the ends (1 [1, 1] times)" in words
    assert "nearer end): not told apart from the ends (1 [0.032, 31] times)" in words
    assert "(drawn labels) in the middle: not told apart from the ends (1 [0.032, 31] times)" in words
    assert not any(name.startswith("Tr H") and "higher" in value for name, value in picture.numbers.items())


def test_curves_are_geometric_means_of_their_own_table():
    losses, curvature, lengths = profile_tables(factors=(2.0, 0.5, 3.0))
    figure = drawn(path_profile, (losses, curvature, lengths)).figure
    wanted = {
        "training": (losses, "train_loss"),
        "held-out": (losses, "held_out_loss"),
        "Tr}": (curvature, "trace"),
        "lambda": (curvature, "lambda_max"),
    }
    for name, (table, column) in wanted.items():
        (panel,) = (axes for axes in figure.axes if name in axes.get_ylabel())
        for kind in KINDS["adamw"]:
            rows = rows_of(table, kind)
            means = np.exp(np.log(rows[column]).groupby(rows["position"]).mean())
            (line,) = (
                line
                for line in panel.lines
                if line.get_color() == FINDER_COLOURS[kind] and line.get_linewidth() == 1.2
            )
            assert np.allclose(line.get_ydata(), means[line.get_xdata()])
    (panel,) = (axes for axes in figure.axes if "Tr}" in axes.get_ylabel())
    (fisher,) = (line for line in panel.lines if line.get_linestyle() == "--")
    main = rows_of(curvature)
    assert np.allclose(fisher.get_ydata(), np.exp(np.log(main["fisher"]).groupby(main["position"]).mean()))
    thin = [line for line in panel.lines if line.get_linewidth() == 0.5]
    assert len(thin) == len(PAIRS)


def test_paths_of_high_loss_have_open_markers():
    figure = drawn(path_profile, profile_tables(), comparable=1.2).figure
    (panel,) = (axes for axes in figure.axes if "middle / ends" in axes.get_xlabel())
    marks = [point.lines[0] for point in panel.containers]
    fills = [mark.get_fillstyle() for mark in marks]
    # straight, bezier, polygon, autoneb; straight, autoneb; Tr H and λ_max of each
    assert fills == ["none"] * 6 + ["full"] * 2 + ["none"] * 2 + ["full"] * 2
    assert [round(mark.get_xdata()[0], 6) for mark in marks] == [1, 2] * 3 + [4, 2] + [1, 3] + [4, 3]


def test_what_a_logarithmic_axis_cannot_show_is_said():
    losses, curvature, lengths = profile_tables()
    odd = (
        (curvature["kind"] == "straight") & (curvature["position"] == 0.5) & (curvature["variant"] == "adamw")
    )
    curvature.loc[odd & (curvature["pair"] == "0-1"), "trace"] = -5.0
    words = told(laid_out(path_profile, (losses, curvature, lengths)))
    assert "values that are not above 0 and not drawn: 1" in words
    assert "not drawn" not in told(drawn(path_profile, profile_tables()))


def test_huge_intervals_are_cut_and_that_is_said():
    huge = profile_tables(factors=(1e4, 1e-4, 1.0))
    # The longest caption: every finder is low in loss.
    caption = laid_out(path_profile, huge, comparable=200.0).caption
    assert "Intervals are cut a factor of 30 beyond the means" in caption
    assert "Intervals are cut" not in drawn(path_profile, profile_tables()).caption
