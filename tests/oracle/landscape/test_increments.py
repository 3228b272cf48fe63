import dense
import numpy as np
import pytest
import torch

from valleyscope.eigen import top_eigenpairs
from valleyscope.engine.weights import at_weights, flat_weights
from valleyscope.errors import InputError
from valleyscope.hessian import HessianOperator
from valleyscope.landscape.increments import (
    IncrementOperator,
    check_point,
    describe_point,
    direct_increments,
    gradient_share,
    increment_model,
    increment_model_in,
    increments,
    require_finite_increments,
)
from valleyscope.models.model import sequence_losses

K = 5


def parts(model, tokens, count):
    operator = HessianOperator(model, sequence_losses, tokens[:K])
    sample = HessianOperator(model, sequence_losses, tokens[K : K + 1])
    return operator, sample, top_eigenpairs(operator, count, tol=1e-10)


def test_identity_equals_subtraction_of_two_means(rng):
    losses = torch.rand(4, 9, generator=rng, dtype=torch.float64)
    for k in (1, 4, 8):
        naive = losses[:, : k + 1].mean(1) - losses[:, :k].mean(1)
        found = increments(losses[:, : k + 1], k)[:, 0]
        np.testing.assert_allclose(found, naive.numpy(), rtol=1e-9, atol=1e-15)


def test_each_candidate_takes_the_place_of_the_next_sample(rng):
    losses = torch.rand(4, 9, generator=rng, dtype=torch.float64)
    every = increments(losses, 6)
    for candidate in range(3):
        alone = increments(torch.cat([losses[:, :6], losses[:, 6 + candidate : 7 + candidate]], 1), 6)
        np.testing.assert_array_equal(every[:, candidate], alone[:, 0])


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
    built = increment_model(operator, eigen, sample)
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
    displacements = torch.as_tensor(z) @ eigen.vectors.T
    batched = direct_increments(model, sequence_losses, tokens[:K], tokens[K:], displacements)
    assert batched.shape == (5, len(tokens) - K)
    for row, value in zip(z, batched[:, 0], strict=True):
        with at_weights(model, flat_weights(model) + eigen.vectors @ torch.as_tensor(row)):
            losses = sequence_losses(model, tokens[: K + 1])
        truth = (losses.mean() - losses[:K].mean()).item()
        assert value == pytest.approx(truth, rel=1e-8)


def test_direct_and_quadratic_agree_to_third_order(model, tokens, rng):
    operator, sample, eigen = parts(model, tokens, 4)
    built = increment_model(operator, eigen, sample)
    z = np.random.default_rng(rng.initial_seed()).normal(size=(20, 4))
    errors = []
    for sigma in (2e-3, 5e-4):
        displacements = sigma * torch.as_tensor(z) @ eigen.vectors.T
        true = direct_increments(model, sequence_losses, tokens[:K], tokens[K : K + 1], displacements)[:, 0]
        errors.append(np.median(np.abs(true - built.at(sigma * z))))
    # Third order gives 4³ = 64 (more where a draw crosses a kink of ReLU²); a wrong slope would leave 4,
    # a wrong curvature 16.
    assert errors[0] / errors[1] > 30


def test_gradient_share_is_one_in_the_whole_space_and_grows(model, tokens):
    operator, sample, eigen = parts(model, tokens, 8)
    difference = sample.gradient() - operator.gradient()
    share = gradient_share(difference, eigen.vectors)
    assert (np.diff(share) >= 0).all()
    assert 0 < share[-1] < 1
    whole = torch.eye(operator.size, dtype=torch.float64)
    assert gradient_share(difference, whole)[-1] == pytest.approx(1, rel=1e-12)


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


def test_a_model_in_any_basis_equals_the_one_in_the_eigenbasis(model, tokens):
    operator, sample, eigen = parts(model, tokens, 3)
    known = increment_model(operator, eigen, sample)
    anew = increment_model_in(IncrementOperator(operator, sample), eigen.vectors)
    assert anew.value == known.value
    np.testing.assert_allclose(anew.slope, known.slope, rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(anew.curvature, known.curvature, rtol=1e-6, atol=1e-9)


def test_a_point_is_described_by_its_losses_and_gradients(model, tokens):
    data, held_out = tokens[: K + 1], tokens[K:]  # of any sequences
    operator = HessianOperator(model, sequence_losses, data[:K])
    found = describe_point(model, sequence_losses, operator, data, held_out)
    with torch.no_grad():
        losses, others = sequence_losses(model, data), sequence_losses(model, held_out)
    mean = losses[:K].mean()
    g = dense.gradient(model, sequence_losses, data[:K])
    each = [dense.gradient(model, sequence_losses, data[i : i + 1]) for i in range(K + 1)]
    noise = sum(row.square().sum() for row in each[:K]) / K / K
    truth = {
        "loss": mean,
        "next_loss": losses[K],
        "held_out_loss": others.mean(),
        "next_square": (others - mean).square().mean(),
        "next_variance": others.var(),
        "gradient_norm": g.norm(),
        "stationarity": g.square().sum() / noise,
        "slope_square": (each[K] - g).square().sum(),
    }
    assert list(found) == list(truth)
    assert found == pytest.approx({name: value.item() for name, value in truth.items()}, rel=1e-9)
    known = describe_point(model, sequence_losses, operator, data, held_out, stationarity=0.25)
    assert known == found | {"stationarity": 0.25}


def test_an_increment_that_is_not_finite_is_named():
    require_finite_increments(np.array([1.0, 2.0]), 1e-3)
    with pytest.raises(FloatingPointError, match=r"an increment at sigma = 0.001 is not finite; lower sigma"):
        require_finite_increments(np.array([1.0, np.inf]), 1e-3)


def test_points_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="k = 8 needs 9 samples, the data has 8"):
        check_point(8, 8, 1, 10)
    with pytest.raises(InputError, match="D = 11 directions are wanted of a model with N = 10"):
        check_point(4, 8, 11, 10)
