"""The figure of other architectures: findings and bytes."""

import numpy as np
import pytest
from figure_check import check, drawn, grid, laid_out

from valleyscope.figures.landscape import architectures

NAMES = ["transformer_1x16", "GRU", "MLP"]
SEEDS, PAIRS = [0, 1, 2], ["0-1", "2-3", "4-5"]
SIZE = 2464


# ---------------------------------------------------------------- A11


def architecture_tables(seeds=SEEDS, pairs=PAIRS, rise=2.0):
    """Quantities that grow from the first architecture to the last; `rise` times Tr H on the MLP's paths."""
    table = grid(architecture=NAMES, seed=seeds)
    place = table["architecture"].map(NAMES.index)
    wobble = 1 + 0.01 * (table["seed"] - 1)
    table["parameters"] = SIZE * (1 + place)
    table["rate_delta2"] = (0.1 * (place + 1)) * wobble
    table["rate_fixed"] = -0.003 * wobble
    table["ratio_off"], table["shared_off"] = 1e-3 * wobble, 1e-2 * wobble
    table["spread_ratio"], table["gradient_share"] = 10.0**-place / 8 * wobble, 10.0**-place / 9 * wobble
    table["sigma_star"] = 3e-3 * (place + 1) * wobble
    costs = table[["architecture", "seed"]].assign(gradients=50.0 * (place + 1))
    costs["gradients"] *= 2.0 ** (table["seed"].map(seeds.index) - 1)  # a geometric mean of 50
    along = grid(architecture=["MLP", "GRU"], pair=pairs, position=np.linspace(0, 1, 9))
    bump = np.minimum(1, 2 - 4 * (along["position"] - 0.5).abs()).clip(lower=0)
    scatter = 1 + 0.1 * along["pair"].map(pairs.index)
    losses = along.assign(train_loss=(1 + 0.2 * bump) * scatter)
    top = np.where(along["architecture"] == "MLP", rise, 1.0)
    bent = along.assign(trace=100 * (1 + (top - 1) * bump) * scatter)
    return [table, costs, losses, bent]


FOUND = [
    "Over 3 architectures γ of the expected next sample runs from 0.1 (transformer 1x16) to 0.3 (MLP)",
    "the same for all k (grey), ∣γ∣ is at most 0.003",
    "spread ratio runs from 0.00125 (MLP) to 0.125 (transformer 1x16)",
    "share (grey) from 0.00111 (MLP) to 0.111 (transformer 1x16), so a ratio",
    "σ* runs from 0.003 (transformer 1x16) to 0.009 (MLP) (none in 0 of 9 runs)",
    "the eigenspace's cost from 50 (transformer 1x16) to 150 (MLP) gradients",
    "MLP 2 [2, 2] (highest loss over the higher end's 1.2); GRU 1 [1, 1] (",
    "over 3 seeds of weights and data order with one held-out set, 3 pairs of minima",
    "N from 2,464 to 7,392",
]


def test_architectures_find_it_in_the_caption_and_give_the_same_bytes(tmp_path):
    check(architectures, architecture_tables(), FOUND, tmp_path)


@pytest.mark.parametrize(
    ("table", "column", "factor", "words"),
    [
        (0, "rate_delta2", 2.0, "0.2 (transformer 1x16) to 0.6 (MLP)"),
        (0, "rate_fixed", 3.0, "∣γ∣ is at most 0.0091"),
        (0, "spread_ratio", 3.0, "from 0.00375 (MLP) to 0.375 (transformer 1x16)"),
        (0, "gradient_share", 3.0, "(grey) from 0.00333 (MLP) to 0.333 (transformer 1x16)"),
        (0, "sigma_star", 5.0, "σ* runs from 0.015 (transformer 1x16) to 0.045 (MLP)"),
        (0, "parameters", 2, "N from 4,928 to 14,784"),
        (1, "gradients", 7.0, "cost from 350 (transformer 1x16) to 1.05e+03 (MLP) gradients"),
    ],
)
def test_another_table_of_architectures_makes_another_caption(table, column, factor, words):
    tables = architecture_tables()
    assert words not in drawn(architectures, tables)[1]
    tables[table][column] *= factor
    assert words in drawn(architectures, tables)[1]


