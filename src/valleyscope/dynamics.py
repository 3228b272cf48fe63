"""SGD near a path: many replicas at once, pulled back to the path every few steps.

Paper B (Di Carlo, Goddard & Schwab), Fig. 3: after every `period` SGD steps, each replica is projected
to the nearest point of the path; its position against t_eff = steps x learning rate is the observable.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor, nn

from valleyscope.errors import InputError
from valleyscope.paths import Path
from valleyscope.weights import LossFunction, replica_gradients, require_finite


@dataclass(frozen=True)
class SgdSettings:
    """SGD with heavy-ball momentum: v <- momentum v + g, w <- w - learning_rate v."""

    learning_rate: float
    momentum: float
    batch: int  # samples a step, drawn independently with replacement; 0 takes the whole data
    steps: int
    period: int  # steps between two projections

    def __post_init__(self):
        if self.steps % self.period:
            raise InputError(f"steps: {self.steps} is not a multiple of period = {self.period}")


def projected_sgd(
    model: nn.Module,
    loss_fn: LossFunction,
    data: Tensor,
    path: Path,
    starts: Tensor,
    settings: SgdSettings,
    *,
    seed: int,
    on_period: Callable[[int], None] = lambda period: None,
) -> pd.DataFrame:
    """Run one replica from each position in `starts` (R,), all in one batched computation.

    A row a replica and period, the start included: replica, start, step, t_eff = step x learning rate,
    position, distance (to the path, before the projection), loss (mean over the period's minibatches,
    nats). The velocity is kept through a projection.
    Raises FloatingPointError with the step when a replica diverges.
    """
    s = settings
    generator = torch.Generator().manual_seed(seed)
    gradients = replica_gradients(model, loss_fn)
    weights = torch.stack([path.point(t) for t in starts.tolist()])
    velocity = torch.zeros_like(weights)
    replicas = len(weights)
    everything = data.expand(replicas, *data.shape)
    replica = {"replica": range(replicas), "start": starts.double().numpy()}
    first = {"step": 0, "position": replica["start"], "distance": 0.0, "loss": float("nan")}
    tables = [pd.DataFrame({**replica, **first})]
    period_loss = torch.zeros(replicas, dtype=torch.float64, device=data.device)
    for step in range(1, s.steps + 1):
        if s.batch:
            chosen = torch.randint(len(data), (replicas, s.batch), generator=generator)
            batch = data[chosen]
        else:
            batch = everything
        gradient, losses = gradients(weights, batch)
        if not torch.isfinite(losses).all():
            raise FloatingPointError(
                f"SGD diverged at step {step}: learning rate {s.learning_rate} is too large "
                "(stable below about 2 (1 + momentum) / λ_max)"
            )
        velocity = s.momentum * velocity + gradient
        weights = weights - s.learning_rate * velocity
        period_loss += losses.double() / s.period
        if step % s.period == 0:
            require_finite(weights, f"weights of projected SGD at step {step}")
            nearest = path.project(weights)
            weights = nearest.point
            now = {
                "step": step,
                "position": nearest.position.cpu().numpy(),
                "distance": nearest.distance.cpu().numpy(),
                "loss": period_loss.cpu().numpy(),
            }
            tables.append(pd.DataFrame({**replica, **now}))
            period_loss.zero_()
            on_period(step // s.period)
    table = pd.concat(tables, ignore_index=True)
    table.insert(3, "t_eff", table["step"] * s.learning_rate)
    return table
