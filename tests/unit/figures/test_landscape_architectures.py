"""Figures of other architectures, of a probe and of a path of anyone's model: findings and bytes."""

import numpy as np
import pandas as pd
import pytest
from figure_check import check, drawn, grid, laid_out

from valleyscope.figures import probe, trace
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


# ---------------------------------------------------------------- a probe


def probe_tables(size=SIZE, off=0.01, slope=1.0):
    """One next sample: a² is 0.8 of Δ₂, the top 4 hold a fifth of a slope term that is 0.2 of Δ₂ at σ = 1e-3.

    Direct Monte Carlo in full space is above the closed form by `off`, at the larger σ.
    """
    terms = grid(dim=[1, 4, size], sigma=[1e-3, 1e-2])
    terms["criterion"] = np.where(terms["dim"] == size, "delta2", "delta2_D")
    terms["gradient_share"] = terms["dim"].map({1: 0.1, 4: 0.2, size: 1.0})
    terms["chance"] = terms["dim"] / size
    terms["value"] = 0.8
    terms["slope"] = 0.2 * slope * terms["gradient_share"] * (terms["sigma"] / 1e-3) ** 2
    terms["curvature"], terms["cross"] = 0.0, 0.0
    terms["spread_ratio"] = terms["gradient_share"]
    table = terms[["criterion", "dim", "sigma"]].merge(
        pd.DataFrame({"estimator": ["gaussian_moment", "quadratic", "direct"]}), how="cross"
    )
    moments = terms.set_index(["dim", "sigma"])[["value", "slope"]].sum(axis=1)
    table["estimate"] = moments.reindex(pd.MultiIndex.from_frame(table[["dim", "sigma"]])).to_numpy()
    above = (table["estimator"] == "direct") & (table["sigma"] == 1e-2) & (table["dim"] == size)
    table["estimate"] *= 1 + off * above
    table["standard_error"] = np.where(table["estimator"] == "gaussian_moment", np.nan, 0.01)
    return [table, terms]


def test_a_probe_finds_it_in_the_caption_and_gives_the_same_bytes(tmp_path):
    findings = [
        "At σ = 0.001 the top-4 eigenspace's ratio Δ₂^(D)/Δ₂ is 0.84, of which a²",
        "makes 0.8 of Δ₂",
        "(its spread) is 0.2 of full space's, and it holds 0.2 of the slope (chance 0.0016)",
        "within 0.01 of the closed form",
        "One next sample, N = 2,464",
    ]
    check(probe, probe_tables(), findings, tmp_path, "standard errors")


def test_another_probe_makes_another_caption():
    _, caption = laid_out(probe, probe_tables(size=400, off=-0.25, slope=4.0))
    assert "ratio Δ₂^(D)/Δ₂ is 0.6, of which a²" in caption
    assert "makes 0.5 of Δ₂" in caption
    assert "(chance 0.01)" in caption
    assert "within 0.25 of the closed form" in caption
    assert "N = 400" in caption


def test_the_panels_of_a_probe_have_their_data():
    table, terms = probe_tables()
    figure, _ = drawn(probe, [table, terms])
    criteria, parts, share = figure.axes
    for dim in (SIZE, 4):
        for estimator in ("gaussian_moment", "quadratic", "direct"):
            rows = table.query(f"dim == {dim} and estimator == '{estimator}'")
            marker = {"gaussian_moment": "None", "quadratic": "s", "direct": "o"}[estimator]
            drawn_lines = [line.get_ydata() for line in criteria.lines if line.get_marker() == marker]
            assert any(np.array_equal(line, rows["estimate"]) for line in drawn_lines)
    for dim, style in ((SIZE, "-"), (4, "--")):
        lines = [line.get_ydata() for line in parts.lines if line.get_linestyle() == style]
        for part in ("value", "slope"):
            assert any(np.array_equal(line, terms.query(f"dim == {dim}")[part]) for line in lines)
    top, chance = share.lines
    assert top.get_xydata().tolist() == [[1, 0.1], [4, 0.2]]
    assert chance.get_ydata() == pytest.approx([1 / SIZE, 4 / SIZE])


# ---------------------------------------------------------------- a path


def trace_tables(rise=3.0, top=1.5, outward=2):
    """Tr H `rise` times higher in the middle; SGD moves outward at `outward` of 4 positions, inward at 1."""
    losses = pd.DataFrame({"position": np.linspace(0, 1, 11)})
    losses["train_loss"] = np.where(losses["position"] == 0.5, 2 * top, np.linspace(1, 2, 11))
    losses["held_out_loss"] = losses["train_loss"] + 0.5
    curvature = pd.DataFrame({"position": [0.0, 0.25, 0.5, 0.75, 1.0]})
    curvature["trace"] = [80.0, 100.0, 100 * rise, 100.0, 120.0]
    curvature["trace_se"] = 5.0
    drift = pd.DataFrame({"position": [0.2, 0.4, 0.6, 0.8], "displacement_se": 1e-3})
    side = np.sign(drift["position"] - 0.5)
    drift["entropic"] = 1e-3 * side * np.array([3.0, 3.0, -1.9, -3.0])
    if outward == 3:
        drift.loc[2, "entropic"] *= -2
    return [losses, curvature, drift]


def test_a_path_finds_it_in_the_caption_and_gives_the_same_bytes(tmp_path):
    findings = [
        "Tr H in the middle of the path is 3 times its mean at the ends",
        "the highest loss is 1.5 times the higher end's",
        "moves SGD outward at 2 and inward at 1 of 4 positions",
    ]
    check(trace, trace_tables(), findings, tmp_path, "1.96 standard errors")


def test_another_path_makes_another_caption():
    _, caption = laid_out(trace, trace_tables(rise=0.5, top=1.25, outward=3))
    assert "Tr H in the middle of the path is 0.5 times" in caption
    assert "highest loss is 1.25 times" in caption
    assert "outward at 3 and inward at 1 of 4 positions" in caption


def test_what_was_not_measured_on_a_path_is_left_out():
    losses, curvature, _ = trace_tables()
    curvature["trace"] *= -1
    figure, caption = laid_out(trace, [losses.drop(columns="held_out_loss"), curvature, pd.DataFrame()])
    assert "Tr H is not above 0 at the ends" in caption
    assert "SGD" not in caption
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Loss", "Curvature"]
    assert figure.axes[0].get_legend() is None
    assert len(figure.axes[0].lines) == 1


def test_the_panels_of_a_path_have_their_data():
    tables = trace_tables()
    figure, _ = drawn(trace, tables)
    loss, bend, moved = figure.axes
    assert [list(line.get_ydata()) for line in loss.lines] == [
        list(tables[0]["train_loss"]),
        list(tables[0]["held_out_loss"]),
    ]
    for axes, table, value, error in (
        (bend, tables[1], "trace", "trace_se"),
        (moved, tables[2], "entropic", "displacement_se"),
    ):
        (data,) = points(axes)
        np.testing.assert_array_equal(data, table[["position", value]])
        (bars,) = axes.collections
        ends = np.array([segment[:, 1] for segment in bars.get_segments()])
        np.testing.assert_allclose(np.ptp(ends, axis=1), 2 * 1.96 * table[error])
