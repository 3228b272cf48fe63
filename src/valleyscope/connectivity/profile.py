"""Loss, curvature and gradient noise along a path, whole and by group of weights.

With the Hessian H of the mean training loss and the covariance Σ of the samples' gradients, at each position:
Tr H, ‖H‖_F, the top of the spectrum, the trace of the Fisher information with drawn labels, Tr Σ, and the
alignment Tr(HΣ) / (‖H‖_F ‖Σ‖_F). Where a layer is scale invariant its curvature goes as 1/‖W‖², so each
group's Tr H_g is also given times ‖W_g‖².
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from valleyscope.criteria import standard_normals
from valleyscope.eigen import EigenResult, converged_eigenpairs
from valleyscope.engine.gauss_newton import FisherOperator
from valleyscope.engine.groups import parameter_groups
from valleyscope.engine.noise import scores
from valleyscope.engine.weights import LossFunction, at_weights, flatten, select_parameters, unflatten
from valleyscope.estimate import Estimate
from valleyscope.hessian import HessianOperator
from valleyscope.models.training import mean_loss
from valleyscope.paths import Path
from valleyscope.traces import random_signs, spectrum, traces


@dataclass(frozen=True)
class ProfileSettings:
    """What is measured at a position, and how finely."""

    probes: int  # random vectors of Tr H
    label_probes: int  # of the Fisher's trace
    noise_draws: int  # draws from Σ, of Tr(HΣ)
    eigenpairs: int  # largest, as many as the widest probe needs
    tolerance: float  # residual over the largest eigenvalue


@dataclass(frozen=True)
class Place:
    """A position on the path with the Hessian operator there and its leading eigenpairs."""

    position: float
    operator: HessianOperator
    eigen: EigenResult


def describe_minimum(
    model: nn.Module,
    loss_fn: LossFunction,
    data,
    held_out,
    weights: Tensor,
    *,
    probes: int,
    tol: float,
    seed: int,
    memory_budget: float | None = None,
) -> dict[str, float]:
    """How low, how flat and how far from stationary weights (N,) are.

    train_loss, held_out_loss, gradient_norm, stationarity (‖∇L‖² over E‖g_i‖²/n, the noise of a gradient from
    n samples: far below 1 at a minimum), lambda_max, trace and trace_se, weight_norm.
    """
    with at_weights(model, weights):
        operator = HessianOperator(model, loss_fn, data, memory_budget=memory_budget)
        norm = operator.gradient().double().norm().item()
        noise = scores(model, loss_fn, data).double().square().sum(1).mean().item() / operator.samples
        return {
            "train_loss": operator.loss,
            "held_out_loss": mean_loss(model, loss_fn, held_out),
            "gradient_norm": norm,
            "stationarity": norm**2 / noise,
            **_curvature(operator, probes, tol, seed),
            "weight_norm": weights.double().norm().item(),
        }


def profile_path(
    model: nn.Module,
    loss_fn: LossFunction,
    logits_fn: Callable[[nn.Module, object], Tensor],
    data,
    path: Path,
    positions: list[float],
    settings: ProfileSettings,
    *,
    seed: int,
    memory_budget: float | None = None,
    on_point: Callable[[Place], None] = lambda place: None,
) -> dict[str, pd.DataFrame]:
    """Tables by name, in nats and lengths of weights.

    curvature (a row a position): train_loss, gradient_norm, trace and trace_se (Tr H), square and
    square_se (‖H‖_F²), fisher and fisher_se, lambda_max and lambda_max_residual, products (those spent on
    eigenpairs), noise (Tr Σ), noise_square (‖Σ‖_F²), shared and shared_se (Tr HΣ).
    eigenvalues: a row a position and rank. groups: a row a position and group of weights, with parameters,
    norm (‖W_g‖), trace and trace_se (Tr H_g), tangent (share of the unit tangent's square in the group) and
    radial (share of it along W_g).

    Eigenpairs start from those of the position before. `on_point` is called at the position's weights.
    """
    curvature, eigenvalues, groups = [], [], []
    before = None
    for position in positions:
        with at_weights(model, path.point(position)):
            operator = HessianOperator(model, loss_fn, data, memory_budget=memory_budget)
            eigen = converged_eigenpairs(
                operator, settings.eigenpairs, tol=settings.tolerance, seed=seed, initial=before
            )
            before = eigen.vectors
            fisher = FisherOperator(model, logits_fn, data, seed=seed, memory_budget=memory_budget)
            whole, by_group = _hutchinson(model, operator, path.tangent(position), settings.probes, seed)
            curvature.append(
                {"position": position}
                | whole
                | _fields("fisher", traces(fisher, settings.label_probes, seed).trace)
                | {
                    "lambda_max": eigen.values[0].item(),
                    "lambda_max_residual": eigen.residuals[0].item(),
                    "products": eigen.matvecs,
                }
                | _noise(model, loss_fn, data, operator, settings.noise_draws, seed)
            )
            eigenvalues += [
                {"position": position, "rank": rank + 1, "eigenvalue": value, "residual": residual}
                for rank, (value, residual) in enumerate(
                    zip(eigen.values.tolist(), eigen.residuals.tolist(), strict=True)
                )
            ]
            groups += [{"position": position, **row} for row in by_group]
            on_point(Place(position, operator, eigen))
    return {
        "curvature": pd.DataFrame(curvature),
        "eigenvalues": pd.DataFrame(eigenvalues),
        "groups": pd.DataFrame(groups),
    }


def _fields(name: str, estimate: Estimate) -> dict[str, float]:
    return {name: estimate.mean, f"{name}_se": estimate.standard_error}


def _hutchinson(
    model: nn.Module, operator: HessianOperator, tangent: Tensor, probes: int, seed: int
) -> tuple[dict[str, float], list[dict]]:
    """Tr H, ‖H‖_F² = E ‖Hv‖² and, by group, Tr H_g = E v_gᵀ(Hv)_g, all from the same products."""
    parameters, along = select_parameters(model), unflatten(tangent, select_parameters(model))
    names = parameter_groups(model)
    traces_of: dict[str, list[float]] = {group: [] for group in names}
    squares = []
    for v in random_signs(operator, probes, seed):
        image = operator.matvec(v)
        squares.append(image.double().square().sum().item())
        products = unflatten(v * image, parameters)
        for group, members in names.items():
            traces_of[group].append(sum(products[name].double().sum().item() for name in members))
    whole = {
        "train_loss": operator.loss,
        "gradient_norm": operator.gradient().norm().item(),
        **_fields("trace", Estimate.of(np.sum(list(traces_of.values()), axis=0))),
        **_fields("square", Estimate.of(squares)),
    }
    rows = []
    for group, members in names.items():
        W = flatten(parameters[name].detach() for name in members).double()
        t = flatten(along[name] for name in members).double()
        rows.append(
            {
                "group": group,
                "parameters": len(W),
                "norm": W.norm().item(),
                **_fields("trace", Estimate.of(traces_of[group])),
                "tangent": t.square().sum().item(),
                "radial": torch.dot(t, W).square().item() / W.square().sum().item(),
            }
        )
    return whole, rows


def _noise(model, loss_fn, data: Tensor, operator: HessianOperator, draws: int, seed: int):
    """Tr Σ, ‖Σ‖_F² exactly, Tr HΣ = E uᵀHu with u ~ N(0, Σ)."""
    rows = scores(model, loss_fn, data).double()
    centred = rows - rows.mean(0)
    gram = centred @ centred.T / len(rows)  # its nonzero eigenvalues are those of Σ
    z = torch.from_numpy(standard_normals(draws, len(rows), seed)).to(centred)
    U = (z @ centred).T / len(rows) ** 0.5  # (N, draws)
    images = operator.matmat(U.to(operator.dtype)).double()
    return {
        "noise": gram.trace().item(),
        "noise_square": gram.square().sum().item(),
        **_fields("shared", Estimate.of((U * images).sum(0).cpu())),
    }


def _curvature(operator: HessianOperator, probes: int, tol: float, seed: int) -> dict[str, float]:
    eigen = converged_eigenpairs(operator, 1, tol=tol, seed=seed)
    return {
        **_fields("trace", traces(operator, probes, seed).trace),
        "lambda_max": eigen.values[0].item(),
    }


def curvature_profile(
    model: nn.Module,
    loss_fn: LossFunction,
    data,
    path: Path,
    positions: list[float],
    *,
    probes: int,
    tol: float,
    seed: int,
    memory_budget: float | None = None,
) -> pd.DataFrame:
    """One row a position: trace and trace_se (Tr H), lambda_max, in nats."""
    rows = []
    for position in positions:
        with at_weights(model, path.point(position)):
            operator = HessianOperator(model, loss_fn, data, memory_budget=memory_budget)
            rows.append({"position": position, **_curvature(operator, probes, tol, seed)})
    return pd.DataFrame(rows)


def path_spectrum(
    model: nn.Module,
    loss_fn: LossFunction,
    data,
    path: Path,
    positions: list[float],
    *,
    steps: int,
    probes: int,
    points: int,
    width: float,
    seed: int,
    memory_budget: float | None = None,
) -> pd.DataFrame:
    """Spectral density of H at some positions: position, eigenvalue, density (mean over probes), density_se.

    The grid holds `points` eigenvalues from the smallest to the largest Ritz value of all positions and two
    widths beyond; the density is blurred by a Gaussian of `width` times that range.
    """
    found = []
    for position in positions:
        with at_weights(model, path.point(position)):
            operator = HessianOperator(model, loss_fn, data, memory_budget=memory_budget)
            found.append(spectrum(operator, steps, probes, seed))
    low, high = min(s.nodes.min() for s in found), max(s.nodes.max() for s in found)
    blur = width * (high - low)
    grid = np.linspace(low - 2 * blur, high + 2 * blur, points)
    tables = []
    for position, each in zip(positions, found, strict=True):
        density = each.density(grid, blur)
        error = density.std(0, ddof=1) / len(density) ** 0.5
        columns = {"eigenvalue": grid, "density": density.mean(0), "density_se": error}
        tables.append(pd.DataFrame({"position": position, **columns}))
    return pd.concat(tables, ignore_index=True)


def loss_profile(
    model: nn.Module,
    loss_fn: LossFunction,
    data,
    held_out,
    path: Path,
    positions: list[float],
) -> pd.DataFrame:
    """One row a position: train_loss and, unless `held_out` is None, held_out_loss (nats)."""
    rows = []
    for position in positions:
        with at_weights(model, path.point(position)):
            row = {"position": position, "train_loss": mean_loss(model, loss_fn, data)}
            if held_out is not None:
                row["held_out_loss"] = mean_loss(model, loss_fn, held_out)
        rows.append(row)
    return pd.DataFrame(rows)
