"""Seeded training: AdamW or SGD, linear warm-up, cosine decay to zero, held-out loss."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from valleyscope.engine import batches
from valleyscope.engine.weights import LossFunction, assign, flat_weights, replica_gradients, require_finite
from valleyscope.errors import InputError


@dataclass(frozen=True)
class TrainingSettings:
    """One pass over the data in the given order, then `epochs - 1` reshuffled passes."""

    epochs: int
    batch: int  # samples a step
    learning_rate: float  # peak
    warmup: int  # steps of linear warm-up
    weight_decay: float
    record_every: int  # steps between two records
    optimiser: str = "adamw"  # or "sgd", with heavy-ball momentum
    momentum: float = 0.9  # of "sgd"

    def __post_init__(self):
        if self.optimiser not in ("adamw", "sgd"):
            raise ValueError(f"optimiser {self.optimiser!r} is neither adamw nor sgd")

    def build(self, parameters) -> torch.optim.Optimizer:
        """torch's optimiser at the peak rate."""
        common = {"lr": self.learning_rate, "weight_decay": self.weight_decay}
        if self.optimiser == "sgd":
            return torch.optim.SGD(parameters, momentum=self.momentum, **common)
        return torch.optim.AdamW(parameters, betas=(0.9, 0.95), **common)


@dataclass(frozen=True)
class Record:
    """State after `step` steps: mean train loss since the last record, held-out loss (nats)."""

    step: int
    samples: int
    learning_rate: float
    train_loss: float
    held_out_loss: float


def cosine_schedule(step: int, steps: int, warmup: int = 0) -> float:
    """Factor on the peak rate: linear from 0 over `warmup` steps, then half a cosine to 0."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def mean_loss(model: nn.Module, loss_fn: LossFunction, data, chunk: int | None = None) -> float:
    """Mean over all samples of the batch `data`, summed in float64, `chunk` samples at a time.

    By default a chunk holds about 16,384 numbers of `data`, so that activations stay small.
    """
    chunk = chunk or max(1, 16_384 // batches.numbers(data))
    with torch.no_grad():
        total = sum(loss_fn(model, part).double().sum().item() for part in batches.split(data, chunk))
    return total / batches.size(data)


def train(
    model: nn.Module,
    loss_fn: LossFunction,
    data,
    held_out,
    settings: TrainingSettings,
    *,
    seed: int,
    on_record: Callable[[Record], None] = lambda record: None,
    on_step: Callable[[int], None] = lambda step: None,
) -> list[Record]:
    """Train `model` in place on the batch `data`; returns the records, the first before any step.

    `on_step` is called with the number of steps taken after each of them, when `model` holds their result.
    The same seed, machine and thread count give bit-identical weights. Weight decay moves all weights, also
    those that the loss does not depend on.
    Raises FloatingPointError with the step if the loss is not finite.
    """
    s = settings
    total = batches.size(data)
    if s.batch > total:
        raise InputError(f"batch = {s.batch} is larger than the data, {total} samples")
    generator = torch.Generator().manual_seed(seed)
    gradients = replica_gradients(model, loss_fn)
    weights = flat_weights(model)[None].requires_grad_(True)  # one tensor: an optimiser's calls cost once
    optimiser = s.build([weights])
    steps_an_epoch = total // s.batch
    steps = s.epochs * steps_an_epoch
    records = []

    def record(step: int, rate: float, train_loss: float) -> None:
        held = mean_loss(model, loss_fn, held_out)
        require_finite(held, f"held-out loss at step {step}")
        records.append(Record(step, step * s.batch, rate, train_loss, held))
        on_record(records[-1])

    record(0, 0.0, mean_loss(model, loss_fn, batches.rows(data, 0, batches.size(held_out))))
    recent: list[float] = []
    for step in range(steps):
        position = step % steps_an_epoch
        if position == 0:
            first_pass = step == 0
            order = torch.arange(total) if first_pass else torch.randperm(total, generator=generator)
        rate = s.learning_rate * cosine_schedule(step, steps, s.warmup)
        for group in optimiser.param_groups:
            group["lr"] = rate
        chosen = order[position * s.batch : (position + 1) * s.batch]
        weights.grad, loss = gradients(weights, batches.taken(data, chosen[None]))
        require_finite(loss, f"training loss at step {step}")
        optimiser.step()
        assign(model, weights.detach()[0])
        on_step(step + 1)
        recent.append(loss.item())
        if (step + 1) % s.record_every == 0 or step + 1 == steps:
            record(step + 1, rate, sum(recent) / len(recent))
            recent.clear()
    return records
