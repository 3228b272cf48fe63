"""Where the quadratic model holds: its error against σ in float64, float32 and bfloat16.

The model is always that of float64, so in a lower precision the error has a floor of rounding.
"""

import copy

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from valleyscope.criteria import standard_normals, valid_range
from valleyscope.eigen import EigenResult
from valleyscope.engine import batches
from valleyscope.engine.weights import LossFunction
from valleyscope.estimate import Estimate, rms
from valleyscope.hessian import HessianOperator
from valleyscope.landscape.estimators import Grid
from valleyscope.landscape.increments import (
    IncrementOperator,
    direct_increments,
    displaced_losses,
    increment_model_in,
)
from valleyscope.landscape.spaces import full_space_draws

PRECISIONS = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16}


class _AtLeastSingle(nn.Module):
    """The model with its output in float32, so that only weights and products are in bfloat16."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, batch):
        return self.model(batch).float()


def in_precision(model: nn.Module, name: str) -> nn.Module:
    """A copy of `model` whose weights and products are in that precision (a key of PRECISIONS)."""
    cast = copy.deepcopy(model).to(PRECISIONS[name])
    return _AtLeastSingle(cast) if name == "bfloat16" else cast


def _directions(eigen: EigenResult, dims: list[int], size: int, samples: int, seed: int) -> dict[int, Tensor]:
    """Displacements over σ (S, N) in float64 in the top-D eigenspaces and in full space."""
    result = {}
    for dim in dims:
        normals = torch.randn(
            samples, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
        )
        basis = eigen.vectors[:, :dim].double()
        result[dim] = normals.to(basis) @ basis.T
    result[size] = full_space_draws(size, samples, seed).to(eigen.vectors.device, torch.float64)
    return result


def _changes(losses: Tensor, k: int) -> dict[str, np.ndarray]:
    """L_k and δ_k (S,) from losses (S, k + 1) in float64."""
    losses = losses.double()
    mean = losses[:, :k].mean(1)
    return {"loss": mean.cpu().numpy(), "increment": ((losses[:, k] - mean) / (k + 1)).cpu().numpy()}


def expansion_errors(
    model: nn.Module,
    loss_fn: LossFunction,
    data,
    eigen: EigenResult,
    k: int,
    grid: Grid,
    precisions: tuple[str, ...] = tuple(PRECISIONS),
) -> pd.DataFrame:
    """RMS error of the quadratic model of L_k and of δ_k, and RMS signal, by precision, D and σ.

    Both are of the change from w, without the constant. Products along the draws are taken in float64, so the
    only error is the model's. Columns: results/README.md, expansion.csv.
    """
    double = in_precision(model, "float64")
    first = batches.rows(data, 0, k + 1)
    seen_as = {name: batches.cast(first, PRECISIONS[name]) for name in precisions}
    seen = batches.cast(first, torch.float64)
    mean = HessianOperator(double, loss_fn, batches.rows(seen, 0, k))
    sample = HessianOperator(double, loss_fn, batches.rows(seen, k, k + 1), keep_graph=True)
    rows = []
    evaluated = {name: in_precision(model, name) for name in precisions}
    still = torch.zeros(1, mean.size, dtype=torch.float64)
    at_centre = {
        name: _changes(displaced_losses(m, loss_fn, seen_as[name], still), k) for name, m in evaluated.items()
    }
    for dim, directions in _directions(eigen, grid.dims, mean.size, grid.samples, grid.seed).items():
        slopes = {"loss": directions @ mean.gradient(), "sample": directions @ sample.gradient()}
        bends = {"loss": mean.matmat(directions.T), "sample": sample.matmat(directions.T)}
        bends = {name: (directions.T * image).sum(0) for name, image in bends.items()}
        slopes["increment"] = (slopes["sample"] - slopes["loss"]) / (k + 1)
        bends["increment"] = (bends["sample"] - bends["loss"]) / (k + 1)
        for sigma in grid.sigmas:
            for name, evaluated_model in evaluated.items():
                losses = displaced_losses(evaluated_model, loss_fn, seen_as[name], sigma * directions)
                changes = _changes(losses, k)
                for quantity in ("loss", "increment"):
                    modelled = (sigma * slopes[quantity] + sigma**2 / 2 * bends[quantity]).cpu().numpy()
                    error = changes[quantity] - at_centre[name][quantity] - modelled
                    row = {"quantity": quantity, "dim": dim, "precision": name, "sigma": sigma}
                    rows.append(row | {"error": rms(error), "signal": rms(modelled)})
    return pd.DataFrame(rows)


def validity(errors: pd.DataFrame, limit: float) -> pd.DataFrame:
    """σ* and the rounding floor of each (quantity, dim, precision) of `expansion_errors`."""
    rows = []
    for keys, cell in errors.sort_values("sigma").groupby(["quantity", "dim", "precision"], sort=False):
        floor, star = valid_range(cell["sigma"], cell["error"] / cell["signal"], limit)
        row = dict(zip(["quantity", "dim", "precision"], keys, strict=True))
        rows.append(row | {"sigma_star": star, "sigma_floor": floor, "limit": limit})
    return pd.DataFrame(rows)


def moments_by_precision(
    model: nn.Module, loss_fn: LossFunction, data, eigen: EigenResult, k: int, grid: Grid
) -> pd.DataFrame:
    """Δ₂^(D) and Δ₂ by direct Monte Carlo on the same draws in each precision.

    Columns: results/README.md, precision.csv.
    """
    rows = []
    size = len(eigen.vectors)
    for name in PRECISIONS:
        evaluated = in_precision(model, name)
        seen = batches.cast(batches.rows(data, 0, k + 1), PRECISIONS[name])
        still = torch.zeros(1, size, dtype=torch.float64)
        value = _changes(displaced_losses(evaluated, loss_fn, seen, still), k)["increment"].item() ** 2
        for dim, directions in _directions(eigen, grid.dims, size, grid.samples, grid.seed).items():
            for sigma in grid.sigmas:
                losses = displaced_losses(evaluated, loss_fn, seen, sigma * directions)
                delta = _changes(losses, k)["increment"]
                estimate = Estimate.of(delta**2)
                row = {"precision": name, "dim": dim, "sigma": sigma, "value": value}
                row |= {"estimate": estimate.mean, "standard_error": estimate.standard_error}
                rows.append(row | {"variance": float(delta.var(ddof=1))})
    return pd.DataFrame(rows)


def compare_estimators(
    model: nn.Module,
    loss_fn: LossFunction,
    data,
    eigen: EigenResult,
    k: int,
    grid: Grid,
    counts: list[int],
) -> pd.DataFrame:
    """Direct and quadratic Monte Carlo on the same draws beside the closed form, for the first S draws each.

    All in float64, so that small σ are not lost in rounding. Columns: results/README.md, estimators.csv.
    """
    double = in_precision(model, "float64")
    seen = batches.cast(batches.rows(data, 0, k + 1), torch.float64)
    known, following = batches.rows(seen, 0, k), batches.rows(seen, k, k + 1)
    mean = HessianOperator(double, loss_fn, known)
    increment = IncrementOperator(mean, HessianOperator(double, loss_fn, following, keep_graph=True))
    basis = torch.linalg.qr(eigen.vectors[:, : max(grid.dims)].double())[0]
    whole = increment_model_in(increment, basis)
    rows = []
    for dim in grid.dims:
        quadratic = whole.leading(dim)
        normals = standard_normals(max(counts), dim, grid.seed)
        directions = torch.as_tensor(normals).to(basis) @ basis[:, :dim].T
        for sigma in grid.sigmas:
            true = direct_increments(double, loss_fn, known, following, sigma * directions)[:, 0]
            modelled = quadratic.at(sigma * normals)
            terms = quadratic.terms(sigma)
            summary = {
                "gaussian_moment": quadratic.gaussian_moment(sigma),
                "value": terms.pop("value"),
                "beyond": sum(terms.values()),  # not a difference of the two, which would cancel at small σ
                "variance": quadratic.variance(sigma),
            }
            for count in counts:
                row = {"dim": dim, "sigma": sigma, "samples": count, **summary}
                draws = {"direct": true**2, "quadratic": modelled**2, "difference": true**2 - modelled**2}
                for name, squares in draws.items():
                    estimate = Estimate.of(squares[:count])
                    row |= {name: estimate.mean, f"{name}_se": estimate.standard_error}
                rows.append(row)
    return pd.DataFrame(rows)
