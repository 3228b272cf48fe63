import warnings

import dense
import numpy as np
import pytest
import torch
from scipy.sparse.linalg import LinearOperator, eigsh

from valleyscope import eigen
from valleyscope.eigen import converged_eigenpairs, top_eigenpairs
from valleyscope.errors import InputError
from valleyscope.hessian import HessianOperator
from valleyscope.models.model import sequence_losses

ORDER = {
    "LA": lambda v: v.sort(descending=True).values,
    "SA": lambda v: v.sort().values,
    "LM": lambda v: v[v.abs().argsort(descending=True)],
}


def symmetric(values, rng):
    n = len(values)
    Q, _ = torch.linalg.qr(torch.randn(n, n, generator=rng, dtype=torch.float64))
    return (Q * values) @ Q.T


def check(result, matrix, count, which, tol):
    values = torch.linalg.eigvalsh(matrix)
    scale = values.abs().max()
    truth = ORDER[which](values)[:count]
    assert result.converged
    assert (result.values - truth).abs().max() <= 10 * tol * scale
    residuals = (matrix @ result.vectors - result.vectors * result.values).norm(dim=0)
    assert residuals.max() <= 1.01 * tol * scale + 1e-13 * scale
    assert (result.residuals - residuals).abs().max() <= 1e-2 * tol * scale + 1e-13 * scale
    gram = result.vectors.T @ result.vectors
    assert (gram - torch.eye(count)).abs().max() <= 1e-12


@pytest.mark.parametrize("which", ["LA", "SA", "LM"])
@pytest.mark.parametrize("count", [1, 5, 20])
def test_random_indefinite_matrix(which, count, rng):
    matrix = symmetric(torch.randn(200, generator=rng, dtype=torch.float64), rng)
    operator = dense.MatrixOperator(matrix)
    result = top_eigenpairs(operator, count, which=which, tol=1e-9)
    check(result, matrix, count, which, 1e-9)
    assert result.matvecs == operator.matvecs


def test_agrees_with_scipy_in_fewer_or_about_as_many_products(rng):
    spectrum = torch.logspace(2, -3, 400, dtype=torch.float64)
    matrix = symmetric(spectrum, rng)
    result = top_eigenpairs(dense.MatrixOperator(matrix), 12, tol=1e-8)
    products = []

    def product(v):
        products.append(1)
        return matrix.numpy() @ v

    values = eigsh(LinearOperator((400, 400), product, dtype=np.float64), 12, which="LA", tol=1e-8)[0]
    np.testing.assert_allclose(result.values.numpy(), values[::-1], rtol=1e-8)
    assert result.matvecs <= 1.25 * len(products)


def test_repeated_eigenvalues_and_the_whole_space(rng):
    repeated = torch.cat([torch.full((3,), 5.0), torch.ones(20)]).double()
    matrix = symmetric(repeated, rng)
    check(top_eigenpairs(dense.MatrixOperator(matrix), 3, tol=1e-9), matrix, 3, "LA", 1e-9)
    small = symmetric(torch.randn(6, generator=rng, dtype=torch.float64), rng)
    check(top_eigenpairs(dense.MatrixOperator(small), 6, tol=1e-9), small, 6, "LA", 1e-9)


def test_all_eigenvalues_of_a_transformer(model, tokens):
    H = dense.hessian(model, sequence_losses, tokens)
    operator = HessianOperator(model, sequence_losses, tokens)
    result = top_eigenpairs(operator, 16, tol=1e-10)
    check(result, (H + H.T) / 2, 16, "LA", 1e-10)
    lowest = top_eigenpairs(operator, 3, which="SA", tol=1e-10)
    check(lowest, (H + H.T) / 2, 3, "SA", 1e-10)
    assert lowest.values[0] < 0  # so that a solver that returned |λ| would fail


@pytest.mark.parametrize(
    ("values", "count"), [([6.0, 6, 5] + [1] * 197, 2), ([6.0, 6, 5, 5] + [0] * 100, 3), ([2.0] * 40, 5)]
)
def test_copies_are_found_where_the_space_closes(values, count, rng):
    matrix = symmetric(torch.tensor(values, dtype=torch.float64), rng)
    check(top_eigenpairs(dense.MatrixOperator(matrix), count, tol=1e-8), matrix, count, "LA", 1e-8)


def test_float32_basis_reaches_the_usual_tolerance(rng):
    spectrum = torch.logspace(1, -4, 500, dtype=torch.float64)
    matrix = symmetric(spectrum, rng)
    result = top_eigenpairs(dense.MatrixOperator(matrix.float()), 16, tol=1e-3)
    residuals = (matrix @ result.vectors.double() - result.vectors.double() * result.values).norm(dim=0)
    assert result.converged
    assert residuals.max() <= 1e-3 * spectrum[0] * 1.01


def test_what_does_not_converge_says_so(rng):
    spectrum = torch.logspace(2, -3, 500, dtype=torch.float64)  # its low end is a dense cluster
    operator = dense.MatrixOperator(symmetric(spectrum, rng))
    with pytest.warns(RuntimeWarning, match="2 eigenpairs did not converge in .* products"):
        assert not top_eigenpairs(operator, 2, which="SA", tol=1e-9).converged


