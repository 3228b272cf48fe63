import dense
import numpy as np
import pytest
import torch

from valleyscope.eigen import top_eigenpairs
from valleyscope.hessian import HessianOperator
from valleyscope.increments import (
    IncrementOperator,
    direct_increments,
    estimate_criteria,
    gradient_share,
    increment_model,
    increments,
)
from valleyscope.model import sequence_losses
from valleyscope.weights import at_weights, flat_weights

K = 5


def parts(model, tokens, count):
    operator = HessianOperator(model, sequence_losses, tokens[:K])
    sample = HessianOperator(model, sequence_losses, tokens[K : K + 1])
    return operator, sample, top_eigenpairs(operator, count, tol=1e-10)


def test_identity_equals_subtraction_of_two_means(rng):
    losses = torch.rand(4, 9, generator=rng, dtype=torch.float64)
    for k in (1, 4, 8):
        naive = losses[:, : k + 1].mean(1) - losses[:, :k].mean(1)
        np.testing.assert_allclose(increments(losses, k), naive.numpy(), rtol=1e-9, atol=1e-15)


def test_float32_losses_keep_their_digits_where_subtraction_loses_them():
    generator = torch.Generator().manual_seed(0)
    k = 10_000
    exact = 3 + torch.rand(k + 1, generator=generator, dtype=torch.float64)
    truth = ((exact[:k].mean() * k + exact[k]) / (k + 1) - exact[:k].mean()).item()
    single = exact.float()
    identity = increments(single, k).item()
    naive = (single.mean() - single[:k].mean()).item()
    assert abs(identity - truth) <= 1e-5 * abs(truth)
    assert abs(naive - truth) >= 1e-4 * abs(truth)


def test_quadratic_model_equals_the_dense_difference_of_two_mean_losses(model, tokens):
    operator, sample, eigen = parts(model, tokens, 6)
    built = increment_model(operator, eigen, sample, K)
    U = eigen.vectors
    before, after = tokens[:K], tokens[: K + 1]
    value = (sequence_losses(model, after).mean() - sequence_losses(model, before).mean()).item()
    slope = U.T @ (
        dense.gradient(model, sequence_losses, after) - dense.gradient(model, sequence_losses, before)
    )
    curvature = U.T @ (
        dense.hessian(model, sequence_losses, after) - dense.hessian(model, sequence_losses, before)
    )
    assert built.value == pytest.approx(value, rel=1e-9)
    np.testing.assert_allclose(built.slope, slope.numpy(), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(built.curvature, (curvature @ U).numpy(), rtol=1e-6, atol=1e-9)


def test_direct_increments_equal_one_model_at_a_time(model, tokens, rng):
    _, _, eigen = parts(model, tokens, 3)
    z = np.random.default_rng(rng.initial_seed()).normal(size=(5, 3))
    batched = direct_increments(model, sequence_losses, tokens, eigen.vectors, z, K, chunk=2)
    for row, value in zip(z, batched, strict=True):
        with at_weights(model, flat_weights(model) + eigen.vectors @ torch.as_tensor(row)):
            losses = sequence_losses(model, tokens[: K + 1])
        truth = (losses.mean() - losses[:K].mean()).item()
        assert value == pytest.approx(truth, rel=1e-8)


def test_direct_and_quadratic_agree_to_third_order(model, tokens, rng):
    operator, sample, eigen = parts(model, tokens, 4)
    built = increment_model(operator, eigen, sample, K)
    z = np.random.default_rng(rng.initial_seed()).normal(size=(20, 4))
    errors = []
    for sigma in (2e-3, 5e-4):
        true = direct_increments(model, sequence_losses, tokens, eigen.vectors, sigma * z, K)
        errors.append(np.linalg.norm(true - built.at(sigma * z)))
    # Third order gives 4³ = 64 (more where a draw crosses a kink of ReLU²); a wrong slope would leave 4,
    # a wrong curvature 16.
    assert errors[0] / errors[1] > 30


def test_gradient_share_is_one_in_the_whole_space_and_grows(model, tokens):
    operator, sample, eigen = parts(model, tokens, 8)
    share = gradient_share(operator, sample, eigen.vectors)
    assert (np.diff(share) >= 0).all()
    assert 0 < share[-1] < 1
    whole = torch.eye(operator.size, dtype=torch.float64)
    assert gradient_share(operator, sample, whole)[-1] == pytest.approx(1, rel=1e-12)


def test_criteria_table(model, tokens):
    _, _, eigen = parts(model, tokens, 4)
    estimates, terms = estimate_criteria(
        model,
        sequence_losses,
        tokens,
        eigen,
        K,
        dims=[2, 4],
        sigmas=[1e-4, 1e-3],
        samples=400,
        seed=0,
    )
    assert len(estimates) == 2 * 2 * 4
    assert len(terms) == 4
    wide = estimates.pivot(index=["dim", "sigma"], columns="estimator", values="estimate")
    errors = estimates.pivot(index=["dim", "sigma"], columns="estimator", values="standard_error")
    gap = (wide["direct"] - wide["gaussian_moment"]).abs()
    assert (gap <= 5 * errors["direct"]).all()
    difference = wide["direct"] - wide["quadratic"]
    np.testing.assert_allclose(wide["direct_minus_quadratic"], difference, atol=1e-12)
    spread = estimates.pivot(index=["dim", "sigma"], columns="estimator", values="variance")
    np.testing.assert_allclose(spread["direct"], spread["quadratic"], rtol=0.02)
    np.testing.assert_allclose(spread["quadratic"], spread["gaussian_moment"], rtol=5 * (2 / 400) ** 0.5)
    moments = terms[["value", "slope", "curvature", "cross"]].sum(axis=1)
    np.testing.assert_allclose(moments, wide["gaussian_moment"], rtol=1e-12)


def test_increment_operator_equals_the_dense_difference_of_two_mean_losses(model, tokens, rng):
    operator, sample, _ = parts(model, tokens, 1)
    A = IncrementOperator(operator, sample)
    before, after = tokens[:K], tokens[: K + 1]
    truth = dense.hessian(model, sequence_losses, after) - dense.hessian(model, sequence_losses, before)
    V = torch.randn(A.size, 3, generator=rng, dtype=torch.float64)
    counted = operator.matvecs
    assert (A.matmat(V) - truth @ V).norm() <= 1e-9 * (truth @ V).norm()
    assert (A.matvecs, sample.matvecs, operator.matvecs - counted) == (3, 3, 3)
    slope = dense.gradient(model, sequence_losses, after) - dense.gradient(model, sequence_losses, before)
    torch.testing.assert_close(A.gradient(), slope, rtol=1e-8, atol=1e-12)
    alone = dense.hessian(model, sequence_losses, tokens[K : K + 1])
    assert (A.sample.matmat(V) - alone @ V).norm() <= 1e-10 * (alone @ V).norm()
