"""The engine on the device of `--device`, the CPU by default, against dense float64 truth on the CPU.

Needs no workflow and no other library, so that it runs beside any torch: `make gpu` counts what passes. What
has no dense truth is compared with the same call on the CPU.
"""

import copy

import dense
import numpy as np
import pytest
import torch

from valleyscope import probe
from valleyscope.drift import DriftSettings, drift
from valleyscope.dynamics import SgdSettings, projected_sgd
from valleyscope.eigen import top_eigenpairs
from valleyscope.engine.gauss_newton import FisherOperator, GaussNewtonOperator
from valleyscope.engine.noise import GradientCovariance, scores
from valleyscope.engine.weights import (
    at_weights,
    flat_weights,
    losses_at,
    replica_gradients,
    replica_losses,
)
from valleyscope.hessian import HessianOperator
from valleyscope.landscape.estimators import Grid, estimate_criteria
from valleyscope.landscape.increments import direct_increments, increment_model
from valleyscope.models.model import sequence_losses
from valleyscope.paths import Path
from valleyscope.traces import traces

K = 5


@pytest.fixture
def there(model, device):
    """The same model on the device."""
    return copy.deepcopy(model).to(device)


@pytest.fixture
def H(model, tokens):
    truth = dense.hessian(model, sequence_losses, tokens)
    return (truth + truth.T) / 2


def close(found, truth, tolerance=1e-10):
    """Whether a tensor of the device is the truth but for rounding."""
    return (found.cpu().double() - truth).norm() <= tolerance * truth.norm()


def one_by_one(model, tokens):
    return torch.stack([dense.gradient(model, sequence_losses, row[None]) for row in tokens])


def logits(model, batch):
    return model(batch[:, :-1])


def token_losses(outputs, batch):
    return torch.nn.functional.cross_entropy(outputs.mT, batch[:, 1:], reduction="none").mean(1)


def sign_free(table):
    """Estimates that do not change with the signs of eigenvectors, which a device may choose otherwise."""
    return table[(table["criterion"] != "delta2_D") | (table["estimator"] == "gaussian_moment")]


def test_weights_and_results_lie_on_the_device(there, tokens, device):
    operator = HessianOperator(there, sequence_losses, tokens)
    v = torch.ones(operator.size, dtype=torch.float64)
    found = [operator.gradient(), operator.matvec(v), top_eigenpairs(operator, 2, tol=1e-2).vectors]
    assert {tensor.device.type for tensor in found} == {torch.device(device).type}


@pytest.mark.parametrize(
    "options",
    [{"keep_graph": True}, {"keep_graph": False}, {"memory_budget": 2.0e5}],
    ids=["kept", "rebuilt", "microbatched"],
)
@pytest.mark.parametrize("moved", [True, False], ids=["samples there", "samples on the CPU"])
def test_hessian_products(model, there, tokens, device, H, rng, options, moved):
    operator = HessianOperator(there, sequence_losses, tokens.to(device) if moved else tokens, **options)
    assert operator.graph_kept == options.get("keep_graph", False)
    V = torch.randn(operator.size, 3, generator=rng, dtype=torch.float64)
    assert close(operator.matmat(V.to(device)), H @ V)
    assert close(operator.gradient(), dense.gradient(model, sequence_losses, tokens))
    assert close(operator.losses, sequence_losses(model, tokens).detach())


def test_float32_keeps_its_digits(there, tokens, device, H, rng):
    """TF32 has a relative error of 1e-3."""
    operator = HessianOperator(there.float(), sequence_losses, tokens.to(device))
    v = torch.randn(operator.size, generator=rng, dtype=torch.float64)
    assert close(operator.matvec(v.to(device)), H @ v, 1e-5)


def test_every_eigenvalue(there, tokens, device, H):
    operator = HessianOperator(there, sequence_losses, tokens.to(device))
    found = torch.linalg.eigvalsh(operator.matmat(torch.eye(operator.size, dtype=torch.float64)).cpu())
    truth = torch.linalg.eigvalsh(H)
    assert (found - truth).abs().max() <= 1e-8 * truth.abs().max()


