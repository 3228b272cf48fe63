"""Minimisers of a mean loss plus a fixed ridge, F(w) = L(w) + (ρ/2)‖w − w₀‖².

Cross-entropy that can be interpolated has no finite minimiser; the ridge gives it one. Being the same for
every k it cancels in δ_k, and its Hessian ρI leaves the eigenvectors of H^(k) as they are. Its centre w₀ is
not the origin: weights before a normalisation are scale invariant, and a ridge at the origin would
shrink them without end.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import vector_to_parameters

from valleyscope.engine.noise import mean_square
from valleyscope.engine.weights import LossFunction, flat_weights, require_finite, select_parameters
from valleyscope.hessian import HessianOperator
from valleyscope.models.training import cosine_schedule

HALVINGS = 6  # of a Newton step, before it is given up


@dataclass(frozen=True)
class MinimiserSettings:
    """Full-batch Adam with cosine decay, then truncated Newton steps while they are needed."""

    ridge: float  # ρ
    steps: int  # of Adam
    learning_rate: float  # peak
    newton_steps: int  # at most
    products: int  # Hessian-vector products a Newton step, at most
    stationarity: float  # below this no further Newton step is taken


@dataclass(frozen=True)
class Minimiser:
    """How near a minimiser the model is: F, ‖∇F‖, ‖∇F‖² / (E‖g_i‖²/n), and Newton steps taken."""

    objective: float
    gradient_norm: float
    stationarity: float
    newton_steps: int


def minimise(
    model: nn.Module,
    loss_fn: LossFunction,
    data: Tensor,
    centre: Tensor,
    settings: MinimiserSettings,
    *,
    memory_budget: float | None = None,
    on_step: Callable[[float], None] = lambda objective: None,
) -> Minimiser:
    """Bring `model` in place to a minimiser of F on `data` (n, ...), with `centre` w₀ (N,).

    Stationary is measured against the gradient noise of n samples, E‖g_i‖²/n with g_i = ∇ℓ_i + ρ(w − w₀).
    A Newton step is (H + ρ) d = −∇F by conjugate gradients (truncated: Dembo & Steihaug 1983), halved until
    ‖∇F‖ falls; the search ends where no halving lets it fall.
    """
    _adam(model, loss_fn, data, centre, settings, on_step)
    operator, gradient = _gradient(model, loss_fn, data, centre, settings.ridge, memory_budget)
    taken = 0
    while True:
        offset = flat_weights(model) - centre
        noise = mean_square(model, loss_fn, data, settings.ridge * offset) / len(data)
        norm = gradient.double().norm().item()
        objective = operator.loss + settings.ridge / 2 * offset.double().square().sum().item()
        reached = Minimiser(objective, norm, norm**2 / noise, taken)
        if reached.stationarity <= settings.stationarity or taken == settings.newton_steps:
            return reached
        step, start = _newton_direction(operator, gradient, settings), flat_weights(model)
        for _ in range(HALVINGS):
            vector_to_parameters(start + step, _parameters(model))
            operator, gradient = _gradient(model, loss_fn, data, centre, settings.ridge, memory_budget)
            if gradient.double().norm().item() < norm:
                break
            step = step / 2
        else:
            vector_to_parameters(start, _parameters(model))
            return reached
        taken += 1
        on_step(operator.loss)


def _parameters(model: nn.Module) -> list[nn.Parameter]:
    return list(select_parameters(model).values())


def _gradient(model, loss_fn, data, centre, ridge, memory_budget) -> tuple[HessianOperator, Tensor]:
    """The operator of L and ∇F at the model's weights."""
    operator = HessianOperator(model, loss_fn, data, memory_budget=memory_budget)
    return operator, operator.gradient() + ridge * (flat_weights(model) - centre)


def _adam(model, loss_fn, data: Tensor, centre: Tensor, s: MinimiserSettings, on_step) -> None:
    parameters = _parameters(model)
    pieces = centre.split([p.numel() for p in parameters])
    anchors = [piece.view_as(p) for piece, p in zip(pieces, parameters, strict=True)]
    optimiser = torch.optim.Adam(parameters, lr=s.learning_rate)
    for step in range(s.steps):
        for group in optimiser.param_groups:
            group["lr"] = s.learning_rate * cosine_schedule(step, s.steps)
        ridge = sum((p - a).square().sum() for p, a in zip(parameters, anchors, strict=True))
        objective = loss_fn(model, data).mean() + s.ridge / 2 * ridge
        require_finite(objective, f"objective at step {step}")
        optimiser.zero_grad(set_to_none=True)
        objective.backward()
        optimiser.step()
        on_step(objective.item())
    optimiser.zero_grad(set_to_none=True)


def _newton_direction(operator: HessianOperator, gradient: Tensor, s: MinimiserSettings) -> Tensor:
    """d with (H + ρ) d ≈ −∇F by conjugate gradients, cut off at negative curvature."""
    d, residual = torch.zeros_like(gradient), -gradient
    direction, square = residual.clone(), residual.dot(residual)
    for _ in range(s.products):
        image = operator.matvec(direction) + s.ridge * direction
        curvature = direction.dot(image)
        if curvature <= 0:
            return d if d.any() else direction
        length = square / curvature
        d += length * direction
        residual = residual - length * image
        previous, square = square, residual.dot(residual)
        if square <= 1e-6 * gradient.dot(gradient):
            break
        direction = residual + square / previous * direction
    return d
