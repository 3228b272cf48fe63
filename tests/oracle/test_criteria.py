import itertools

import numpy as np
import pytest

from valleyscope.criteria import IncrementModel, standard_normals
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