@pytest.mark.parametrize("which", ["LA", "SA", "LM"])
def test_leading_eigenpairs(there, tokens, device, H, which):
    found = top_eigenpairs(
        HessianOperator(there, sequence_losses, tokens.to(device)), 8, which=which, tol=1e-9
    )
    values = torch.linalg.eigvalsh(H)
    order = {"LA": values.flip(0), "SA": values, "LM": values[values.abs().argsort(descending=True)]}
    truth, vectors = order[which][:8], found.vectors.cpu()
    assert found.converged
    assert (found.values - truth).abs().max() <= 1e-8 * values.abs().max()
    residuals = (H @ vectors - vectors * found.values).norm(dim=0)
    assert residuals.max() <= 1.01e-9 * values.abs().max()
    assert (vectors.T @ vectors - torch.eye(8)).abs().max() <= 1e-12


def test_power_iteration_and_a_warm_start(there, tokens, device, H):
    operator = HessianOperator(there, sequence_losses, tokens.to(device))
    power = top_eigenpairs(operator, 1, method="power", which="LM", tol=1e-2)
    scale = torch.linalg.eigvalsh(H).abs().max()
    assert power.values.abs().item() == pytest.approx(scale.item(), rel=1e-2)
    warm = top_eigenpairs(operator, 1, which="LM", tol=1e-9, initial=power.vectors)
    assert warm.values.abs().item() == pytest.approx(scale.item(), rel=1e-8)


def test_traces(model, there, tokens, device, H):
    found = traces(HessianOperator(there, sequence_losses, tokens.to(device)), probes=100, seed=3)
    assert abs(found.trace.mean - H.trace().item()) <= 5 * found.trace.standard_error
    assert abs(found.square.mean - H.square().sum().item()) <= 5 * found.square.standard_error
    here = traces(HessianOperator(model, sequence_losses, tokens), probes=100, seed=3)
    assert found.trace.mean == pytest.approx(here.trace.mean, rel=1e-9)  # the draws are the same


def test_gauss_newton_and_fisher(model, there, tokens, device, rng):
    J = torch.func.jacrev(losses_at(model, logits))(flat_weights(model), tokens)
    p = logits(model, tokens).detach().softmax(-1)
    C = torch.diag_embed(p) - p[..., None] * p[..., None, :]
    G = torch.einsum("ntci,ntcd,ntdj->ij", J, C, J) / (J.shape[0] * J.shape[1])
    operator = GaussNewtonOperator(there, logits, token_losses, tokens.to(device))
    V = torch.randn(operator.size, 3, generator=rng, dtype=torch.float64)
    assert close(operator.matmat(V.to(device)), G @ V)
    fisher = FisherOperator(there, logits, tokens.to(device), draws=4000, seed=1)
    assert close(fisher.matmat(V.to(device)), G @ V, 0.1)  # in expectation; labels are drawn on the device


def test_scores_and_gradient_noise(model, there, tokens, device, rng):
    rows = one_by_one(model, tokens)
    assert close(scores(there, sequence_losses, tokens.to(device)), rows)
    operator = GradientCovariance(there, sequence_losses, tokens.to(device))
    v = torch.randn(operator.size, generator=rng, dtype=torch.float64)
    assert close(operator.matvec(v.to(device)), torch.cov(rows.T, correction=0) @ v)


def test_replicas(model, there, tokens, device, rng):
    centre = flat_weights(model)
    points = centre + 0.1 * torch.randn(4, len(centre), generator=rng, dtype=torch.float64)
    batches = torch.stack([tokens[i : i + 3] for i in range(4)])
    gradients, means = replica_gradients(there, sequence_losses)(points.to(device), batches.to(device))
    losses = replica_losses(there, sequence_losses, points.to(device), tokens.to(device), chunk=3)
    for i, point in enumerate(points):
        with at_weights(model, point):
            assert close(gradients[i], dense.gradient(model, sequence_losses, batches[i]))
            assert close(means[i], sequence_losses(model, batches[i]).mean().detach())
            assert close(losses[i], sequence_losses(model, tokens).detach())


