"""What the figures of Paper A share."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from landscape_tables import N, cells, criteria_table, terms_table, validity_table

from valleyscope.figures.landscape import shared


@pytest.fixture
def panel():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def test_probes_are_named_and_full_space_lies_below():
    table = cells(seeds=1)
    assert set(zip(table["probe"], shared.probe_names(table), strict=True)) == {
        ("delta2", "full space"),
        (1, "D = 1"),
        (4, "D = 4"),
    }
    colours = shared.probe_colours(table)
    assert list(colours) == ["full space", "D = 1", "D = 4"]
    assert colours["full space"] == "k"
    assert len(set(colours.values())) == 3
    assert shared.largest_probe(table) == "D = 4"
    assert shared.largest_probe(table.query("criterion == 'delta2'")) == "full space"
    assert shared.size_of(table) == N


def test_sigma_star_is_found_for_every_regime_and_probe():
    validity = validity_table(stars={1: 3e-2, 4: 2e-2, N: 1e-2})
    validity["sigma_star"] *= np.where(validity["regime"] == "trained", 1.0, 10.0)
    stars = shared.stars_of(criteria_table(terms_table()), validity)
    assert {key: star.mean() for key, star in stars.items()} == pytest.approx(
        {
            ("trajectory", "D = 1"): 3e-2,
            ("trajectory", "D = 4"): 2e-2,
            ("trajectory", "full space"): 1e-2,
            ("minimisers", "D = 1"): 3e-1,
            ("minimisers", "D = 4"): 2e-1,
            ("minimisers", "full space"): 1e-1,
        }
    )
    assert next(iter(shared.named(stars))) == "D = 1 (trajectory)"
    assert all(len(star) == 5 for star in stars.values())


@pytest.mark.parametrize(
    ("sigma", "star", "marked"),
    [(1e-3, [1e-3, 4e-3], False), (3e-3, [1e-3, 4e-3], True), (1e-3, [1.0, np.nan], True), (1e-3, [], True)],
)
def test_a_sigma_above_sigma_star_is_marked(sigma, star, marked):
    assert bool(shared.beyond_mark(sigma, pd.Series(star, dtype=float))) == marked


def test_seeds_without_sigma_star_are_counted_by_name():
    stars = {"all": pd.Series([1e-3, 4e-3]), "one": pd.Series([1e-3, np.nan])}
    assert shared.without_star({"all": stars["all"]}) == ""
    sentence = "Seeds without σ*, as every σ exceeds the limit: one 1 of 2; there no σ counts as up to σ*. "
    assert shared.without_star(stars) == sentence
    assert shared.star_numbers({"all": stars["all"]}) == {
        "σ* of the increment, float64, all": "0.002 [3e-07, 13]",
        "seeds without σ*": "none",
    }
    numbers = shared.star_numbers(stars | {"none": pd.Series([np.nan, np.nan])})
    assert numbers["σ* of the increment, float64, one"] == "0.001 (1 of 2 repeats)"
    assert numbers["σ* of the increment, float64, none"] == "none"
    assert numbers["seeds without σ*"].startswith("Seeds without σ*")


def test_sigma_star_is_marked_where_its_mean_over_seeds_lies(panel):
    stars = [pd.Series(values, dtype=float) for values in ([1e-3, 4e-3, np.nan], [1e-2, 1e-2], [np.nan])]
    shared.mark_sigma_star(panel, dict(zip(["a", "b", "c"], stars, strict=True)))
    assert [line.get_xdata()[0] for line in panel.lines] == pytest.approx([2e-3, 1e-2])
    assert [(text.get_text()[-1], text.get_ha()) for text in panel.texts] == [("a", "right"), ("b", "left")]


def test_few_values_of_k_are_named(panel):
    shared.k_axis(panel, pd.Series([8, 16, 32, 64, 128, 8]))
    assert panel.get_xscale() == "log"
    assert [text.get_text() for text in panel.get_xticklabels()] == ["8", "32", "128"]


def test_every_palette_has_a_colour_of_its_own_for_each_name():
    assert set(shared.PRECISIONS) == {"float64", "float32", "bfloat16"}
    for palette in (shared.WEIGHTS, shared.PRECISIONS, shared.PROCEDURES):
        assert len(set(palette.values())) == len(palette)
