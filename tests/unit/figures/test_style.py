"""Synthetic tables with a known finding: it must stand in the caption, and twice the same bytes."""

import numpy as np
import pandas as pd
import pytest
from figure_check import check, drawn, grid, modules

from valleyscope.figures import engine, style, training


def training_tables():
    landscape = grid(seed=[0, 1, 2], samples=[0, 64, 128])
    landscape["train_loss"] = 5 - landscape["samples"] / 64 + 0.01 * landscape["seed"]
    landscape["held_out_loss"] = landscape["train_loss"] + 0.1
    minima = landscape.rename(columns={"samples": "step"}).assign(variant="adamw")
    return landscape, minima


def engine_tables():
    ways = {  # gradients a product
        ("torch", "gradient", "one vector"): 1.0,
        ("valleyscope", "Hessian", "graph kept"): 2.0,
        ("valleyscope", "Hessian", "graph kept, block of 8"): 2.0,
        ("PyHessian", "Hessian", "one vector"): 2.1,
        ("curvlinops", "Hessian", "one vector"): 5.0,
        ("hessian-eigenthings", "Hessian", "one vector"): 3.0,
        ("valleyscope", "Fisher", "graph kept"): 1.2,
    }
    products = grid(key=list(ways), freed_memory=["returned", "kept"], round=[1, 2, 3])
    products[["library", "operator", "way"]] = products["key"].tolist()
    slower = np.where(products["freed_memory"] == "kept", 1.0, 1.5)
    products["gradients"] = products["key"].map(ways) * slower * (1 + 0.1 * (products["round"] - 2))
    products["peak_bytes"] = np.where(products["operator"] == "gradient", 1e6, 3e6)
    solvers = grid(method=["Lanczos", "eigsh", "power iteration"], round=[1, 2])
    names = {"Lanczos": "valleyscope", "eigsh": "SciPy", "power iteration": "valleyscope"}
    solvers["library"] = solvers["method"].map(names)
    solvers["seconds"] = solvers["method"].map({"Lanczos": 4.0, "eigsh": 10.0, "power iteration": 80.0})
    solvers["residual"] = solvers["method"].map({"Lanczos": 5e-4, "eigsh": 5e-4, "power iteration": 7e-3})
    solvers["gradients"], solvers["products"] = solvers["seconds"] * 20, 60
    growth = pd.DataFrame(
        [
            ("parameters", 1000, 64, 16),
            ("parameters", 4000, 64, 16),
            ("sequences", 1000, 8, 16),
            ("sequences", 1000, 64, 16),
            ("pairs", 1000, 64, 4),
            ("pairs", 1000, 64, 16),
        ],
        columns=["axis", "parameters", "sequences", "pairs"],
    ).assign(product_gradients=2.0, products=[60, 60, 60, 60, 30, 60])
    warm = pd.DataFrame({"k_before": [64, 64], "k": [64, 65], "cold_products": [60, 60]})
    warm = warm.assign(warm_products=[30, 48], block_products=[15, 54], residual_of_old_vectors=[1e-4, 2e-2])
    beside = "Hutchinson beside 16 eigenpairs"
    traces = grid(estimator=["Hutchinson", beside], quantity=["trace", "square"], repeat=[0, 1])
    size = np.where(traces["estimator"] == beside, 1.0, 2.0)
    traces["products"] = 48
    traces["estimate"] = 10 + size * (2 * traces["repeat"] - 1)
    return products, solvers, growth, warm, traces


CASES = {
    engine: (engine_tables, "takes 2.00 gradients (2.00 a vector in a block) and holds 3.0 times"),
    training: (training_tables, "a held-out loss of 3.11 [3.09, 3.13] nats per token, 0.1 [0.1, 0.1] above"),
}


@modules(CASES)
def test_the_finding_is_in_the_caption_and_the_bytes_are_the_same(module, tmp_path):
    make, finding = CASES[module]
    check(module, make(), [finding], tmp_path, "range" if module is engine else "95 %")


@pytest.mark.parametrize("form", [".pdf", ".png"])
def test_every_format_has_the_same_bytes_again(form, tmp_path):
    check(training, training_tables(), [], tmp_path, form=form)


def test_intervals_of_logarithms_are_those_of_a_geometric_mean():
    values = [1.0, 10.0, 100.0]
    low, high = style.log_interval(values)
    assert style.geometric_mean(values) == pytest.approx(10)
    assert low < 10 < high
    assert low * high == pytest.approx(100)


def test_the_engine_is_compared_with_each_library_under_both_allocators():
    tables = engine_tables()
    _, caption = drawn(engine, tables)
    assert "PyHessian 1.05, curvlinops 2.50, hessian-eigenthings 1.50 (where" in caption
    assert (
        "SciPy, eigsh takes 2.5 times as long, deflated power iteration 20 times and stops at 7.0e-03"
        in caption
    )
    assert (
        "took 0.80 of the products of a cold start, as a block 0.90 (at the same k: 0.50 and 0.25)" in caption
    )
    assert "Hutchinson beside 16 eigenpairs 0.5; of Tr H², beside the eigenpairs, 0.5 (2 repeats)" in caption
    costs = engine.product_costs(tables[0]).set_index("library")
    assert costs.loc["curvlinops", "returned"] == pytest.approx(7.5)


def test_a_caption_is_printed_below_the_axes_and_described_in_the_svg(tmp_path):
    figure, axes = style.new_figure(3, columns=2)
    for panel in axes:
        panel.set(xlabel="x", ylabel="y", title="title")
    caption = "A finding, told at length. " * 30
    style.save_figure(figure, caption, tmp_path / "f.pdf")
    printed = figure.texts[-1].get_window_extent()
    for panel in axes:
        assert panel.get_tightbbox().y0 >= printed.y1
    svg = (tmp_path / "f.svg").read_text()
    assert caption.strip() in svg
    assert len(svg) < 40_000  # no glyph of the caption
    assert {path.suffix for path in tmp_path.iterdir()} == {".pdf", ".svg", ".png", ".txt"}
