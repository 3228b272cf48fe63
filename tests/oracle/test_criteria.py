import itertools

import numpy as np
import pytest

from valleyscope.criteria import (
    FullSpaceModel,
    IncrementModel,
    LandscapeBounds,
    quadratic_strength,
    spectral_moment,
    standard_normals,
    valid_range,
)
from valleyscope.estimate import Estimate


@pytest.fixture
def draw(rng):
    """Random increment models of a given D, fresh in each session."""
    numbers = np.random.default_rng(rng.initial_seed())

    def make(dim):
        return IncrementModel(numbers.normal(), numbers.normal(size=dim), numbers.normal(size=(dim, dim)))

    return make


def quadrature(model, sigma, moment):
    """E moment(δ) by Gauss–Hermite quadrature, exact for polynomials of degree 19 in each axis."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(10)
    total = 0.0
    for index in itertools.product(range(10), repeat=model.dim):
        z = sigma * nodes[list(index)]
        delta = model.value + z @ model.slope + 0.5 * z @ model.curvature @ z
        total += np.prod(weights[list(index)]) * moment(delta)
    return total / np.sqrt(2 * np.pi) ** model.dim


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("sigma", [0.03, 0.7, 2.0])
def test_closed_form_and_variance_equal_quadrature(draw, dim, sigma):
    model = draw(dim)
    second = quadrature(model, sigma, lambda d: d**2)
    first = quadrature(model, sigma, lambda d: d)
    assert model.gaussian_moment(sigma) == pytest.approx(second, rel=1e-10)
    # E δ² = Var δ + (E δ)²; relative to the moment, since Var may be its small difference.
    assert model.mean(sigma) == pytest.approx(first, rel=1e-9, abs=1e-12)
    assert model.variance(sigma) == pytest.approx(second - first**2, rel=1e-7, abs=1e-9 * second)


def test_closed_form_within_the_error_of_a_million_draws(draw):
    model = draw(6)
    estimate = model.monte_carlo(0.4, 10**6, seed=11)
    assert abs(estimate.mean - model.gaussian_moment(0.4)) <= 5 * estimate.standard_error
    assert estimate.standard_error < 0.02 * model.gaussian_moment(0.4)


def test_nothing_depends_on_the_basis(draw):
    model = draw(5)
    Q, _ = np.linalg.qr(np.random.default_rng().normal(size=(5, 5)))
    rotated = IncrementModel(model.value, Q.T @ model.slope, Q.T @ model.curvature @ Q)
    for sigma in (0.1, 1.0):
        for name, term in model.terms(sigma).items():
            assert rotated.terms(sigma)[name] == pytest.approx(term, rel=1e-10, abs=1e-12)
        assert rotated.variance(sigma) == pytest.approx(model.variance(sigma), rel=1e-10)


def test_terms_sum_to_the_moment_and_only_the_symmetric_part_counts(draw):
    model = draw(4)
    assert sum(model.terms(0.3).values()) == pytest.approx(model.gaussian_moment(0.3), rel=1e-14)
    z = standard_normals(7, 4, seed=1)
    skew = np.triu(np.ones((4, 4)), 1)
    skewed = IncrementModel(model.value, model.slope, model.curvature + skew - skew.T)
    np.testing.assert_allclose(skewed.at(z), model.at(z), rtol=1e-12)


def test_leading_directions(draw):
    model = draw(4)
    part = model.leading(2)
    z = np.random.default_rng(0).normal(size=(5, 2))
    padded = np.concatenate([z, np.zeros((5, 2))], axis=1)
    np.testing.assert_allclose(part.at(z), model.at(padded), rtol=1e-12)


def test_takes_what_numpy_takes_and_refuses_what_does_not_match():
    model = IncrementModel(1, [2.0, 0.0], [[1, 0], [0, 1]])
    assert model.gaussian_moment(1.0) == pytest.approx(1 + 2 + 4 + 0.25 * (2 * 2 + 4))
    with pytest.raises(ValueError, match="do not match"):
        IncrementModel(0.0, [1.0, 2.0], [[1.0]])


def test_standard_error_is_that_of_the_mean():
    draws = np.random.default_rng(5).normal(2.0, 3.0, size=4000)
    estimate = Estimate.of(draws)
    assert estimate.mean == pytest.approx(draws.mean())
    assert estimate.standard_error == pytest.approx(3.0 / np.sqrt(4000), rel=0.1)
    with pytest.raises(ValueError, match="at least 2"):
        Estimate.of([1.0])


def test_the_spectral_form_is_the_closed_form_without_value_and_slope(draw):
    curvature = draw(5).curvature
    pure = IncrementModel(0.0, np.zeros(5), curvature)
    found = spectral_moment(np.linalg.eigvalsh(curvature), 0.3)
    assert found == pytest.approx(pure.gaussian_moment(0.3), rel=1e-10)
    assert quadratic_strength(curvature) * 0.3**4 / 4 == pytest.approx(found, rel=1e-10)


def full_space(model, draws, seed):
    """What Gaussian draws show of a model whose whole space is known."""
    v = np.random.default_rng(seed).standard_normal((draws, model.dim))
    images = v @ model.curvature
    return FullSpaceModel(model.value, model.slope @ model.slope, (v * images).sum(1), (images**2).sum(1))


def test_full_space_terms_are_unbiased_and_their_error_is_honest(draw):
    model, sigma, repeats = draw(8), 0.5, 2000
    estimates = [full_space(model, 12, seed) for seed in range(repeats)]
    for name, truth in model.terms(sigma).items():
        drawn = [e.terms(sigma)[name] for e in estimates]
        error = np.std(drawn) / np.sqrt(repeats)
        assert abs(np.mean(drawn) - truth) <= 5 * error + 1e-12
    moments = [e.gaussian_moment(sigma) for e in estimates]
    assert np.mean([m.mean for m in moments]) == pytest.approx(
        model.gaussian_moment(sigma), abs=5 * np.std([m.mean for m in moments]) / np.sqrt(repeats)
    )
    # The jackknife's error is right on average; squaring the mean of few draws would bias it and the mean.
    claimed = np.sqrt(np.mean([m.standard_error**2 for m in moments]))
    assert claimed == pytest.approx(np.std([m.mean for m in moments]), rel=0.25)
    assert np.mean([e.variance(sigma) for e in estimates]) == pytest.approx(model.variance(sigma), rel=0.1)


def within_bounds(numbers, dim, k):
    """A random increment of samples that respect M_ℓ, M_g and M_H, and those constants."""
    losses, M_g, M_H = numbers.uniform(-1, 1, 2), 1.3, 0.7
    slope = numbers.normal(size=dim)
    slope *= M_g * numbers.uniform() / np.linalg.norm(slope)
    Q, _ = np.linalg.qr(numbers.normal(size=(dim, dim)))
    curvature = (Q * numbers.uniform(-2 * M_H, 2 * M_H, dim)) @ Q.T
    model = IncrementModel((losses[0] - losses[1]) / (k + 1), slope / (k + 1), curvature / (k + 1))
    return model, LandscapeBounds(1.0, M_g, M_H)


def test_both_bounds_hold_on_random_cases(rng):
    numbers = np.random.default_rng(rng.initial_seed())
    for _ in range(300):
        dim, k, sigma = numbers.integers(1, 9), numbers.integers(1, 50), 10 ** numbers.uniform(-2, 1)
        model, bounds = within_bounds(numbers, dim, k)
        moment = model.gaussian_moment(sigma)
        assert moment <= bounds.sharper(sigma, dim, k) <= bounds.published(sigma, dim, k)


def extreme(share, dim=6, k=4, sigma=1.0):
    """The case that uses every constant up: a and ½ E zᵀBz equal, B a multiple of the identity.

    `share` weighs loss, gradient and curvature.
    """
    M_l, M_g, M_H = share
    model = IncrementModel(2 * M_l / (k + 1), np.eye(dim)[0] * M_g / (k + 1), 2 * M_H * np.eye(dim) / (k + 1))
    return model.gaussian_moment(sigma), LandscapeBounds(*share), (sigma, dim, k)


def test_the_sharper_bound_is_nearly_reached_and_fails_with_any_constant_halved():
    # Large D: ½ zᵀBz hardly scatters, so (a + ½ zᵀBz)² ≤ 2a² + 2(½ zᵀBz)² is tight where both are equal.
    dim, k, sigma = 400, 4, 1.0
    balanced = (dim / 2 * 1.0, 1.0, 1.0)  # 2 M_ℓ = ½ σ² D · 2 M_H
    moment, bounds, at = extreme(balanced, dim, k, sigma)
    assert 0.99 < moment / bounds.sharper(*at) <= 1
    for alone, halved in (
        ((1.0, 1e3, 1e-6), (8, 0.5, 2)),  # slope alone
        (balanced, (4, 1, 2)),
        (balanced, (8, 1, 1)),
    ):
        moment, bounds, at = extreme(alone, dim, k, sigma)
        assert moment <= bounds.sharper(*at)
        assert moment > bounds._bound(*at, *halved)


def test_lemma_5_by_exhaustive_search_and_a_counterexample_without_its_ordering(rng):
    numbers = np.random.default_rng(rng.initial_seed())
    for _ in range(20):
        increments = np.sort(numbers.uniform(0, 1, 7))[::-1]  # non-negative, ordered like the eigenvalues
        for dim in (1, 3, 5):
            strengths = {
                index: quadratic_strength(np.diag(increments[list(index)]))
                for index in itertools.combinations(range(7), dim)
            }
            assert max(strengths, key=strengths.get) == tuple(range(dim))
    disordered = np.array([0.1, 0.2, 0.9])
    assert quadratic_strength(np.diag(disordered[[2]])) > quadratic_strength(np.diag(disordered[[0]]))
    negative = np.array([0.5, 0.4, -2.0])  # ordered, but not non-negative
    assert quadratic_strength(np.diag(negative[[2]])) > quadratic_strength(np.diag(negative[[0]]))


def test_the_valid_range_lies_where_the_error_crosses_the_limit():
    sigmas = np.logspace(-6, 0, 7)
    errors = sigmas * 10  # crosses 0.1 at σ = 0.01
    floor, star = valid_range(sigmas, errors, 0.1)
    assert np.isnan(floor)
    assert star == pytest.approx(0.01)
    rounding = np.maximum(errors, 1e-6 / sigmas)  # and 1e-6/σ = 0.1 at σ = 1e-5
    floor, star = valid_range(sigmas, rounding, 0.1)
    assert floor == pytest.approx(1e-5)
    assert star == pytest.approx(0.01)
    assert valid_range(sigmas, np.full(7, 0.05), 0.1)[1] == 1.0
    assert np.isnan(valid_range(sigmas, np.full(7, 0.5), 0.1)).all()
