"""Probes in a subspace and in full space: draws, models and what they hold, against dense truth."""

import dense
import numpy as np
import pytest
import torch

from valleyscope.criteria import IncrementModel, standard_normals
from valleyscope.eigen import top_eigenpairs
from valleyscope.hessian import HessianOperator
from valleyscope.landscape.increments import IncrementOperator, gradient_share, increment_model
from valleyscope.landscape.spaces import (
    Candidate,
    FullSpace,
    Subspace,
    draw_blocks,
    full_space_draws,
    full_space_model,
    make_up,
)
from valleyscope.models.model import sequence_losses

K, SAMPLES, SEED, SIGMA = 5, 7, 2, 0.03


@pytest.fixture
def candidate(model, tokens):
    """The next sample, and the eigenvectors."""
    operator = HessianOperator(model, sequence_losses, tokens[:K])
    increment = IncrementOperator(operator, HessianOperator(model, sequence_losses, tokens[K : K + 1]))
    eigen = top_eigenpairs(operator, 4, tol=1e-9)
    full = full_space_model(increment, draw_blocks(operator.size, SAMPLES, SEED, 3))
    share = gradient_share(increment.gradient(), eigen.vectors)
    return Candidate(increment_model(operator, eigen, increment.sample), full, share), eigen.vectors


@pytest.fixture
def truth(model, tokens):
    """c and A of δ_k, dense."""
    sides = [(tokens[: K + 1], 1), (tokens[:K], -1)]
    c = sum(sign * dense.gradient(model, sequence_losses, data) for data, sign in sides)
    return c, sum(sign * dense.hessian(model, sequence_losses, data) for data, sign in sides)


def test_draws_do_not_depend_on_how_they_are_cut():
    whole = full_space_draws(40, 7, 3)
    for at_once in (1, 3, 7, 50):
        assert torch.equal(torch.cat(list(draw_blocks(40, 7, 3, at_once))), whole)
    assert not torch.equal(whole, full_space_draws(40, 7, 4))


@pytest.mark.parametrize("at_once", [2, 100])
def test_probes_lie_in_their_space(candidate, at_once):
    _, vectors = candidate
    u = torch.cat(list(Subspace(vectors[:, :3], SAMPLES, SEED).displacements(SIGMA, at_once)))
    z = torch.as_tensor(standard_normals(SAMPLES, 3, SEED))
    torch.testing.assert_close(u @ vectors[:, :3], SIGMA * z, rtol=1e-9, atol=1e-14)
    torch.testing.assert_close(u, u @ vectors[:, :3] @ vectors[:, :3].T, rtol=1e-9, atol=1e-14)
    draws = full_space_draws(len(vectors), SAMPLES, SEED)
    everywhere = FullSpace(len(vectors), draws.split)
    assert torch.equal(torch.cat(list(everywhere.displacements(SIGMA, at_once))), SIGMA * draws)


def test_models_at_the_draws_are_dense_quadratic_forms(candidate, truth):
    one, vectors = candidate
    c, A = truth
    U, draws = vectors[:, :3], full_space_draws(len(c), SAMPLES, SEED)
    probes = [
        (Subspace(U, SAMPLES, SEED), torch.as_tensor(standard_normals(SAMPLES, 3, SEED)) @ U.T),
        (FullSpace(len(c), draws.split), draws.double()),
    ]
    for space, v in probes:
        delta = one.full.value + SIGMA * v @ c + SIGMA**2 * (v @ A * v).sum(1) / 2
        tolerance = 1e-7 * delta.abs().max().item()
        np.testing.assert_allclose(space.modelled([one], SIGMA)[:, 0], delta.numpy(), rtol=0, atol=tolerance)


def test_what_makes_up_a_moment(candidate, truth):
    one, vectors = candidate
    c, A = truth
    N, U = len(c), vectors[:, :3]
    inside = IncrementModel(one.full.value, U.T @ c, U.T @ A @ U)
    subspace, everywhere = Subspace(U, SAMPLES, SEED), FullSpace(N, full_space_draws(N, SAMPLES, SEED).split)
    found = make_up(subspace, [one, one], SIGMA)
    for name, term in inside.terms(SIGMA).items():
        assert found[name] == pytest.approx(term, rel=1e-6), name
    assert found["gradient_share"] == pytest.approx(((U.T @ c).norm() / c.norm()).item() ** 2, rel=1e-7)
    assert found["spread_ratio"] == pytest.approx(inside.variance(SIGMA) / one.full.variance(SIGMA), rel=1e-6)
    assert found["chance"] == 3 / N
    assert subspace.moment([one], SIGMA) == {
        "estimate": pytest.approx(inside.gaussian_moment(SIGMA), rel=1e-6)
    }
    whole = make_up(everywhere, [one], SIGMA)
    assert whole["slope"] == pytest.approx(SIGMA**2 * c.square().sum().item(), rel=1e-7)
    assert (whole["gradient_share"], whole["spread_ratio"], whole["chance"]) == (1, 1, 1)
    moment = one.full.gaussian_moment(SIGMA)
    assert everywhere.moment([one, one], SIGMA) == {
        "estimate": moment.mean,
        "standard_error": moment.standard_error,  # shared draws: errors do not average out
    }
