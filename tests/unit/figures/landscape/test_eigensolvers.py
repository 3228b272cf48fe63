"""Products of each eigensolver at one residual, from tables with known ratios."""

import numpy as np
import pytest
from estimator_tables import DEFAULT, SMOKE, with_many_gaps
from figure_check import check, drawn, grid, laid_out, told

from valleyscope.figures.landscape import eigensolvers


def tables(seeds, ks, dims):
    table = grid(solver=["Lanczos", "eigsh", "power", "published"], step=[1, 2, 3], seed=seeds)
    table["k"], table["count"] = ks[-1], dims[-1]
    fixed = table["solver"] == "published"
    table["setting"] = np.where(fixed, 10.0 ** table["step"], [float(f"1e-{s + 1}") for s in table["step"]])
    work = table["solver"].map({"Lanczos": 1.0, "eigsh": 1.5, "power": 20.0, "published": 40.0})
    table["products"] = 40 * table["step"] * work * (1 + 0.1 * table["seed"])
    table["residual"] = np.where(fixed, 0.5, 10.0 ** -(table["step"] + 1)) * (1 + 0.1 * table["seed"])
    return (table.drop(columns="step"),)


def test_the_finding_is_in_the_caption_and_the_bytes_are_the_same(tmp_path):
    check(
        eigensolvers,
        tables(**DEFAULT),
        ["1.5 [1.5, 1.5] at 1.2e-04 for eigsh (SciPy), 20 [20, 20] at", "leading 16 eigenpairs", "k = 128"],
        tmp_path,
        numbers=[
            "eigsh (SciPy): products over those of Lanczos to the same residual: 1.5 [1.5, 1.5]",
            "Lanczos at its best setting, 0.0001: worst residual over λ_max: 1.2e-04 [1.0e-04, 1.4e-04]",
            "published procedure at its best setting, 10: products: 19",
        ],
    )


def test_the_smoke_grids_are_enough():
    laid_out(eigensolvers, tables(**SMOKE))


def test_missing_rows_and_numbers_do_not_stop_it():
    laid_out(eigensolvers, with_many_gaps(tables(**DEFAULT)))


def test_solvers_are_compared_at_a_residual_that_both_reach():
    (table,) = tables(**DEFAULT)
    # A power iteration that stops at 1e-2 is compared there, not at the best of Lanczos.
    power = table["solver"] == "power"
    table.loc[power, "residual"] = 0.01 * (1 + 0.1 * table["seed"])
    rows = eigensolvers.product_ratios(table, "power")
    assert rows["ratio"].to_numpy() == pytest.approx(20)
    assert rows["residual"].to_numpy() == pytest.approx(0.01 * (1 + 0.1 * np.arange(5)))
    assert eigensolvers.best(table)["Lanczos"] == 1e-4


def test_the_line_is_the_tightest_tolerance_of_lanczos():
    (table,) = tables(**DEFAULT)
    lines = {line.get_label(): line for line in drawn(eigensolvers, [table]).figure.axes[0].lines}
    assert lines["tolerance 0.0001"].get_ydata()[0] == 1e-4
    coarse = drawn(eigensolvers, [table[table["setting"] > 1e-4]])
    assert "tolerance 0.001" in {line.get_label() for line in coarse.figure.axes[0].lines}


def test_lanczos_alone_is_compared_with_nothing():
    (table,) = tables(**DEFAULT)
    picture = drawn(eigensolvers, [table[table["solver"] == "Lanczos"]])
    assert "not comparable" in picture.caption
    assert "eigsh" not in told(picture)
