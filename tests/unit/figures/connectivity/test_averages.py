"""Averages of weights on held-out data, from a synthetic table whose gains are known."""

import pandas as pd
from figure_check import check, drawn, laid_out, told
from sgd_tables import BRANCHES, averages_table, two_repeats

from valleyscope.figures.connectivity import averages


def test_the_findings_are_told_and_the_bytes_are_the_same(tmp_path):
    findings = [
        "better on held-out data than what they average in 6 of 6 comparisons",
        "path interior: accuracy better (0.02 [0.015, 0.025]), scaled loss better (-0.04",
        "children of step 300: accuracy better, scaled loss better",
        "SWA: accuracy better (0.02",
        "over 3 pairs of minima (path), 3 parents (children), 3 runs (SWA)",
    ]
    numbers = [
        "held-out accuracy, path interior: better (0.02 [0.015, 0.025])",
        "temperature-scaled held-out loss, path interior: better (-0.04",
        "raw held-out loss, path interior: worse (0.3 [0.225, 0.375])",
        "Tr H, path interior: flatter (-200 [-250, -150])",
        "held-out accuracy at the ends of the path: 0.3 [0.3, 0.3]",
        *(
            f"held-out accuracy, children of step {branch}: {'better' if branch else 'worse'}"
            for branch in BRANCHES
        ),
        "held-out accuracy, SWA: better (0.02",
    ]
    check(averages, averages_table(), findings, tmp_path, numbers)


def test_two_repeats_are_enough():
    assert "over 2 pairs of minima" in laid_out(averages, two_repeats(averages_table())).caption


def test_gains_that_scatter_around_zero_are_no_finding():
    picture = drawn(averages, averages_table(scatter=20.0))
    assert "than what they average in 0 of 6 comparisons" in picture.caption
    inside = [value for name, value in picture.numbers.items() if name.endswith("path interior")]
    assert len(inside) == 5
    assert all(value.startswith("not told apart") for value in inside)
    children = [value for name, value in picture.numbers.items() if ", children" in name]
    assert children
    assert not any(value.startswith(("better", "worse")) for value in children)


def test_worse_averages_are_called_worse():
    words = told(drawn(averages, averages_table(gain=-0.02)))
    assert "in 0 of 6 comparisons" in words
    assert "held-out accuracy, path interior: worse (-0.02" in words
    assert "temperature-scaled held-out loss, path interior: worse (0.04" in words


def test_points_read_from_a_file_without_names_are_the_same(tmp_path):
    """A file with paths only has numbers in its column of repeats or points."""
    (table,) = averages_table()
    table.to_csv(tmp_path / "averages.csv", index=False)
    assert told(drawn(averages, [table])) == told(drawn(averages, [pd.read_csv(tmp_path / "averages.csv")]))


def test_an_axis_of_sizes_that_differ_is_cut_and_said_to_be():
    """Also the longest caption: nothing is told apart, everywhere with numbers."""
    (table,) = averages_table(scatter=20.0)
    assert "Cut at 3 times" not in drawn(averages, averages_table()).caption
    far = (table["source"] == "swa") & (table["point"] == "average")
    table.loc[far, "trace"] += table.loc[far, "repeat"].map({"0-1": 1e7, "2-3": -1e7, "4-5": 3e5})
    assert "Cut at 3 times the largest mean" in laid_out(averages, [table]).caption
