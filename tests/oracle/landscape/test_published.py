"""The published procedure shows its known errors, and no others."""

import dense
import numpy as np
import pytest
import torch

from valleyscope.engine.weights import at_weights, flat_weights
from valleyscope.landscape.published import (
    MicrobatchedHessian,
    coefficients,
    deflated_power_iteration,
    evenly_spaced,
    increment_by_subtraction,
    unbatched_increments,
)
from valleyscope.models.model import sequence_losses


def symmetric(rng, values):
    Q = torch.linalg.qr(torch.randn(12, 12, generator=rng, dtype=torch.float64))[0]
    values = torch.tensor(values + [0.0] * (12 - len(values)), dtype=torch.float64)
    return (Q * values) @ Q.T, Q


def test_positive_spectra_come_out_right(rng):
    matrix, Q = symmetric(rng, [9.0, 5.0, 2.0])
    values, vectors = deflated_power_iteration(dense.MatrixOperator(matrix), 3, 200, seed=0)
    torch.testing.assert_close(values, torch.tensor([9.0, 5.0, 2.0], dtype=torch.float64), rtol=1e-2, atol=0)
    assert (Q[:, :3].T @ vectors).abs().diagonal().min() > 0.99


def test_a_negative_eigenvalue_loses_its_sign_and_is_found_again_twice_as_large(rng):
    matrix, Q = symmetric(rng, [-9.0, 1.0])
    values, vectors = deflated_power_iteration(dense.MatrixOperator(matrix), 3, 100, seed=0)
    np.testing.assert_allclose(values, [9, 18, 36], rtol=1e-3)
    assert (Q[:, 0] @ vectors).abs().min() > 0.999


def test_microbatched_products_are_exact(model, tokens, rng):
    operator = MicrobatchedHessian(model, sequence_losses, tokens[:5])
    V = torch.randn(operator.size, 2, generator=rng, dtype=torch.float64)
    truth = dense.hessian(model, sequence_losses, tokens[:5]) @ V
    assert (operator.matmat(V) - truth).norm() <= 1e-10 * truth.norm()
    assert operator.matvecs == 2
    kept = MicrobatchedHessian(model, sequence_losses, tokens[:5], keep_graph=True)
    assert torch.equal(kept.matmat(V), operator.matmat(V))


def test_four_evenly_spaced_sequences_differ_between_k_and_k_plus_one():
    data = torch.arange(20)
    assert evenly_spaced(data[:8]).tolist() == [0, 2, 5, 7]
    assert evenly_spaced(data[:9]).tolist() == [0, 3, 5, 8]
    assert evenly_spaced(data[:3]).tolist() == [0, 1, 2]


def test_value_and_slope_are_right_but_the_curvature_is_that_of_other_samples(model, tokens, rng):
    k, N = 6, len(flat_weights(model))
    basis = torch.linalg.qr(torch.randn(N, 3, generator=rng, dtype=torch.float64))[0]
    found = coefficients(model, sequence_losses, tokens, k, basis)
    before, after = tokens[:k], tokens[: k + 1]
    with torch.no_grad():
        value = sequence_losses(model, after).mean() - sequence_losses(model, before).mean()
    slope = dense.gradient(model, sequence_losses, after) - dense.gradient(model, sequence_losses, before)
    assert found.value == pytest.approx(value.item(), rel=1e-9)
    np.testing.assert_allclose(found.slope, (basis.T @ slope).numpy(), rtol=1e-8, atol=1e-12)
    subsampled = dense.hessian(model, sequence_losses, evenly_spaced(after))
    subsampled = subsampled - dense.hessian(model, sequence_losses, evenly_spaced(before))
    np.testing.assert_allclose(found.curvature, (basis.T @ subsampled @ basis).numpy(), rtol=1e-7, atol=1e-10)
    exact = dense.hessian(model, sequence_losses, after) - dense.hessian(model, sequence_losses, before)
    # Of unlike samples, so about three times as large.
    assert subsampled.norm() > 1.2 * exact.norm()


def test_unbatched_increments_restore_the_weights_and_equal_two_means(model, tokens, rng):
    k, w = 4, flat_weights(model)
    basis = torch.linalg.qr(torch.randn(len(w), 2, generator=rng, dtype=torch.float64))[0]
    z = np.array([[0.01, 0.0], [0.02, -0.03]])
    found = unbatched_increments(model, sequence_losses, tokens, k, basis, z)
    assert torch.equal(flat_weights(model), w)
    for row, value in zip(z, found, strict=True):
        with at_weights(model, w + basis @ torch.as_tensor(row)):
            assert increment_by_subtraction(model, sequence_losses, tokens, k) == pytest.approx(value)
