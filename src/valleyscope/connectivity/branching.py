"""Children of one training run: copies that go on from a branch step with other minibatches.

Linear mode connectivity (Frankle et al. 2020; Paper B, Fig. 4): the line between two children is free of a
loss barrier if they branched late enough.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from valleyscope.engine.weights import LossFunction, replica_gradients, require_finite
from valleyscope.errors import InputError
from valleyscope.models.training import cosine_schedule

COPIES = 2


@dataclass(frozen=True)
class BranchSettings:
    """A run of AdamW with linear warm-up and cosine decay, and the steps at which children leave it."""

    steps: int
    batch: int  # samples a step, drawn independently with replacement for every copy
    learning_rate: float  # peak
    warmup: int
    weight_decay: float
    branches: list[int]  # ascending, below `steps`

    def __post_init__(self):
        if not self.branches or sorted(set(self.branches)) != self.branches or self.branches[0] < 0:
            raise ValueError(f"branches {self.branches} must ascend from 0 or more")
        if self.branches[-1] >= self.steps:
            raise InputError(f"branches: {self.branches[-1]} is not below steps = {self.steps}")


@dataclass(frozen=True)
class Family:
    """Weights at the end of training, and the parent's on its way."""

    children: Tensor  # (branches, 2, N)
    checkpoints: Tensor  # of the parent at the branch steps and at the end (branches + 1, N)


def train_family(
    model: nn.Module,
    loss_fn: LossFunction,
    data: Tensor,
    initial: Tensor,
    settings: BranchSettings,
    *,
    seed: int,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> Family:
    """Train a parent from `initial` (N,); at each branch step two copies of it join the batch of replicas.

    A copy takes over weights and optimiser state; from then on its minibatches are its own.
    `on_step` gets the number of replicas moved and the parent's minibatch loss.
    """
    s = settings
    generator = torch.Generator().manual_seed(seed)
    gradients = replica_gradients(model, loss_fn)
    weights, optimiser = _optimiser(initial[None], s)
    checkpoints = []
    for step in range(s.steps):
        if step in s.branches:
            checkpoints.append(weights[0].detach().clone())
            weights, optimiser = _branch(weights, optimiser, s)
        for group in optimiser.param_groups:
            group["lr"] = s.learning_rate * cosine_schedule(step, s.steps, s.warmup)
        chosen = torch.randint(len(data), (len(weights), s.batch), generator=generator)
        weights.grad, losses = gradients(weights.detach(), data[chosen])
        require_finite(losses, f"loss of the family at step {step}")
        optimiser.step()
        on_step(len(weights), losses[0].item())
    final = weights.detach()
    checkpoints.append(final[0])
    return Family(final[1:].view(len(s.branches), COPIES, -1), torch.stack(checkpoints))


def _optimiser(weights: Tensor, s: BranchSettings) -> tuple[Tensor, torch.optim.Optimizer]:
    weights = weights.detach().clone().requires_grad_(True)
    return weights, torch.optim.AdamW([weights], s.learning_rate, (0.9, 0.95), weight_decay=s.weight_decay)


def _branch(
    weights: Tensor, optimiser: torch.optim.Optimizer, s: BranchSettings
) -> tuple[Tensor, torch.optim.Optimizer]:
    """The replicas and their optimiser with copies of the parent, the first row, at the end."""

    def grown(rows: Tensor) -> Tensor:
        return torch.cat([rows, rows[:1].expand(COPIES, -1)])

    state = optimiser.state[weights]
    more, fresh = _optimiser(grown(weights.detach()), s)
    fresh.state[more] = {name: grown(value) if value.ndim == 2 else value for name, value in state.items()}
    return more, fresh
