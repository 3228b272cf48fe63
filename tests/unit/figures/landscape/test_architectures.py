"""Other architectures, from tables whose quantities grow from the first architecture to the last."""

import numpy as np
import pytest
from figure_check import changes_with, check, drawn, laid_out, told
from landscape_tables import architecture_tables

from valleyscope.figures.landscape import architectures

FOUND = [
    "On 3 of 3 architectures Δ₂ decays more slowly than k⁻² (γ = 0.1 to 0.3).",
    "Δ₂^(D)/Δ₂ is within 1 % of 1 on 3, a² alone on 0, the spread ratio over 0.5 on 0.",
    "Tr H, middle over ends of paths: 2 [2, 2] (MLP), 1 [1, 1] (GRU).",
    "over 3 seeds of weights and data order; 3 pairs, N = 2,464 to 7,392.",
]
NUMBERS = [
    "γ of the expected next sample: 0.1 (transformer 1x16) to 0.3 (MLP)",
    "the same for all k: at most 0.003",
    "spread ratio of the subspace: 0.00125 (MLP) to 0.125 (transformer 1x16)",
    "captured share of the slope: 0.00111 (MLP) to 0.111 (transformer 1x16)",
    "σ*: 0.003 (transformer 1x16) to 0.009 (MLP)",
    "runs without σ*: 0 of 9",
    "cost of the eigenspace, gradients, timed beside another job: 50 (transformer 1x16) to 150 (MLP)",
    "Tr H, middle of AutoNEB's path over its ends, MLP: 2 [2, 2]",
    "highest loss over the higher end's, MLP: 1.2",
    "held-out set: one for all seeds",
]


def test_the_finding_is_in_the_caption_and_the_bytes_are_the_same(tmp_path):
    check(architectures, architecture_tables(), FOUND, tmp_path, NUMBERS)


@pytest.mark.parametrize(
    ("table", "column", "factor", "words"),
    [
        (0, "rate_delta2", 2.0, "0.2 (transformer 1x16) to 0.6 (MLP)"),
        (0, "rate_fixed", 3.0, "the same for all k: at most 0.0091"),
        (0, "spread_ratio", 3.0, "spread ratio of the subspace: 0.00375 (MLP) to 0.375 (transformer 1x16)"),
        (0, "gradient_share", 3.0, "captured share of the slope: 0.00333 (MLP) to 0.333 (transformer 1x16)"),
        (0, "sigma_star", 5.0, "σ*: 0.015 (transformer 1x16) to 0.045 (MLP)"),
        (0, "parameters", 2, "N = 4,928 to 14,784"),
        (1, "gradients", 7.0, "another job: 350 (transformer 1x16) to 1.05e+03 (MLP)"),
    ],
)
def test_another_table_makes_other_words(table, column, factor, words):
    tables = architecture_tables()
    assert words not in told(drawn(architectures, tables))
    tables[table][column] *= factor
    assert words in told(drawn(architectures, tables))


def test_paths_are_told_as_they_are():
    tables = architecture_tables(rise=0.5)
    inner = (tables[2]["position"] == 0.5) & (tables[2]["architecture"] == "GRU")
    tables[2].loc[inner, "train_loss"] *= 2
    picture = drawn(architectures, tables)
    assert "0.5 [0.5, 0.5] (MLP), 1 [1, 1] (GRU)" in picture.caption
    assert "highest loss over the higher end's, MLP: 1.2" in told(picture)
    assert "highest loss over the higher end's, GRU: 2.4" in told(picture)


def points(axes):
    """Data of the panel's points, without caps of their bars."""
    return [line.get_xydata() for line in axes.lines if line.get_marker() == "o"]


def test_every_panel_has_its_means():
    table, *others = architecture_tables()
    rate, ratio, spread, star, cost, bent, loss = laid_out(architectures, [table, *others]).figure.axes
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
    picture = laid_out(architectures, tables)
    assert "σ*: 0.003 (transformer 1x16) to 0.009 (MLP)" in told(picture)
    assert "runs without σ*: 3 of 9" in told(picture)
    assert "spread ratio of the subspace: 0.0125 (GRU) to 0.125" in told(picture)
    assert "within 1 % of 1 on 3," in picture.caption  # a distance of 0 is near
    assert points(picture.figure.axes[3])[0][:, 1].tolist() == [0.0, 2.0]


def test_no_valid_sigma_anywhere_still_has_a_figure():
    table, *others = architecture_tables()
    words = told(laid_out(architectures, [table.assign(sigma_star=0.0), *others]))
    assert "runs without σ*: 9 of 9" in words
    assert "σ*: not measured" in words


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("spread_ratio", 0.9, "1 on 3, a² alone on 0, the spread ratio over 0.5 on 3"),
        ("ratio_off", 0.7, "1 on 0, a² alone on 0, the spread ratio over 0.5 on 0"),
        ("shared_off", 1e-3, "1 on 3, a² alone on 3, the spread ratio over 0.5 on 0"),
        ("rate_delta2", -1e-3, "On 0 of 3 architectures Δ₂ decays more slowly"),
    ],
)
def test_architectures_are_counted_by_their_whole_interval(column, value, said):
    table, *others = architecture_tables()
    assert said not in drawn(architectures, [table, *others]).caption
    scattered = value * (1 + 0.001 * table["seed"])
    assert said in drawn(architectures, [table.assign(**{column: scattered}), *others]).caption


@pytest.mark.parametrize(
    ("limit", "value", "words"),
    [
        ("ratio", 1e-4, "within 0.01 % of 1 on 0, a² alone on 0"),
        ("ratio", 0.1, "within 10 % of 1 on 3, a² alone on 3"),
        ("spread_ratio", 0.1, "the spread ratio over 0.1 on 1"),
        ("middle", [0.0, 1.0], "Tr H, middle over ends of paths: 1.67 [1.67, 1.67] (MLP)"),
    ],
)
def test_another_threshold_or_window_is_told(limit, value, words):
    assert changes_with(architectures, architecture_tables(), limit, value)
    assert words in drawn(architectures, architecture_tables(), **{limit: value}).caption


def test_two_seeds_and_two_pairs_are_enough():
    caption = laid_out(architectures, architecture_tables(seeds=[3, 8], pairs=["0-1", "2-3"])).caption
    assert "over 2 seeds of weights and data order; 2 pairs, " in caption


def test_the_longest_caption_is_short():
    """A pair whose ends are not curved upward has no rise."""
    tables = [table.replace({"architecture": {"MLP": "transformer_1x16"}}) for table in architecture_tables()]
    flat = (tables[3]["pair"] == "0-1") & tables[3]["position"].isin([0, 1])
    tables[3].loc[flat, "trace"] = -1.0
    assert drawn(architectures, tables).caption.count("(2 of 3 repeats)") == 2