def test_paths_of_architectures_are_told_as_they_are():
    tables = architecture_tables(rise=0.5)
    inner = (tables[2]["position"] == 0.5) & (tables[2]["architecture"] == "GRU")
    tables[2].loc[inner, "train_loss"] *= 2
    _, caption = drawn(architectures, tables)
    assert "MLP 0.5 [0.5, 0.5] (highest loss over the higher end's 1.2)" in caption
    assert "GRU 1 [1, 1] (highest loss over the higher end's 2.4)" in caption


def points(axes):
    """Data of the panel's points, without caps of their bars."""
    return [line.get_xydata() for line in axes.lines if line.get_marker() == "o"]


def test_every_panel_of_architectures_has_its_means():
    table, *others = architecture_tables()
    figure, _ = laid_out(architectures, [table, *others])
    rate, ratio, spread, star, cost, bent, loss = figure.axes
    wanted = {
        rate: ["rate_fixed", "rate_delta2"],
        ratio: ["shared_off", "ratio_off"],
        spread: ["gradient_share", "spread_ratio"],
        star: ["sigma_star"],
    }
    for axes, columns in wanted.items():
        means = np.mean if axes is rate else lambda values: np.exp(np.log(values).mean())
        shifts = [0.2, 0.0][-len(columns) :]  # the control stands below
        for data, column, shift in zip(points(axes), columns, shifts, strict=True):
            mean = table.groupby("architecture", sort=False)[column].agg(means)
            np.testing.assert_allclose(data[:, 0], mean, err_msg=column)
            np.testing.assert_allclose(data[:, 1], np.arange(3) + shift)
    (data,) = points(cost)
    assert data[:, 0] == pytest.approx([50, 100, 150])
    assert [text.get_text() for text in rate.get_yticklabels()] == ["transformer 1x16", "GRU", "MLP"]
    for axes, tops in ((bent, [2, 1]), (loss, [1.2, 1.2])):
        curves = [line.get_ydata() for line in axes.lines if len(line.get_xdata()) == 9]
        assert [max(curve) for curve in curves] == pytest.approx(tops)
        assert all(curve[0] == pytest.approx(1) for curve in curves)


def test_an_architecture_without_a_valid_sigma_or_values_still_has_a_figure():
    tables = architecture_tables()
    tables[0].loc[tables[0]["architecture"] == "GRU", "sigma_star"] = 0.0
    tables[0].loc[tables[0]["architecture"] == "MLP", ["ratio_off", "spread_ratio"]] = [0.0, np.nan]
    figure, caption = laid_out(architectures, tables)
    assert "σ* runs from 0.003 (transformer 1x16) to 0.009 (MLP) (none in 3 of 9 runs)" in caption
    assert "spread ratio runs from 0.0125 (GRU) to 0.125" in caption
    star = figure.axes[3]
    assert points(star)[0][:, 1].tolist() == [0.0, 2.0]


def test_no_valid_sigma_anywhere_still_has_a_figure():
    table, *others = architecture_tables()
    _, caption = laid_out(architectures, [table.assign(sigma_star=0.0), *others])
    assert "none in 9 of 9 runs" in caption


@pytest.mark.parametrize(("column", "value"), [("spread_ratio", 0.9), ("ratio_off", 0.7)])
def test_a_ratio_is_put_down_to_the_shared_value_only_where_that_is_shown(column, value):
    table, *others = architecture_tables()
    said = "near 1 is the shared a²"
    assert said in drawn(architectures, [table, *others])[1]
    assert said not in drawn(architectures, [table.assign(**{column: value}), *others])[1]


def test_two_seeds_and_two_pairs_are_enough():
    _, caption = laid_out(architectures, architecture_tables(seeds=[3, 8], pairs=["0-1", "2-3"]))
    assert "over 2 seeds of weights and data order with one held-out set, 2 pairs of minima" in caption