def test_pairs_that_must_converge_are_those_or_refused_in_one_line(rng):
    spectrum = torch.logspace(2, -3, 500, dtype=torch.float64)
    operator = dense.MatrixOperator(symmetric(spectrum, rng))
    with warnings.catch_warnings(action="error"):
        found = converged_eigenpairs(operator, 2, tol=1e-6, seed=3)
        assert torch.equal(found.vectors, top_eigenpairs(operator, 2, tol=1e-6, seed=3).vectors)
        with pytest.raises(InputError, match=r"2 eigenpairs did not converge in .* tol is 1e-09; raise"):
            converged_eigenpairs(operator, 2, which="SA", tol=1e-9)


def test_residuals_cost_no_product(rng):
    operator = dense.MatrixOperator(symmetric(torch.logspace(2, -3, 300, dtype=torch.float64), rng))
    result = top_eigenpairs(operator, 8, tol=1e-6)
    assert result.matvecs == operator.matvecs
    residuals = (operator.matrix @ result.vectors - result.vectors * result.values).norm(dim=0)
    torch.testing.assert_close(result.residuals, residuals, rtol=1e-4, atol=1e-12 * 100)


@pytest.mark.parametrize("which", ["LA", "SA", "LM"])
def test_power_iteration_keeps_the_sign_of_negative_eigenvalues(which, rng):
    values = torch.tensor([-9.0, 7.0, -5.0, 3.5, 2.4, -1.6, 1.0, 0.5, 0.2, 0.1], dtype=torch.float64)
    matrix = symmetric(values, rng)
    operator = dense.MatrixOperator(matrix)
    result = top_eigenpairs(operator, 3, which=which, method="power", tol=1e-4)
    check(result, matrix, 3, which, 1e-4)
    assert result.matvecs == operator.matvecs
    assert result.matvecs > top_eigenpairs(operator, 3, which=which, tol=1e-4).matvecs


def test_power_iteration_says_when_it_ran_out_of_steps(rng):
    operator = dense.MatrixOperator(symmetric(1 - torch.arange(60).double() / 1000, rng))
    with pytest.warns(RuntimeWarning, match="did not converge"):
        result = top_eigenpairs(operator, 2, method="power", tol=1e-8)
    assert not result.converged
    residuals = (operator.matrix @ result.vectors - result.vectors * result.values).norm(dim=0)
    torch.testing.assert_close(result.residuals, residuals, rtol=1e-6, atol=1e-10)


def test_power_iteration_of_a_negative_matrix_has_no_largest_pair_but_says_so(rng):
    operator = dense.MatrixOperator(symmetric(-torch.linspace(1, 2, 30, dtype=torch.float64), rng))
    with pytest.warns(RuntimeWarning, match="did not converge"):
        assert not top_eigenpairs(operator, 2, method="power", tol=1e-3).converged


def test_a_warm_start_takes_fewer_products_and_misses_nothing(rng):
    spectrum = torch.logspace(1, -3, 300, dtype=torch.float64)
    matrix = symmetric(spectrum, rng)
    before = top_eigenpairs(dense.MatrixOperator(matrix), 8, tol=1e-6)
    # The neighbour has a new leading pair that is orthogonal to everything known.
    new = torch.linalg.qr(
        torch.cat([before.vectors, torch.randn(300, 1, generator=rng, dtype=torch.float64)], 1)
    )[0][:, -1:]
    noise = torch.randn(300, 300, generator=rng, dtype=torch.float64) * 1e-4
    after = dense.MatrixOperator(matrix + 12 * new @ new.T + noise + noise.T)
    warm = top_eigenpairs(after, 8, tol=1e-6, initial=before.vectors)
    check(warm, after.matrix, 8, "LA", 1e-6)
    again = dense.MatrixOperator(matrix)
    same = top_eigenpairs(again, 8, tol=1e-6, initial=before.vectors)
    cold = [top_eigenpairs(again, 8, tol=1e-6, seed=seed).matvecs for seed in range(6)]
    assert same.matvecs < sum(cold) / len(cold)  # from one draw alone it may happen to be as good


def test_bad_input_is_named(rng):
    operator = dense.MatrixOperator(torch.eye(4))
    with pytest.raises(InputError, match="5 eigenpairs"):
        top_eigenpairs(operator, 5)
    with pytest.raises(InputError, match="which"):
        top_eigenpairs(operator, 1, which="XX")
    with pytest.raises(InputError, match="method"):
        top_eigenpairs(operator, 1, method="qr")
    with pytest.raises(InputError, match=r"initial has shape \(3, 1\)"):
        top_eigenpairs(operator, 1, initial=torch.zeros(3, 1))
    with pytest.raises(FloatingPointError, match="warm start"):
        top_eigenpairs(operator, 1, initial=torch.zeros(4, 2))
    with pytest.raises(InputError, match="takes no initial"):
        top_eigenpairs(operator, 1, method="power", initial=torch.zeros(4, 1))
    operator.matrix = operator.matrix * float("nan")
    with pytest.raises(FloatingPointError, match="product 1"):
        top_eigenpairs(operator, 1)


def test_a_short_memory_means_restarts_and_none_a_clear_error(rng, monkeypatch):
    matrix = symmetric(torch.logspace(2, -3, 300, dtype=torch.float64), rng)
    free = 20 * 2 * (2 * 300 * 8)
    monkeypatch.setattr(eigen, "free_memory", lambda device: free)
    check(top_eigenpairs(dense.MatrixOperator(matrix), 8, tol=1e-6), matrix, 8, "LA", 1e-6)
    with pytest.raises(InputError, match="16 eigenpairs of size 300 need a basis of"):
        top_eigenpairs(dense.MatrixOperator(matrix), 16)
