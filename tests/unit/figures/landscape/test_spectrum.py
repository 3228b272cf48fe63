"""Spectrum and drift of the eigenspace, from tables with known changes and overlaps."""

import numpy as np
import pandas as pd
from estimator_tables import DEFAULT, SMOKE, with_many_gaps
from figure_check import check, drawn, grid, laid_out, told

from valleyscope.figures.landscape import spectrum

N = 57344


def tables(seeds, ks, dims):
    eigenvalues = grid(regime=["trajectory", "minimisers"], seed=seeds, k=ks, rank=range(1, dims[-1] + 1))
    # Halves from the smallest to the largest k on the trajectory, stays at the minimisers.
    power = np.where(eigenvalues["regime"] == "trajectory", np.log(0.5) / np.log(ks[-1] / ks[0]), 0.0)
    eigenvalues["eigenvalue"] = (
        20 * (eigenvalues["k"] / ks[0]) ** power / eigenvalues["rank"] * (1 + 0.1 * eigenvalues["seed"])
    )
    eigenvalues["residual"] = 1e-2
    density = grid(seed=seeds, k=ks, relative=np.linspace(-0.2, 1.05, 60))
    density["density"] = np.exp(-((density["relative"] / 0.03) ** 2)) * 20 + 1e-4 * (1 + density["seed"])
    density["negative"] = 0.4 + 0.02 * (density["seed"] % 2)
    drift = grid(seed=seeds, k=ks, factor=[0, 2], weights_other=["same", "moved"], dim=dims)
    drift["k_other"] = np.where(drift["factor"] == 2, 2 * drift["k"], drift["k"] + 1)
    moved = drift["weights_other"] == "moved"
    drift["overlap"] = np.where(drift["factor"] == 2, 0.5, 0.9) - 0.2 * moved - 0.1 / drift["dim"]
    drift["chance"] = drift["dim"] / N
    return eigenvalues, density, drift.drop(columns="factor")


def test_the_finding_is_in_the_caption_and_the_bytes_are_the_same(tmp_path):
    check(
        spectrum,
        tables(**DEFAULT),
        [
            "is 0.494 [0.494, 0.494] with both at w_k and 0.294 [0.294, 0.294] with each at its own weights",
            "(chance 0.00028)",
            "From k = 8 to 128 the largest eigenvalue changes by the factor 0.5 [0.5, 0.5] on the trajectory",
            f"N = {N}",
        ],
        tmp_path,
        numbers=["k = 128 over k = 8, same seed, at minimisers: 1 [1, 1]"],
    )


def test_the_smoke_grids_are_enough():
    laid_out(spectrum, tables(**SMOKE))


def test_missing_rows_and_numbers_do_not_stop_it():
    laid_out(spectrum, with_many_gaps(tables(**DEFAULT)))


def test_only_ranks_that_every_k_has_are_drawn():
    eigenvalues, density, drift = tables(**SMOKE)
    more = eigenvalues.query("regime == 'trajectory' and k == 8").assign(rank=lambda table: table["rank"] + 4)
    picture = drawn(spectrum, [pd.concat([eigenvalues, more]), density, drift])
    for panel in picture.figure.axes[:2]:
        assert all(max(line.get_xdata()) == 4 for line in panel.lines if len(line.get_xdata()))


def test_overlaps_without_moved_weights_are_drawn():
    eigenvalues, density, drift = tables(**SMOKE)
    same = drift.query("weights_other == 'same'")
    assert "own" not in told(laid_out(spectrum, [eigenvalues, density, same]))


def test_it_can_do_without_minimisers_and_states_both_overlaps():
    eigenvalues, density, drift = tables(**DEFAULT)
    # Seeds differ threefold, their ratios between two k do not: only a ratio within a seed has no width.
    eigenvalues["eigenvalue"] *= 3.0 ** eigenvalues["seed"]
    picture = drawn(spectrum, [eigenvalues.query("regime == 'trajectory'"), density, drift])
    assert "by the factor 0.5 [0.5, 0.5] on the trajectory" in picture.caption
    words = told(picture)
    assert "minimisers" not in words
    assert "share of negative eigenvalues, trajectory, k = 8: 0.408 [0.394, 0.422]" in words
    overlap = "overlap of the top-16 eigenspaces of H^(k) and"
    assert f"{overlap} H^(k+1), both at w_k, k = 8: 0.894 [0.894, 0.894]" in words
    assert f"{overlap} H^(2k), each at the weights of its own k, k = 8: 0.294 [0.294, 0.294]" in words


def test_the_worst_residual_is_relative_to_the_largest_eigenvalue_of_its_own_cell():
    eigenvalues, density, drift = tables(**DEFAULT)
    smallest = eigenvalues.query("regime == 'trajectory' and k == 128 and seed == 0")
    eigenvalues.loc[smallest.index[-1], "residual"] = 0.05  # its λ_max is 10, the largest one 28
    assert "regime, seed and k: at most 5.0e-03" in told(drawn(spectrum, [eigenvalues, density, drift]))
