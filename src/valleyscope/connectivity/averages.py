"""How good weights are on data they have not seen: loss as it is, loss at the best temperature, accuracy.

An interpolating model is overconfident, so its raw held-out loss mixes what it knows with how loudly it says
it. Dividing the logits by one temperature, chosen on other data, takes the loudness out (Guo et al. 2017).
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from torch import Tensor, nn

from valleyscope.dynamics import SgdSettings, sgd_steps
from valleyscope.engine.weights import LossFunction

LARGEST_LOG_TEMPERATURE = 5.0


def held_out_scores(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """held_out_loss (nats), scaled_loss, temperature and accuracy: logits (n, T, V), labels (n, T).

    Cross-fitted: each half of the samples is scored at the temperature that is best for the other half; the
    temperature given is their mean.
    """
    halves = [(logits[i::2].flatten(0, 1).double(), labels[i::2].flatten()) for i in (0, 1)]
    temperatures = [best_temperature(*half) for half in halves]
    scaled = [
        F.cross_entropy(z / t, y, reduction="sum").item()
        for (z, y), t in zip(halves, temperatures[::-1], strict=True)
    ]
    return {
        "held_out_loss": F.cross_entropy(logits.flatten(0, 1).double(), labels.flatten()).item(),
        "scaled_loss": sum(scaled) / labels.numel(),
        "temperature": sum(temperatures) / 2,
        "accuracy": (logits.argmax(-1) == labels).double().mean().item(),
    }


def best_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature > 0 that minimises the cross-entropy of logits (n, V) / temperature on labels (n,)."""
    found = minimize_scalar(
        lambda log_t: F.cross_entropy(logits / math.exp(log_t), labels).item(),
        bounds=(-LARGEST_LOG_TEMPERATURE, LARGEST_LOG_TEMPERATURE),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return math.exp(found.x)


def stochastic_average(
    model: nn.Module,
    loss_fn: LossFunction,
    data: Tensor,
    start: Tensor,
    settings: SgdSettings,
    *,
    seed: int,
    on_step: Callable[[int], None] = lambda step: None,
) -> tuple[Tensor, Tensor]:
    """Go on from `start` (N,) by SGD at a constant rate: the last weights and their average.

    The average takes the weights after every `period` steps (SWA, Izmailov et al. 2018).
    """
    weights = start[None].clone().requires_grad_(True)
    total, count = torch.zeros_like(start, dtype=torch.float64), 0
    for step, _ in sgd_steps(model, loss_fn, data, weights, settings, seed=seed):
        if step % settings.period == 0:
            total += weights.detach()[0].double()
            count += 1
        on_step(step)
    return weights.detach()[0], (total / count).to(start.dtype)
