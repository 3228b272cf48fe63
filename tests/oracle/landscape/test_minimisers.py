"""Minimisers of a mean loss plus a ridge: on a quadratic with a known one, and on a transformer."""

import dense
import pytest
import torch
from torch import nn

from valleyscope.engine.weights import at_weights, flat_weights
from valleyscope.landscape.minimisers import MinimiserSettings, minimise
from valleyscope.models.model import sequence_losses

SOLVER = {"learning_rate": 1e-2, "products": 80, "stationarity": 1e-10}
RIDGE = 10.0  # makes the objective convex; with 3.0 Newton finds no step for 2 of 60 random models


class Linear(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(size, dtype=torch.float64))


def squares(model, batch):
    x, y = batch[:, :-1], batch[:, -1]
    return 0.5 * (x @ model.w - y).square()


def test_ridge_regression_is_solved_by_newton_alone(rng):
    data = torch.randn(9, 6, generator=rng, dtype=torch.float64)
    centre = torch.randn(5, generator=rng, dtype=torch.float64)
    model, rho = Linear(5), 0.3
    found = minimise(model, squares, data, centre, MinimiserSettings(rho, 0, newton_steps=3, **SOLVER))
    x, y = data[:, :-1], data[:, -1]
    truth = torch.linalg.solve(x.T @ x / 9 + rho * torch.eye(5), x.T @ y / 9 + rho * centre)
    torch.testing.assert_close(model.w.detach(), truth, rtol=1e-6, atol=1e-8)
    loss = 0.5 * (x @ truth - y).square().mean() + rho / 2 * (truth - centre).square().sum()
    assert found.objective == pytest.approx(loss.item(), rel=1e-10)
    assert found.newton_steps in (1, 2)  # a second one where rounding left the first short of its tolerance


def test_the_gradient_with_the_ridge_vanishes_and_stationarity_is_its_share_of_the_noise(model, tokens):
    centre = flat_weights(model)
    data, rho = tokens[:5], RIDGE
    found = minimise(
        model, sequence_losses, data, centre, MinimiserSettings(rho, 150, newton_steps=5, **SOLVER)
    )
    offset = flat_weights(model) - centre
    gradient = dense.gradient(model, sequence_losses, data) + rho * offset
    assert found.gradient_norm == pytest.approx(gradient.norm().item(), rel=1e-6, abs=1e-12)
    each = [dense.gradient(model, sequence_losses, data[i : i + 1]) + rho * offset for i in range(5)]
    noise = sum(g.square().sum().item() for g in each) / 5
    assert found.stationarity == pytest.approx(gradient.square().sum().item() / (noise / 5), rel=1e-6)
    assert found.stationarity < 1e-6
    with at_weights(model, centre):
        before = sequence_losses(model, data).mean().item()
    assert found.objective < before
    # A minimiser: in no direction does the objective bend down.
    H = dense.hessian(model, sequence_losses, data) + rho * torch.eye(len(centre))
    assert torch.linalg.eigvalsh(H).min() > 0


def test_stationarity_far_from_a_minimiser(model, tokens):
    centre, rho = flat_weights(model), RIDGE
    found = minimise(
        model, sequence_losses, tokens[:5], centre, MinimiserSettings(rho, 5, newton_steps=0, **SOLVER)
    )
    offset = rho * (flat_weights(model) - centre)
    each = [dense.gradient(model, sequence_losses, tokens[i : i + 1]) + offset for i in range(5)]
    noise = sum(g.square().sum().item() for g in each) / 5
    square = (sum(each) / 5).square().sum().item()
    assert found.stationarity == pytest.approx(square / (noise / 5), rel=1e-6, abs=0)


def test_newton_steps_are_taken_only_where_they_lower_the_gradient(model, tokens):
    centre = flat_weights(model)
    few = MinimiserSettings(RIDGE, 60, newton_steps=0, **SOLVER)
    adam = minimise(model, sequence_losses, tokens[:5], centre, few)
    more = MinimiserSettings(RIDGE, 0, newton_steps=4, **SOLVER)
    newton = minimise(model, sequence_losses, tokens[:5], centre, more)
    assert newton.gradient_norm < 0.9 * adam.gradient_norm
    assert 1 <= newton.newton_steps <= 4
