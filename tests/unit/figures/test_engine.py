"""The curvature engine beside other libraries, from synthetic tables whose costs are known."""

import numpy as np
import pandas as pd
import pytest
from figure_check import check, drawn, grid, told

from valleyscope.figures import engine


def engine_tables():
    ways = {  # gradients a product
        ("torch", "gradient", "one vector"): 1.0,
        ("torch", "gradient", "compiled"): 0.5,
        ("valleyscope", "Hessian", "graph kept"): 2.0,
        ("valleyscope", "Hessian", "graph kept, block of 8"): 2.0,
        ("valleyscope", "Hessian", "compiled"): 1.5,
        ("PyHessian 0.1", "Hessian", "one vector"): 2.1,
        ("curvlinops 3.0.1", "Hessian", "one vector"): 5.0,
        ("curvlinops 3.0.1", "Hessian", "block of 8"): 1.2,
        ("curvlinops 3.0.1-77-g63fd690", "Hessian", "one vector"): 4.0,
        ("curvlinops 3.0.1-77-g63fd690", "Hessian", "compiled"): 2.5,
        ("hessian-eigenthings 1.0.0a5", "Hessian", "one vector"): 3.0,
        ("valleyscope", "Fisher", "graph kept"): 1.2,
    }
    products = grid(key=list(ways), freed_memory=["returned", "kept"], round=[1, 2, 3])
    products[["library", "operator", "way"]] = products["key"].tolist()
    slower = np.where(products["freed_memory"] == "kept", 1.0, 1.5)
    products["gradients"] = products["key"].map(ways) * slower * (1 + 0.1 * (products["round"] - 2))
    products["peak_bytes"] = np.where(products["operator"] == "gradient", 1e6, 3e6)
    compiled = products["way"] == "compiled"
    products["compile_cold"], products["compile_warm"] = (np.where(compiled, s, np.nan) for s in (70.0, 9.0))
    products["error"] = np.where(compiled, 5e-7, np.nan)
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


def test_the_finding_is_in_the_caption_and_the_bytes_are_the_same(tmp_path):
    findings = [
        "takes 1.50 gradients compiled, 2.00 with the graph kept at 3.0 times a gradient's peak memory",
        "PyHessian 0.1 2.10, curvlinops 3.0.1-77-g63fd690 2.50, hessian-eigenthings 1.0.0a5 3.00.",
        "SciPy, eigsh takes 2.5 times as long, deflated power iteration 20 times.",
        "at k − 1 takes 0.80 of the products of a cold one",
    ]
    check(engine, engine_tables(), findings, tmp_path, uncertainty="range")


def test_the_engine_is_compared_with_each_library_under_both_allocators():
    tables = engine_tables()
    words = told(drawn(engine, tables))
    told_of = "over ours with the graph kept, where freed memory goes back to the system"
    for name, ratio in (
        ("PyHessian 0.1", "1.05"),
        ("curvlinops 3.0.1", "2.50"),
        ("hessian-eigenthings 1.0.0a5", "1.50"),
    ):
        assert f"product of {name} {told_of}: {ratio}" in words
    for words_of in ("from nothing: 70", "from torch's cache: 9"):
        assert f"seconds to compile a product, {words_of}" in words
    assert "a compiled gradient, in gradients: 0.50" in words
    assert "a vector in a block, graph kept, in gradients: 2.00" in words
    assert "error of a compiled product, relative to one with the graph kept: 5.0e-07" in words
    assert "at which deflated power iteration stops: 7.0e-03" in words
    assert "at k − 1 as a block, over a cold start: 0.90" in words
    assert "at the same k, over a cold start: 0.50" in words
    assert "at the same k as a block, over a cold start: 0.25" in words
    beside = "Hutchinson beside 16 eigenpairs, over Hutchinson's (48 products"
    assert f"Tr H, {beside}, those of eigenpairs not counted, 2 repeats): 0.5" in words
    assert f"Tr H², {beside}, those of eigenpairs not counted, 2 repeats): 0.5" in words
    costs = engine.product_costs(tables[0]).set_index("library")
    assert costs.loc["hessian-eigenthings 1.0.0a5", "returned"] == pytest.approx(4.5)


def test_a_solver_above_the_tolerance_is_hollow():
    figure = drawn(engine, engine_tables()).figure
    faces = [line.get_markerfacecolor() for line in figure.axes[2].lines]
    assert [face == "white" for face in faces] == [True, False, False]  # the slowest first: power iteration
