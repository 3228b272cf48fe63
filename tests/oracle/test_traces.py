import dense
import numpy as np
import pytest
import torch

from valleyscope.eigen import top_eigenpairs
from valleyscope.errors import InputError
from valleyscope.hessian import HessianOperator
from valleyscope.models.model import sequence_losses
from valleyscope.traces import spectrum, traces


@pytest.fixture
def problem(model, tokens):
    H = dense.hessian(model, sequence_losses, tokens)
    return (H + H.T) / 2, HessianOperator(model, sequence_losses, tokens)


def test_traces_of_a_transformer_hessian(problem):
    H, operator = problem
    found = traces(operator, probes=300, seed=3)
    assert operator.matvecs == 300
    assert abs(found.trace.mean - H.trace().item()) <= 5 * found.trace.standard_error
    assert abs(found.square.mean - H.square().sum().item()) <= 5 * found.square.standard_error
    # Random signs: Var vᵀAv = 2 (‖A‖_F² − Σ A_ii²)
    for estimate, A in ((found.trace, H), (found.square, H @ H)):
        variance = 2 * (A.square().sum() - A.diagonal().square().sum()).item()
        assert estimate.standard_error == pytest.approx((variance / 300) ** 0.5, rel=0.4)


def test_known_eigenpairs_lower_the_error_and_cost_nothing(problem):
    H, operator = problem
    plain = traces(operator, probes=200, seed=1)
    # A loose tolerance: the share of the pairs stays exact, since residuals are counted.
    known = top_eigenpairs(operator, 30, which="LM", tol=1e-2)
    before = operator.matvecs
    found = traces(operator, probes=200, seed=1, known=known)
    assert operator.matvecs == before + 200
    for name, truth in (("trace", H.trace()), ("square", H.square().sum())):
        estimate = getattr(found, name)
        assert abs(estimate.mean - truth.item()) <= 5 * estimate.standard_error
    assert found.square.standard_error < 0.5 * plain.square.standard_error
    assert found.trace.standard_error < plain.trace.standard_error


def test_a_diagonal_matrix_has_no_error(rng):
    diagonal = torch.randn(50, generator=rng, dtype=torch.float64)
    found = traces(dense.MatrixOperator(diagonal.diag()), probes=3, seed=0)
    assert found.trace.mean == pytest.approx(diagonal.sum().item(), rel=1e-12)
    assert found.square.mean == pytest.approx(diagonal.square().sum().item(), rel=1e-12)
    assert found.trace.standard_error == pytest.approx(0, abs=1e-12)


def test_spectrum_of_a_transformer_hessian(problem):
    H, operator = problem
    values = torch.linalg.eigvalsh(H).numpy()
    found = spectrum(operator, steps=40, probes=30, seed=2)
    assert operator.matvecs == 30 * 40
    assert found.weights.sum(1) == pytest.approx(np.ones(30), rel=1e-10)
    scale = np.abs(values).max() / 4
    for function in (lambda x: x, lambda x: x**2, lambda x: np.cos(x / scale)):
        estimate = found.mean(function)
        assert abs(estimate.mean - function(values).mean()) <= 5 * estimate.standard_error + 1e-9
    width = 0.05 * np.abs(values).max()
    grid = np.linspace(values[0] - 5 * width, values[-1] + 5 * width, 400)
    density = found.density(grid, width)
    bumps = np.exp(-0.5 * ((grid[:, None] - values) / width) ** 2) / (width * np.sqrt(2 * np.pi))
    truth = bumps.mean(1)
    assert np.trapezoid(density.mean(0), grid) == pytest.approx(1, abs=1e-3)
    error = density.std(0, ddof=1) / 30**0.5
    assert (np.abs(density.mean(0) - truth) <= 6 * error + 1e-3 * truth.max()).all()


def test_as_many_steps_as_dimensions_give_every_eigenvalue(rng):
    matrix = torch.randn(12, 12, generator=rng, dtype=torch.float64)
    matrix = matrix + matrix.T
    found = spectrum(dense.MatrixOperator(matrix), steps=50, probes=2, seed=0)
    truth = torch.linalg.eigvalsh(matrix).numpy()
    np.testing.assert_allclose(found.nodes, np.stack([truth] * 2), rtol=1e-8, atol=1e-10)


def test_a_closed_space_ends_early(rng):
    found = spectrum(dense.MatrixOperator(2 * torch.eye(9, dtype=torch.float64)), steps=5, probes=2, seed=0)
    assert found.mean(lambda x: x).mean == pytest.approx(2)
    assert (found.weights > 0).sum() == 2
    assert found.mean(np.log).mean == pytest.approx(np.log(2))


def test_one_probe_has_no_error(rng):
    operator = dense.MatrixOperator(torch.eye(3, dtype=torch.float64))
    with pytest.raises(InputError, match="probes = 1"):
        traces(operator, 1, 0)
    with pytest.raises(InputError, match="probes = 1"):
        spectrum(operator, 2, 1, 0)
