"""The grid of costs: its operations against those of the model's matrices, its limits."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import measure_grid


def test_operations_are_those_of_the_models_matrices():
    cell = measure_grid.Cell(depth=1, width=128, tokens=4, sequences=2)
    rows = {row["operation"]: row for row in measure_grid.measure(cell)}
    matrices = 12 * 128**2 + 512 * 128  # a block's and the head's; the embedding is looked up
    attention = 2 * 4 * 128  # numbers that meet in scores and in their means, a token
    forward = 2 * (matrices + attention) * cell.tokens * cell.sequences
    done = {name: row["gigaflops"] * row["seconds"] * 1e9 for name, row in rows.items()}
    assert done["gradient"] == pytest.approx(3 * forward, rel=1e-6)
    assert done["product"] == pytest.approx(6 * forward, rel=0.01)
    for row in rows.values():
        assert row["parameters"] == 12 * 128**2 + 2 * 512 * 128
        cost = row["nanoseconds"] * row["parameters"] * cell.tokens * cell.sequences
        assert cost == pytest.approx(row["seconds"] * 1e9)


def test_a_cell_that_takes_too_long_is_left_out(monkeypatch):
    monkeypatch.setattr(measure_grid, "LONGEST", 1.0)
    assert measure_grid.measure(measure_grid.Cell(1, 8, 4, 2)) == []
