"""Solvers beside one another on a matrix with a known spectrum."""

import dense
import numpy as np
import pytest
import torch

from valleyscope.landscape.solvers import compare_solvers, scipy_vectors, worst_residual


@pytest.fixture
def problem(rng):
    """Eigenvalues 9, 6, 3 above a bulk, and the eigenvectors."""
    Q = torch.linalg.qr(torch.randn(30, 30, generator=rng, dtype=torch.float64))[0]
    values = torch.cat([torch.tensor([9.0, 6.0, 3.0]), torch.linspace(-0.5, 0.5, 27)]).double()
    return dense.MatrixOperator(((Q * values) @ Q.T).float()), Q.float()


def test_the_residual_is_that_of_the_worst_vector(problem):
    operator, Q = problem
    assert worst_residual(operator, 5 * Q[:, :3]) < 1e-5
    angle = 0.1
    turned = np.cos(angle) * Q[:, 0] + np.sin(angle) * Q[:, 2]
    # Of Hu: 9 cos² + 3 sin² along u, (9 − 3) cos sin across it.
    expected = 6 * np.cos(angle) * np.sin(angle) / (9 - 6 * np.sin(angle) ** 2)
    found = worst_residual(operator, torch.stack([turned, Q[:, 1]], 1))
    assert found == pytest.approx(expected, rel=1e-4)


def test_scipy_finds_the_leading_eigenvectors(problem):
    operator, Q = problem
    found = scipy_vectors(operator, 2, 1e-6, seed=0)
    assert torch.linalg.svdvals(found.T @ Q[:, :2]).min() > 1 - 1e-4


def test_every_solver_is_counted_and_gets_better_with_more_products(problem):
    operator, _ = problem
    table = compare_solvers(operator, 3, [1e-1, 1e-4], [2, 60], seed=0)
    assert table.groupby("solver")["setting"].apply(list).to_dict() == {
        "Lanczos": [1e-1, 1e-4],
        "power": [1e-1, 1e-4],
        "eigsh": [1e-1, 1e-4],
        "published": [2, 60],
    }
    assert (table["count"] == 3).all()
    assert (table["products"] >= 3).all()
    for solver, rows in table.groupby("solver"):
        coarse, fine = rows.sort_values("products").itertuples()
        assert fine.residual <= coarse.residual, solver
        assert fine.residual < (0.05 if solver == "published" else 2e-4), solver
    published = table[(table["solver"] == "published") & (table["setting"] == 2)]
    assert published["products"].item() == 3 * 2  # at most 2 a pair; measuring residuals is not counted
