"""No computation mixes in a tensor of the CPU: run on the meta device, which refuses such a mixture.

What reads values (checks of finiteness, eigensolvers, line searches) or draws on the device (labels of the
Fisher) cannot run there; it is left out.
"""

import pytest
import torch

from valleyscope.dynamics import SgdSettings, stochastic_gradients
from valleyscope.engine import operators
from valleyscope.engine.gauss_newton import GaussNewtonOperator
from valleyscope.engine.noise import scores
from valleyscope.engine.weights import replica_gradients, replica_losses
from valleyscope.hessian import HessianOperator
from valleyscope.models.model import ModelSettings, Transformer, sequence_losses

R, n, T = 3, 6, 4
SETTINGS = {"vocab_size": 16, "context": T, "depth": 1, "width": 8, "heads": 2, "kv_heads": 1}
VARIANTS = [{}, {"positions": "learned"}, {"activation": "gelu"}, {"norm": "layer"}]


@pytest.fixture(params=VARIANTS, ids=str)
def model(request):
    with torch.device("meta"):
        return Transformer(ModelSettings(**SETTINGS, **request.param))


@pytest.fixture
def data():
    return torch.zeros(n, T + 1, dtype=torch.long, device="meta")


@pytest.fixture
def weights(model):
    return torch.zeros(R, sum(p.numel() for p in model.parameters()), device="meta")


def test_meta_refuses_a_tensor_of_the_cpu(data):
    with pytest.raises(RuntimeError, match=r"device"):
        data.float() + torch.ones(n, T + 1)


def test_losses_and_gradients_of_replicas(model, data, weights):
    assert replica_losses(model, sequence_losses, weights, data).shape == (R, n)
    gradients, losses = replica_gradients(model, sequence_losses)(weights, data.expand(R, n, T + 1))
    assert gradients.shape == weights.shape
    assert losses.device.type == gradients.device.type == "meta"


@pytest.mark.parametrize("more", [{}, {"noise_only": True}, {"batch": 0}], ids=str)
def test_gradients_of_minibatches_that_are_drawn_on_the_cpu(model, data, weights, more):
    settings = SgdSettings(learning_rate=0.1, steps=15, period=15, **{"batch": 2, **more})
    gradients, _ = stochastic_gradients(model, sequence_losses, data, settings)(weights, torch.Generator())
    assert gradients.shape == weights.shape
    assert gradients.device.type == "meta"


def test_scores(model, data):
    assert scores(model, sequence_losses, data).device.type == "meta"


def logits(model, batch):
    return model(batch[:, :-1])


def cross_entropies(outputs, batch):
    each = torch.nn.functional.cross_entropy(outputs.mT, batch[:, 1:], reduction="none")
    return each.mean(1)


@pytest.mark.parametrize(
    "build",
    [
        lambda model, data, **options: HessianOperator(model, sequence_losses, data, **options),
        lambda model, data, **options: GaussNewtonOperator(model, logits, cross_entropies, data, **options),
    ],
    ids=["hessian", "gauss_newton"],
)
def test_curvature_products(model, data, weights, build, monkeypatch):
    monkeypatch.setattr(operators.DataOperator, "_probe", lambda self: None)
    monkeypatch.setattr(operators, "require_finite", lambda value, quantity: None)
    operator = build(model, data, memory_budget=1e9, keep_graph=True)
    for product in (operator.matvec(weights[0]), operator.matmat(weights.T), operator.gradient()):
        assert product.device.type == "meta"
