"""The increment on a plane, from a cubic whose quadratic part is known."""

import numpy as np
import pandas as pd
from estimator_tables import with_many_gaps
from figure_check import check, drawn, grid, laid_out, told

from valleyscope.figures.landscape import geometry


def table(points=21):
    axis = np.linspace(-1, 1, points)
    rows = grid(regime=["trained", "minimisers"], seed=[0], k=[16], y=axis, x=axis)
    rows["quadratic"] = 0.2 + 0.5 * rows["x"] ** 2 - 0.3 * rows["y"] ** 2
    rows["true"] = rows["quadratic"] + 0.05 * rows["x"] ** 3 * (rows["regime"] == "trained")
    return rows


def test_the_finding_is_in_the_caption_and_the_bytes_are_the_same(tmp_path):
    check(
        geometry,
        [table()],
        ["0.091 at the trained weights and 0 at the minimiser of L_k", "One model (seed 0)", "k = 16"],
        tmp_path,
        numbers=[
            "displacements along u₁ and u₂ (trained weights, k = 16): up to 1",
            "|δ − δ(0)| in nats (trained weights, k = 16): up to 0.55",
        ],
        uncertainty="without an interval",
    )


def test_the_smoke_grid_is_enough():
    laid_out(geometry, [table(points=3)])


def test_missing_rows_and_numbers_do_not_stop_it():
    laid_out(geometry, with_many_gaps([table()]))


def test_the_plane_is_judged_without_its_constant():
    rows = table()
    rows[["true", "quadratic"]] += 1e3
    assert "0.091 at the trained weights" in drawn(geometry, [rows]).caption


def test_only_the_first_seed_of_the_plane_is_drawn():
    rows = table()
    other = rows.assign(seed=1, true=rows["true"] * 9)
    shown = geometry.planes(pd.concat([other, rows]))
    assert {rows["seed"].unique().tolist()[0] for rows in shown.values()} == {0}
    assert all(len(rows) == 21 * 21 for rows in shown.values())


def test_one_regime_has_one_row():
    picture = drawn(geometry, [table().query("regime == 'trained'")])
    assert "minimiser" not in told(picture)
