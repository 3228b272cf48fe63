import pytest
import torch
from torch import nn

from valleyscope.engine.weights import (
    at_weights,
    flat_weights,
    flatten,
    mapped,
    replica_gradients,
    replica_losses,
    require_finite,
    select_parameters,
    unflatten,
)
from valleyscope.models.model import sequence_losses


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


class Shared(torch.nn.Module):
    """One module used twice, and one tensor in two modules."""

    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(6, 4)
        self.layer = torch.nn.Linear(4, 4)
        self.again = torch.nn.Sequential(self.layer, torch.nn.Tanh(), self.layer)
        self.head = torch.nn.Linear(4, 6, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, x):
        return self.head(self.again(self.embedding(x)))


def test_shared_modules_and_tensors_follow_the_vector_and_stay_parameters(rng):
    model = Shared().double()
    batch = torch.randint(6, (3, 4), generator=rng)

    def losses(model, batch):
        return model(batch).square().mean(dim=(1, 2))

    held = [id(p) for p in model.parameters()]
    points = torch.randn(2, 44, generator=rng, dtype=torch.float64)
    found = replica_losses(model, losses, points, batch)
    for point, values in zip(points, found, strict=True):
        with at_weights(model, point), torch.no_grad():
            torch.testing.assert_close(values, losses(model, batch), rtol=1e-12, atol=0)
    assert [id(p) for p in model.parameters()] == held


def test_a_loop_stands_in_for_what_cannot_be_mapped(rng):
    def branching(weights, batch):
        if batch["x"].sum() > 0:  # control flow that depends on data
            return weights * 2, (weights.sum(), batch["x"])
        return weights, (weights.sum(), batch["x"])

    weights = torch.randn(5, 3, generator=rng)
    x = torch.randn(5, 2, generator=rng)
    call = mapped(branching)
    with pytest.warns(UserWarning, match="one by one"):
        first, (second, third) = call(weights, {"x": x})
    factors = 1 + (x.sum(1) > 0).float()
    torch.testing.assert_close(first, weights * factors[:, None])
    torch.testing.assert_close(second, weights.sum(1))
    assert torch.equal(third, x)
    again, _ = call(weights, {"x": x})  # without a second warning
    assert torch.equal(again, first)


def test_mapped_raises_what_is_no_fault_of_mapping():
    call = mapped(lambda weights, batch: weights @ batch)
    with pytest.raises(RuntimeError, match=r"(?i)size|shape|inconsistent"):
        call(torch.ones(2, 3), torch.ones(2, 4))
