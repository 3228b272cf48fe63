"""The figure of a probe of anyone's model, from synthetic tables whose ratio is known."""

import numpy as np
import pandas as pd
import pytest
from figure_check import check, drawn, grid, laid_out, told

from valleyscope.figures import probe

SIZE = 2464


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
        "One next sample, N = 2,464",
    ]
    numbers = ["off the closed form, at any σ, at most: 0.01"]
    check(probe, probe_tables(), findings, tmp_path, numbers, uncertainty="standard errors")


def test_another_probe_makes_another_caption():
    caption = told(laid_out(probe, probe_tables(size=400, off=-0.25, slope=4.0)))
    assert "ratio Δ₂^(D)/Δ₂ is 0.6, of which a²" in caption
    assert "makes 0.5 of Δ₂" in caption
    assert "(chance 0.01)" in caption
    assert "off the closed form, at any σ, at most: 0.25" in caption
    assert "N = 400" in caption


def test_the_panels_of_a_probe_have_their_data():
    table, terms = probe_tables()
    figure = drawn(probe, [table, terms]).figure
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
