"""Independent libraries on the same model, to float32 accuracy; skipped where they are not installed."""

import dense
import pytest
import torch
from torch import nn

from valleyscope.eigen import top_eigenpairs
from valleyscope.engine.gauss_newton import GaussNewtonOperator
from valleyscope.hessian import HessianOperator
from valleyscope.models.model import sequence_losses
from valleyscope.traces import traces

INSTALL = "not installed; make test installs the peers"


@pytest.fixture
def single(model):
    return model.float()


@pytest.fixture
def operator(single, tokens):
    return HessianOperator(single, sequence_losses, tokens)


def mean_token_loss(outputs, targets):
    return nn.functional.cross_entropy(outputs.flatten(0, -2), targets.flatten())


def close(found, truth):
    return (found - truth).norm() <= 2e-5 * truth.norm()


def test_curvlinops_hessian_and_gauss_newton(single, operator, tokens, rng):
    curvlinops = pytest.importorskip("curvlinops", reason=INSTALL)
    # Its loss flattens nothing: rows of outputs are tokens.
    flat = nn.Sequential(single, nn.Flatten(0, 1))
    data = [(tokens[:, :-1], tokens[:, 1:].flatten())]
    arguments = (flat, nn.CrossEntropyLoss(), list(single.parameters()), data)
    counts = {"num_data": tokens[:, 1:].numel(), "batch_size_fn": lambda x: x.numel()}
    V = torch.randn(operator.size, 3, generator=rng)
    theirs = curvlinops.HessianLinearOperator(*arguments, **counts)
    assert close(operator.matmat(V), theirs @ V)
    gauss_newton = GaussNewtonOperator(
        single,
        lambda m, b: m(b[:, :-1]),
        lambda z, b: torch.stack([mean_token_loss(row, t) for row, t in zip(z, b[:, 1:], strict=True)]),
        tokens,
    )
    theirs = curvlinops.GGNLinearOperator(*arguments, **counts)
    assert close(gauss_newton.matmat(V), theirs @ V)


def test_curvlinops_estimators_take_our_operator(operator, single, tokens):
    """They return a number without its error and draw from the global generator, so runs use our own."""
    curvlinops = pytest.importorskip("curvlinops", reason=INSTALL)
    torch.manual_seed(0)
    ours = traces(operator, 200, seed=0)
    for function, estimate in (
        (curvlinops.hutchinson_trace, ours.trace),
        (curvlinops.hutchinson_squared_fro, ours.square),
    ):
        theirs = function(operator, num_matvecs=200).item()
        assert abs(theirs - estimate.mean) <= 5 * 2**0.5 * estimate.standard_error
    H = dense.hessian(single.double(), sequence_losses, tokens)
    assert abs(theirs - H.square().sum()) <= 5 * ours.square.standard_error


@pytest.mark.filterwarnings("ignore:Using backward\\(\\) with create_graph=True")
def test_pyhessian_products_and_largest_eigenvalue(single, operator, tokens, rng):
    pyhessian = pytest.importorskip("pyhessian", reason=INSTALL)
    from pyhessian.utils import hessian_vector_product

    theirs = pyhessian.hessian(single, mean_token_loss, data=(tokens[:, :-1], tokens[:, 1:]), cuda=False)
    v = torch.randn(operator.size, generator=rng)
    pieces = v.split([p.numel() for p in theirs.params])
    pieces = [piece.view(p.shape) for piece, p in zip(pieces, theirs.params, strict=True)]
    product = torch.cat([x.flatten() for x in hessian_vector_product(theirs.gradsH, theirs.params, pieces)])
    assert close(operator.matvec(v), product)
    largest = theirs.eigenvalues(maxIter=500, tol=1e-7)[0][0]
    assert top_eigenpairs(operator, 1, which="LM", tol=1e-4).values[0].item() == pytest.approx(
        largest, rel=1e-3
    )
    single.zero_grad(set_to_none=True)  # its gradients hold a graph


def test_hessian_eigenthings_products_and_eigenvalues(single, operator, tokens, rng):
    eigenthings = pytest.importorskip("hessian_eigenthings", reason=INSTALL)
    theirs = eigenthings.HessianOperator(single, [tokens], lambda m, b: sequence_losses(m, b).mean())
    v = torch.randn(operator.size, generator=rng)
    assert close(operator.matvec(v), theirs.matvec(v))
    found = eigenthings.lanczos(theirs, k=4, max_iter=80, tol=1e-4, which="LA", reorthogonalize=True, seed=0)
    ours = top_eigenpairs(operator, 4, tol=1e-4)
    values = torch.as_tensor(found.eigenvalues).double().sort(descending=True).values
    torch.testing.assert_close(ours.values, values, rtol=1e-3, atol=1e-3 * values[0].item())
