"""The published procedure beside the corrected one, from tables with known ratios."""

import itertools

import pandas as pd
import pytest
from estimator_tables import DEFAULT, SMOKE, timing_table, with_many_gaps
from figure_check import LIMITS, check, drawn, grid, laid_out, told

from valleyscope.figures.landscape import published


def tables(seeds, ks, dims):
    dim = dims[-1]
    rows = []
    for seed, k, procedure in itertools.product(seeds, ks, ("published", "corrected")):
        theirs, exact = procedure == "published", 4 / k * (1 + 0.1 * seed)
        direct = 1e-2 / k**2 * (1 + seed)
        quantities = {
            "orthogonality": 1.0 if theirs else 1e-6,
            "wrong_signs": dim // 4 if theirs else 0,
            "residual": 0.5 if theirs else 1e-3,
            "norm_B": 16 * exact * k / ks[0] if theirs else 0.8 * exact,
            "norm_B_exact": exact if theirs else 0.8 * exact,
            "direct": direct,
            "direct_se": 0.01 * direct,
            "gaussian_moment": (1.4 if theirs else 1.001) * direct,
            "value": 0.6 * direct,
        }
        rows += [(seed, k, procedure, name, value) for name, value in quantities.items()]
    table = pd.DataFrame(rows, columns=["seed", "k", "procedure", "quantity", "value"])
    values = grid(seed=seeds, k=ks, procedure=["published", "corrected"], rank=range(1, dim + 1))
    values["rayleigh"] = 20 / values["rank"] * (1 + 0.1 * values["seed"])
    wrong = (values["procedure"] == "published") & (values["rank"] > dim - dim // 4)
    values.loc[wrong, "rayleigh"] = -1.0
    # One direction found again and again, twice as large each time.
    values["eigenvalue"] = values["rayleigh"].where(~wrong, 2.0 ** (values["rank"] - dim + dim // 4))
    return table, values, timing_table(ks, dim)


def test_the_finding_is_in_the_caption_and_the_bytes_are_the_same(tmp_path):
    check(
        published,
        tables(**DEFAULT),
        [
            "gives 4 [4, 4] of 16 eigenvalues the wrong sign (k = 8; one direction may count several times)",
            "‖B‖ 256 [256, 256] times the exact one (k = 128)",
        ],
        tmp_path,
        numbers=["‖B‖ over the exact one in the same basis, published, k = 8: 16 [16, 16]"],
    )


def test_the_smoke_grids_are_enough():
    laid_out(published, tables(**SMOKE))


def test_missing_rows_and_numbers_do_not_stop_it():
    laid_out(published, with_many_gaps(tables(**DEFAULT)))


def test_ratios_are_taken_within_a_seed_and_only_where_resolved():
    table, values, timing = tables(**DEFAULT)
    picture = drawn(published, [table, values, timing])
    assert (
        "closed form is 1.4 [1.4, 1.4] times direct Monte Carlo, of which a² is 0.6 [0.6, 0.6]"
        in picture.caption
    )
    assert "50 of 50 measurements are resolved" in picture.caption
    words = told(picture)
    assert "UᵀU off the identity, published, any k and seed: up to 1\n" in words
    assert "UᵀU off the identity, corrected, any k and seed: up to 1e-06" in words
    assert "closed form over direct Monte Carlo, published, k = 8: 1.4 [1.4, 1.4]" in words
    assert "closed form over direct Monte Carlo, corrected, k = 8: 1 [1, 1]" in words
    assert "closed form over direct Monte Carlo, both less a², published, k = 8: 2 [2, 2]" in words
    assert "eigenvalues of 16 with the wrong sign, corrected, k = 8: 0 [0, 0]" in words
    assert (
        "stages I + II at k = 64, gradients, published over corrected (one model, medians of calls): 10\n"
        in words
    )
    wide = published.by_quantity(table, LIMITS["resolved"])
    assert wide.query("procedure == 'published'")["beyond"].to_numpy() == pytest.approx(0.8 / 0.4)
    noisy = table["quantity"] == "direct_se"
    table.loc[noisy, "value"] *= 100
    assert published.by_quantity(table, LIMITS["resolved"])["beyond"].isna().all()
    assert "0 of 50 measurements are resolved" in drawn(published, [table, values, timing]).caption


@pytest.mark.parametrize(("resolved", "count"), [(2, 50), (39, 50), (41, 0)])
def test_the_resolution_is_handed_over(resolved, count):
    """Direct Monte Carlo exceeds a² by 40 of its standard errors."""
    picture = drawn(published, tables(**DEFAULT), resolved=resolved)
    assert f"{count} of 50 measurements are resolved ({resolved} standard errors)" in picture.caption
    name = next(name for name in picture.numbers if name.startswith("measurements"))
    assert f"exceeds a² by {resolved} standard errors" in name
    assert picture.numbers[name] == f"{count} of 50"
