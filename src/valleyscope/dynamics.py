"""SGD near a path: many replicas in one batched computation, pulled back to the path every few steps.

Paper B (Di Carlo, Goddard & Schwab), Fig. 3: after every `period` SGD steps each replica is projected to
the nearest point of the path; its position against t_eff = steps x learning rate is the observable.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor, nn

from valleyscope.engine import batches
from valleyscope.engine.weights import LossFunction, losses_at, require_finite, row_gradients
from valleyscope.errors import InputError
from valleyscope.paths import Path

OPTIMISERS = ("sgd", "nesterov", "adam")


@dataclass(frozen=True)
class SgdSettings:
    """How replicas move, in torch's conventions: v <- momentum v + g, w <- w - learning_rate v."""

    learning_rate: float
    batch: int  # samples a step, drawn independently with replacement; 0 takes the whole data
    steps: int
    period: int  # steps between two projections, or two looks if there are none
    momentum: float = 0.0  # of "sgd" and "nesterov"; Adam keeps (0.9, 0.999)
    optimiser: str = "sgd"
    weight_decay: float = 0.0  # λ of λ‖w‖²/2; decoupled in Adam
    noise_only: bool = False  # no force, the path's noise: the difference of two minibatch gradients over √2,
    # both where the period began; further out, with nothing to bring it back, noise would feed on itself
    projected: bool = True

    def __post_init__(self):
        if self.steps % self.period:
            raise InputError(f"steps: {self.steps} is not a multiple of period = {self.period}")
        if self.optimiser not in OPTIMISERS:
            raise InputError(f"optimiser: {self.optimiser!r} is none of {', '.join(OPTIMISERS)}")
        if self.noise_only and not self.batch:
            raise InputError("noise_only: the whole data has no minibatch noise; set batch")

    def build(self, weights: Tensor) -> torch.optim.Optimizer:
        """torch's optimiser of `weights` (R, N), which treats every replica by itself."""
        rate, decay = self.learning_rate, self.weight_decay
        if self.optimiser == "adam":
            return torch.optim.AdamW([weights], lr=rate, weight_decay=decay)
        nesterov = self.optimiser == "nesterov"
        return torch.optim.SGD(
            [weights], lr=rate, momentum=self.momentum, nesterov=nesterov, weight_decay=decay
        )


def stochastic_gradients(
    model: nn.Module, loss_fn: LossFunction, data, settings: SgdSettings
) -> Callable[[Tensor, torch.Generator], tuple[Tensor, Tensor]]:
    """A function (weights (R, N), generator) -> gradients (R, N), mean minibatch losses (R,)."""
    losses = losses_at(model, loss_fn)
    drawn = settings.batch * (2 if settings.noise_only else 1)
    signs = torch.ones(drawn, dtype=torch.float64)
    if settings.noise_only:
        signs[settings.batch :] = -1
        signs = signs * 2**0.5  # of the mean over both halves: (g − g′)/√2

    def signed_mean(vector: Tensor, batch):
        each = losses(vector, batch)
        return (each * signs.to(each) if drawn else each).mean(), each.mean()

    gradients = row_gradients(signed_mean)

    def evaluate(weights: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        if drawn:
            chosen = torch.randint(batches.size(data), (len(weights), drawn), generator=generator)
            batch = batches.taken(data, chosen)
        else:
            batch = batches.repeated(data, len(weights))
        gradient, _, mean = gradients(weights, batch)
        return gradient, mean

    return evaluate


def sgd_steps(
    model: nn.Module,
    loss_fn: LossFunction,
    data,
    weights: Tensor,
    settings: SgdSettings,
    *,
    seed: int,
) -> Iterator[tuple[int, Tensor]]:
    """Move `weights` (R, N), a leaf that requires grad, in place: yields each step and its losses (R,).

    Raises FloatingPointError with the step when a replica diverges.
    """
    generator = torch.Generator().manual_seed(seed)
    gradients = stochastic_gradients(model, loss_fn, data, settings)
    optimiser = settings.build(weights)
    for step in range(1, settings.steps + 1):
        if not settings.noise_only:
            at = weights.detach()
        elif (step - 1) % settings.period == 0:
            at = weights.detach().clone()
        weights.grad, losses = gradients(at, generator)
        if not torch.isfinite(losses).all():
            raise FloatingPointError(
                f"SGD diverged at step {step}: learning rate {settings.learning_rate} is too large "
                "(stable below about 2 (1 + momentum) / λ_max)"
            )
        optimiser.step()
        yield step, losses


def projected_sgd(
    model: nn.Module,
    loss_fn: LossFunction,
    data,
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
    nats), step_size (root mean square over the period of a step's length). The optimiser's state is kept
    through a projection.
    Raises FloatingPointError with the step when a replica diverges.
    """
    s = settings
    weights = torch.stack([path.point(t) for t in starts.tolist()]).requires_grad_(True)
    replica = {"replica": range(len(weights)), "start": starts.double().numpy()}
    nan = float("nan")
    first = {"step": 0, "position": replica["start"], "distance": 0.0, "loss": nan, "step_size": nan}
    tables = [pd.DataFrame({**replica, **first})]
    loss, squares = torch.zeros(2, len(weights), dtype=torch.float64, device=weights.device)
    before = weights.detach().clone()
    for step, losses in sgd_steps(model, loss_fn, data, weights, s, seed=seed):
        loss += losses.double() / s.period
        squares += (weights.detach() - before).square().sum(1).double() / s.period
        if step % s.period == 0:
            require_finite(weights.detach(), f"weights of projected SGD at step {step}")
            nearest = path.project(weights.detach())
            if s.projected:
                with torch.no_grad():
                    weights.copy_(nearest.point)
            now = {
                "step": step,
                "position": nearest.position.cpu().numpy(),
                "distance": nearest.distance.cpu().numpy(),
                "loss": loss.cpu().numpy(),
                "step_size": squares.sqrt().cpu().numpy(),
            }
            tables.append(pd.DataFrame({**replica, **now}))
            loss.zero_()
            squares.zero_()
            on_period(step // s.period)
        before = weights.detach().clone()
    table = pd.concat(tables, ignore_index=True)
    table.insert(3, "t_eff", table["step"] * s.learning_rate)
    return table
