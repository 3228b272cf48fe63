import dense
import numpy as np
import pytest
import torch

from valleyscope.eigen import EigenResult, top_eigenpairs
from valleyscope.hessian import HessianOperator
from valleyscope.landscape.increments import IncrementOperator, gradient_share, increment_model_in
from valleyscope.landscape.spaces import full_space_draws, full_space_model
from valleyscope.landscape.subspaces import (
    compare_index_sets,
    compare_subspaces,
    eigenspace_drift,
    increment_subspace,
    lemma5_assumptions,
    minibatch_gradients,
    orthonormal,
    random_subspace,
    subspace_overlap,
)
from valleyscope.models.model import sequence_losses

K = 5


@pytest.fixture
def increment(model, tokens):
    mean = HessianOperator(model, sequence_losses, tokens[:K])
    return IncrementOperator(mean, HessianOperator(model, sequence_losses, tokens[K : K + 1]))


def test_bases_are_orthonormal_and_random_ones_see_their_share(increment):
    basis = random_subspace(increment.size, 40, seed=1).double()
    torch.testing.assert_close(basis.T @ basis, torch.eye(40, dtype=torch.float64), atol=1e-5, rtol=0)
    shares = [
        gradient_share(increment.gradient(), random_subspace(increment.size, 40, seed))[-1]
        for seed in range(40)
    ]
    error = np.std(shares) / np.sqrt(40)
    assert abs(np.mean(shares) - 40 / increment.size) <= 5 * error


def test_the_increment_subspace_holds_the_whole_slope_and_the_largest_curvature(increment, model, tokens):
    basis = increment_subspace(increment, 4, 1e-8, seed=0)
    np.testing.assert_allclose(gradient_share(increment.gradient(), basis), 1, rtol=1e-9)
    after, before = tokens[: K + 1], tokens[:K]
    A = dense.hessian(model, sequence_losses, after) - dense.hessian(model, sequence_losses, before)
    values, vectors = torch.linalg.eigh(A)
    leading = vectors[:, values.abs().argsort(descending=True)[:3]]
    assert torch.linalg.svdvals(basis.T @ leading).min() > 1 - 1e-6


def test_spread_ratio_of_the_whole_space_is_one(increment):
    whole = torch.eye(increment.size, dtype=torch.float64)
    full = full_space_model(increment, [full_space_draws(increment.size, 500, seed=0)])
    model = increment_model_in(increment, whole)
    table = compare_subspaces({"whole": model}, full, increment.size, [increment.size], [1e-2, 1.0])
    # Tr A² is drawn in one and exact in the other.
    np.testing.assert_allclose(table["spread_ratio"], 1, rtol=0.15)
    np.testing.assert_allclose(table["gradient_share"], 1, rtol=1e-9)


def test_minibatch_gradients_lie_in_the_span_of_the_samples(model, tokens):
    columns = minibatch_gradients(model, sequence_losses, tokens[:3], 6, batch=2, seed=0)
    own = torch.stack([dense.gradient(model, sequence_losses, tokens[i : i + 1]) for i in range(3)], dim=1)
    inside = orthonormal(own)
    assert (columns - inside @ (inside.T @ columns)).norm() <= 1e-9 * columns.norm()


def test_index_sets_start_with_the_top_and_the_rest_are_random(rng):
    curvature = np.diag([5.0, 4.0, 3.0, 0.1, 0.1, 0.1])
    table = compare_index_sets(curvature, [2, 6], sets=30, seed=0)
    assert set(table["dim"]) == {2}  # six of six leave nothing to choose
    top = table[table["draw"] == 0]["quadratic"].item()
    assert top == pytest.approx(2 * (25 + 16) + 81)
    assert (table["quadratic"] <= top).all()
    assert table["quadratic"].nunique() > 3


def test_lemma_5s_assumptions_are_read_off_the_curvature():
    values = np.array([9.0, 5.0, 2.0])
    assert lemma5_assumptions(np.diag([3.0, 2.0, 1.0]), values) == pytest.approx(
        {"nonnegative": 1.0, "rank_correlation": 1.0, "off_diagonal": 0.0}
    )
    found = lemma5_assumptions(np.array([[1.0, 1.0, 0], [1.0, 2.0, 0], [0, 0, -3.0]]), values)
    assert found["nonnegative"] == pytest.approx(2 / 3)
    assert found["off_diagonal"] == pytest.approx(2 / 16)
    assert found["rank_correlation"] == pytest.approx(0.5)


def test_overlap_is_that_of_the_principal_angles(rng):
    first = orthonormal(torch.randn(30, 2, generator=rng, dtype=torch.float64))
    assert subspace_overlap(first, first)[0] == pytest.approx(1)
    angle = 0.3
    outside = orthonormal(torch.cat([first, torch.randn(30, 1, generator=rng, dtype=torch.float64)], 1))[:, 2]
    turned = torch.stack([first[:, 0], np.cos(angle) * first[:, 1] + np.sin(angle) * outside], dim=1)
    overlap, largest = subspace_overlap(first, turned)
    assert overlap == pytest.approx((1 + np.cos(angle) ** 2) / 2)
    assert largest == pytest.approx(np.rad2deg(angle))


def test_drift_compares_leading_eigenvectors(model, tokens):
    eigen = top_eigenpairs(HessianOperator(model, sequence_losses, tokens[:K]), 4, tol=1e-9)
    swapped = EigenResult(eigen.values, eigen.vectors[:, [1, 0, 2, 3]], eigen.residuals, 0, True)
    table = eigenspace_drift(eigen, swapped, [1, 2, 4]).set_index("dim")
    assert table["overlap"][1] == pytest.approx(0, abs=1e-9)
    assert table["overlap"][2] == pytest.approx(1)
    assert table["chance"][4] == pytest.approx(4 / len(eigen.vectors))