def test_stages_of_the_criterion(model, there, tokens, device, rng):
    data = tokens.to(device)
    operator = HessianOperator(there, sequence_losses, data[:K])
    eigen = top_eigenpairs(operator, 6, tol=1e-10)
    built = increment_model(
        operator, eigen, HessianOperator(there, sequence_losses, data[K : K + 1], keep_graph=True)
    )
    U, (before, after) = eigen.vectors.cpu(), (tokens[:K], tokens[: K + 1])

    def difference(function):
        return function(model, sequence_losses, after) - function(model, sequence_losses, before)

    value = (sequence_losses(model, after).mean() - sequence_losses(model, before).mean()).item()
    assert built.value == pytest.approx(value, rel=1e-9)
    np.testing.assert_allclose(built.slope, (U.T @ difference(dense.gradient)).numpy(), rtol=1e-8, atol=1e-12)
    curvature = (U.T @ difference(dense.hessian) @ U).numpy()
    np.testing.assert_allclose(built.curvature, curvature, rtol=1e-6, atol=1e-9)
    z = torch.randn(5, 6, generator=rng, dtype=torch.float64)
    found = direct_increments(
        there, sequence_losses, data[:K], data[K : K + 1], z.to(device) @ eigen.vectors.T
    )
    truth = []
    for u in z @ U.T:
        with at_weights(model, flat_weights(model) + u):
            losses = sequence_losses(model, after).detach()
            truth.append((losses.mean() - losses[:K].mean()).item())
    np.testing.assert_allclose(found[:, 0], truth, rtol=1e-8, atol=1e-12)


def test_every_criterion_of_a_point_is_that_of_the_cpu(model, there, tokens, device):
    def tables(model, data):
        operator = HessianOperator(model, sequence_losses, data[:4])
        eigen = top_eigenpairs(operator, 4, tol=1e-10)
        grid = Grid(dims=[2, 4], sigmas=[1e-3, 1e-2], samples=20, seed=0, candidate_draws=10)
        return estimate_criteria(model, sequence_losses, operator, data[:5], data[5:], eigen, grid)

    found, truth = tables(there, tokens.to(device)), tables(model, tokens)
    for name in ("estimate", "variance"):
        pair = [sign_free(estimates)[name] for estimates in (found[0], truth[0])]
        np.testing.assert_allclose(*pair, rtol=1e-6, atol=1e-13)
    np.testing.assert_allclose(found[1]["gradient_share"], truth[1]["gradient_share"], rtol=1e-6)
    assert found[2].curvature == pytest.approx(truth[2].curvature, rel=1e-6)


def test_probe_is_that_of_the_cpu(model, there, tokens, device):
    settings = {"k": K, "dims": [1, 4], "sigmas": [1e-3, 1e-2], "samples": 16, "tol": 1e-9}
    found = probe(there, sequence_losses, tokens.to(device), **settings)
    truth = probe(model, sequence_losses, tokens, **settings)
    assert found.value == pytest.approx(truth.value, rel=1e-9)
    pair = [sign_free(result.table)["estimate"] for result in (found, truth)]
    np.testing.assert_allclose(*pair, rtol=1e-6, atol=1e-13)


def test_projected_sgd_and_drift_are_those_of_the_cpu(model, there, tokens, device, rng):
    centre = flat_weights(model)
    steps = 0.3 * torch.randn(3, len(centre), generator=rng, dtype=torch.float64)
    pivots = torch.stack([centre, *(centre + steps.cumsum(0))])
    starts = torch.tensor([0.2, 0.5, 0.8])
    sgd = SgdSettings(learning_rate=0.05, batch=2, steps=6, period=3, momentum=0.5)
    plain = DriftSettings(learning_rate=0.05, batch=2, steps=3, replicas=4, followed=2)
    for run in (
        lambda m, data, path: projected_sgd(m, sequence_losses, data, path, starts, sgd, seed=1),
        lambda m, data, path: drift(m, sequence_losses, data, path, [0.3, 0.7], plain, seed=1),
    ):
        found = run(there, tokens.to(device), Path(pivots.to(device))).to_numpy(dtype=float)
        truth = run(model, tokens, Path(pivots)).to_numpy(dtype=float)
        np.testing.assert_allclose(found, truth, rtol=1e-6, atol=1e-9)
