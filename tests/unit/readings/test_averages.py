"""Averages against what they average, from a synthetic table of known gains."""

import pandas as pd
import pytest
from sgd_tables import BRANCHES, PARENTS, averages_table

from valleyscope.readings.averages import QUANTITIES, differences


def test_averages_are_compared_with_what_they_average():
    table = differences(averages_table(scatter=0)[0])
    path = table[table["source"] == "path"]
    assert set(path["point"]) == {"0.25", "0.5", "0.75"}
    assert path["trace"].to_numpy() == pytest.approx(-200)
    assert len(table[table["source"] == "children"]) == len(PARENTS) * len(BRANCHES)
    failed = table[(table["source"] == "children") & (table["branch"] == 0)]
    assert failed["train_loss"].to_numpy() == pytest.approx(3)
    assert set(table.loc[table["source"] == "swa", "point"]) == {"average"}


def test_points_read_as_numbers_are_the_same(tmp_path):
    """A file with paths only has numbers in its column of points."""
    (table,) = averages_table()
    table.to_csv(tmp_path / "averages.csv", index=False)
    again = differences(pd.read_csv(tmp_path / "averages.csv"))
    first = differences(table)
    assert again[QUANTITIES].to_numpy() == pytest.approx(first[QUANTITIES].to_numpy())
    assert again["point"].to_list() == first["point"].to_list()
