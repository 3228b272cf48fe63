"""A11: Paper A's measurements on one architecture and seed, from its training run to a row of the table.

The same functions as for the study's transformer: weights are kept after the first k samples of one pass; at
each, L_k, its eigenspace and the increment of the single next sample and of held-out ones are measured.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from valleyscope.eigen import EigenResult, converged_eigenpairs
from valleyscope.engine import batches
from valleyscope.engine.guarded import plain_recurrence
from valleyscope.engine.timing import seconds
from valleyscope.engine.weights import LossFunction, at_weights, flat_weights
from valleyscope.errors import InputError
from valleyscope.hessian import HessianOperator
from valleyscope.landscape.estimators import Grid, estimate_criteria
from valleyscope.landscape.expansion import expansion_errors, validity
from valleyscope.models.training import TrainingSettings, train
from valleyscope.readings.decay import fit_power_law


@dataclass(frozen=True)
class StudySettings:
    """What is measured of every architecture."""

    k: list[int]  # samples seen, multiples of the batch
    candidates: int  # held-out next samples
    candidate_draws: int  # random vectors of their traces
    dim: int  # D
    sigma: float
    samples: int  # Monte Carlo draws and random vectors
    tolerance: float  # residual of an eigenpair over the largest eigenvalue
    validity: dict  # k, limit, samples and sigmas of σ*


@dataclass(frozen=True)
class Study:
    """Tables of one architecture and seed: results/README.md, architecture_points.csv and so on."""

    points: pd.DataFrame  # a row a k
    summary: pd.DataFrame  # one row
    cost: pd.DataFrame  # one row, timings


def study(
    model: nn.Module,
    loss_fn: LossFunction,
    data,
    held_out,
    training: TrainingSettings,
    s: StudySettings,
    *,
    seed: int,
    memory_budget: float | None = None,
) -> Study:
    """Train `model` on the batch `data` in its order and measure it at every k and, for σ*, at the end."""
    off = [k for k in s.k if k % training.batch]
    if off or s.validity["k"] not in s.k:
        raise InputError(
            f"k = {s.k}: all must be multiples of the batch, {training.batch}, and validity.k = "
            f"{s.validity['k']} one of them"
        )
    with plain_recurrence(model):
        return _study(model, loss_fn, data, held_out, training, s, seed, memory_budget)


def _study(model, loss_fn, data, held_out, training, s: StudySettings, seed: int, memory_budget) -> Study:
    candidates = batches.rows(held_out, 0, s.candidates)
    fixed = _fixed_rate(model, loss_fn, data, candidates, s.k)
    at_k = _train(model, loss_fn, data, held_out, training, s, seed)
    rows = []
    for k in s.k:
        with at_weights(model, at_k[k]):
            known = batches.rows(data, 0, k)
            operator = HessianOperator(model, loss_fn, known, memory_budget=memory_budget)
            eigen = converged_eigenpairs(operator, s.dim, tol=s.tolerance, seed=seed)
            rows.append(_point(model, loss_fn, operator, data, candidates, eigen, s, seed))
            if k == s.validity["k"]:
                cost = _cost(model, loss_fn, operator, known, eigen)
    points = pd.DataFrame(rows)
    star = _sigma_star(model, loss_fn, data, s, seed, memory_budget)
    summary = _summary(points) | {"rate_fixed": fixed, "sigma_star": star}
    return Study(points, pd.DataFrame([{"parameters": operator.size, **summary}]), pd.DataFrame([cost]))


def _fixed_rate(model, loss_fn, data, candidates, sizes: list[int]) -> float:
    """γ of E(ℓ_{k+1} − L_k)² over the candidates at untrained weights, the same for all k: 0 by algebra."""
    with torch.no_grad():
        losses = loss_fn(model, batches.rows(data, 0, max(sizes))).double()
        nexts = loss_fn(model, candidates).double()
    squares = [(nexts - losses[:k].mean()).square().mean().item() for k in sizes]
    if not any(squares):
        return 0.0  # all losses are equal
    return fit_power_law(sizes, squares, 0)[0]


def _train(model, loss_fn, data, held_out, training, s: StudySettings, seed: int) -> dict[int, Tensor]:
    """Weights after the first k samples, for each k; the model ends at those of the whole run."""
    kept = {}

    def keep(step: int) -> None:
        if step * training.batch in s.k:
            kept[step * training.batch] = flat_weights(model)

    train(model, loss_fn, data, held_out, training, seed=seed, on_step=keep)
    return kept


def _point(model, loss_fn, operator, data, candidates, eigen, s: StudySettings, seed: int) -> dict:
    """One row: the criteria and their parts."""
    grid = Grid([s.dim], [s.sigma], s.samples, seed, s.candidate_draws)
    criteria, terms, _ = estimate_criteria(model, loss_fn, operator, data, candidates, eigen, grid)
    closed = criteria[criteria["estimator"] == "gaussian_moment"]

    def moment(next_: str, criterion: str) -> float:
        return closed[(closed["next"] == next_) & (closed["criterion"] == criterion)]["estimate"].item()

    single = terms[(terms["next"] == "single") & (terms["dim"] == s.dim)].iloc[0]
    with torch.no_grad():
        others = loss_fn(model, batches.rows(candidates, 0, s.candidates, operator.device)).double()
    whole = moment("single", "delta2")
    return {
        "k": operator.samples,
        "loss": operator.loss,
        "held_out_loss": others.mean().item(),
        "dim": s.dim,
        "sigma": s.sigma,
        "delta2": moment("expected", "delta2"),
        "delta2_D": moment("expected", "delta2_D"),
        "ratio": moment("single", "delta2_D") / whole,
        "shared": single["value"] / whole,
        "spread_ratio": single["spread_ratio"],
        "gradient_share": single["gradient_share"],
        "chance": single["chance"],
        "lambda_max": eigen.values[0].item(),
        "products": eigen.matvecs,
    }


def _sigma_star(model, loss_fn, data, s: StudySettings, seed: int, memory_budget: float | None) -> float:
    """σ* of δ_k in full space in float64 at the end of training; 0 where no σ of the grid is valid."""
    k = s.validity["k"]
    operator = HessianOperator(model, loss_fn, batches.rows(data, 0, k), memory_budget=memory_budget)
    eigen = converged_eigenpairs(operator, 1, tol=s.tolerance, seed=seed)
    grid = Grid([1], s.validity["sigmas"], s.validity["samples"], seed)
    errors = expansion_errors(model, loss_fn, data, eigen, k, grid, precisions=("float64",))
    stars = validity(errors, s.validity["limit"])
    chosen = (stars["quantity"] == "increment") & (stars["dim"] == operator.size)
    star = stars[chosen]["sigma_star"].item()
    return 0.0 if np.isnan(star) else star


def _summary(points: pd.DataFrame) -> dict[str, float]:
    """What the claim is read off: γ of (k+1)² Δ₂ of the expected next sample, worst or mean of the rest."""
    rates = {
        f"rate_{name}": fit_power_law(points["k"], points[name], 2)[0] for name in ("delta2", "delta2_D")
    }
    return {
        "loss": points["loss"].iloc[-1],
        "held_out_loss": points["held_out_loss"].iloc[-1],
        **rates,
        "ratio_off": (points["ratio"] - 1).abs().max(),
        "shared_off": (points["shared"] - 1).abs().max(),
        "spread_ratio": points["spread_ratio"].mean(),
        "gradient_share": points["gradient_share"].mean(),
        "enrichment": (points["gradient_share"] / points["chance"]).mean(),
    }


def _cost(model, loss_fn, operator: HessianOperator, known, eigen: EigenResult) -> dict:
    """Seconds of a gradient and of a product of L_k, and what the eigenspace takes in gradients."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    v = eigen.vectors[:, 0]
    device = operator.device.type

    def gradient_of_all() -> None:
        torch.autograd.grad(loss_fn(model, known).mean(), parameters)

    gradient = np.median(seconds(gradient_of_all, 5, device))
    product = np.median(seconds(lambda: operator.matvec(v), 5, device))
    return {
        "k": operator.samples,
        "gradient_seconds": gradient,
        "product_seconds": product,
        "products": eigen.matvecs,
        "gradients": eigen.matvecs * product / gradient,
    }
