import pytest
import torch
from torch import nn

from valleyscope.model import sequence_losses
from valleyscope.weights import (
    at_weights,
    flat_weights,
    flatten,
    replica_gradients,
    replica_losses,
    require_finite,
    select_parameters,
    unflatten,
)


def test_flatten_and_unflatten_are_inverse(model):
    parameters = select_parameters(model)
    vector = flat_weights(model)
    for name, view in unflatten(vector, parameters).items():
        assert torch.equal(view, parameters[name])
    assert torch.equal(flatten(unflatten(vector, parameters).values()), vector)
    with pytest.raises(ValueError, match="the model has"):
        unflatten(vector[:-1], parameters)


def test_weights_are_restored_even_after_an_exception(model):
    before = flat_weights(model)
    with pytest.raises(RuntimeError), at_weights(model, before + 1):
        assert torch.equal(flat_weights(model), before + 1)
        raise RuntimeError
    assert torch.equal(flat_weights(model), before)


def test_replicas_equal_a_loop(model, tokens, rng):
    centre = flat_weights(model)
    points = centre + 0.1 * torch.randn(4, len(centre), generator=rng, dtype=torch.float64)
    losses = replica_losses(model, sequence_losses, points, tokens, chunk=3)
    batches = torch.stack([tokens[i : i + 3] for i in range(4)])
    gradients, means = replica_gradients(model, sequence_losses)(points, batches)
    for i, point in enumerate(points):
        with at_weights(model, point):
            torch.testing.assert_close(losses[i], sequence_losses(model, tokens).detach())
            loss = sequence_losses(model, batches[i]).mean()
            truth = flatten(torch.autograd.grad(loss, list(model.parameters())))
        torch.testing.assert_close(gradients[i], truth)
        assert means[i].item() == pytest.approx(loss.item())
    assert torch.equal(flat_weights(model), centre)


def test_tied_weights_count_once_and_frozen_ones_not_at_all(rng):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(3, 3, bias=False)
            self.b = nn.Linear(3, 3, bias=False)
            self.b.weight = self.a.weight
            self.frozen = nn.Linear(3, 3, bias=False).requires_grad_(False)

        def forward(self, x):
            return self.b(self.frozen(self.a(x)))

    model = Tied().double()
    assert len(flat_weights(model)) == 9
    x = torch.randn(2, 3, generator=rng, dtype=torch.float64)
    point = torch.randn(9, generator=rng, dtype=torch.float64)
    batched = replica_losses(model, lambda m, b: m(b).square().sum(1), point[None], x)
    W = point.view(3, 3)
    truth = (x @ W.T @ model.frozen.weight.T @ W.T).square().sum(1)
    torch.testing.assert_close(batched[0], truth)


def test_require_finite_names_the_quantity():
    require_finite(torch.ones(3), "fine")
    require_finite(1.0, "fine")
    for bad in (torch.tensor([1.0, float("nan")]), float("inf")):
        with pytest.raises(FloatingPointError, match="the answer is not finite"):
            require_finite(bad, "the answer")
