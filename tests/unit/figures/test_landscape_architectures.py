"""Figures of a probe and of a path of anyone's model: findings and bytes."""

import numpy as np
import pandas as pd
import pytest
from figure_check import check, drawn, grid, laid_out

from valleyscope.figures import probe, trace

SIZE = 2464


def points(axes):
    """Data of the panel's points, without caps of their bars."""
    return [line.get_xydata() for line in axes.lines if line.get_marker() == "o"]


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
