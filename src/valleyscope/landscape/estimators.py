"""Paper A's criteria at one point: weights w and the first k samples, over a grid of D and σ.

Δ₁ = |δ_k(w)|, Δ₂ = E δ_k² with a probe in all N directions, Δ₂^(D) in the top-D eigenspace of H^(k). Each is
estimated for the single next sample, as published, and as a mean over held-out candidates for it: single
samples scatter by orders of magnitude where ℓ_{k+1} happens to be near L_k. Monte Carlo is run in full space
and at the largest D, the closed form at every D.

In full space the S draws serve three ends: direct Monte Carlo, quadratic Monte Carlo on the same draws,
and the traces of A in the closed form. In the subspace one set of draws serves every σ.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from valleyscope.criteria import FullSpaceModel, IncrementModel, LandscapeBounds, standard_normals
from valleyscope.eigen import EigenResult, converged_eigenpairs
from valleyscope.engine import batches
from valleyscope.engine.weights import LossFunction
from valleyscope.estimate import Estimate
from valleyscope.hessian import HessianOperator
from valleyscope.landscape.increments import (
    IncrementOperator,
    check_point,
    direct_increments,
    displaced_losses,
    gradient_share,
    increment_model,
    increments,
    sample_operators,
)

NORM_TOLERANCE = 0.05  # of ‖H_j‖, which enters a bound
PROBES = (
    1_000_000_007  # added to seeds: weights are drawn from the same seeds and must not point along probes
)


@dataclass(frozen=True)
class Grid:
    """D of the subspaces, σ of the probes, and S draws of each.

    `candidate_draws` of the S serve the traces of a held-out candidate, of which there are many.
    """

    dims: list[int]
    sigmas: list[float]
    samples: int
    seed: int
    candidate_draws: int = 3


@dataclass(frozen=True)
class Candidate:
    """δ_k for one candidate ℓ_{k+1}: its models in the eigenspace and in full space, and ‖H_j‖."""

    subspace: IncrementModel
    full: FullSpaceModel
    drawn: np.ndarray  # cᵀv over the full-space draws v/σ (S,)
    gradient_share: np.ndarray  # of the first d eigenvectors (D,)
    norm: float

    def full_at(self, sigma: float) -> np.ndarray:
        """The quadratic model at the full-space draws (S,): a + σ cᵀv + (σ²/2) vᵀAv."""
        return self.full.value + sigma * self.drawn + sigma**2 / 2 * self.full.traces


def full_space_draws(size: int, samples: int, seed: int) -> Tensor:
    """v/σ of every full-space estimate of one seed, (S, N) float32."""
    return torch.cat(list(draw_blocks(size, samples, seed, samples)))


def draw_blocks(size: int, samples: int, seed: int, at_once: int) -> Iterator[Tensor]:
    """The same, at most `at_once` rows at a time."""
    stream = torch.Generator().manual_seed(PROBES + seed)
    for start in range(0, samples, at_once):
        rows = range(start, min(start + at_once, samples))
        yield torch.stack([torch.randn(size, generator=stream) for _ in rows])


def trace_draws(V: Tensor, images: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """vᵀAv and ‖Av‖² for the columns of V (N, S) and their images AV."""
    return (V * images).double().sum(0).cpu().numpy(), images.double().square().sum(0).cpu().numpy()


def full_space_model(increment: IncrementOperator, draws: Tensor) -> FullSpaceModel:
    """The model of δ_k in full space from draws (S, N); S products of A."""
    V = draws.T.to(increment.device, increment.dtype)
    slope_square = increment.gradient().double().square().sum().item()
    return FullSpaceModel(increment.value(), slope_square, *trace_draws(V, increment.matmat(V)))


def candidate_models(
    model: nn.Module,
    loss_fn: LossFunction,
    operator: HessianOperator,
    eigen: EigenResult,
    candidates,
    draws: Tensor,
    few: int,
) -> list[Candidate]:
    """The models of δ_k for each sample of the batch `candidates` at the model's weights.

    Takes S products of L_k for draws (S, N), shared by all; D + S with the first candidate alone, D + `few`
    with each other one.
    """
    k = operator.samples
    V = draws.T.to(operator.device, operator.dtype)
    mean_images, mean_gradient = operator.matmat(V), operator.gradient()
    along = V.double()
    result = []
    for index, sample in enumerate(sample_operators(model, loss_fn, candidates)):
        if index == 1:
            V, along, mean_images = V[:, :few], along[:, :few], mean_images[:, :few]
        subspace = increment_model(operator, eigen, sample)
        difference = sample.gradient().double() - mean_gradient.double()
        images = (sample.matmat(V) - mean_images) / (k + 1)
        slope_square = difference.square().sum().item() / (k + 1) ** 2
        result.append(
            Candidate(
                subspace,
                FullSpaceModel(subspace.value, slope_square, *trace_draws(V, images)),
                (along.T @ difference / (k + 1)).cpu().numpy(),
                gradient_share(difference, eigen.vectors),
                converged_eigenpairs(sample, 1, which="LM", tol=NORM_TOLERANCE).values.abs().item(),
            )
        )
    return result


def landscape_bounds(losses: Tensor, candidates: list[Candidate], k: int, largest: float) -> LandscapeBounds:
    """M_ℓ, M_g, M_H over the samples' losses, the candidates, and λ_max of H^(k)."""
    slopes = [(k + 1) * np.sqrt(c.full.slope_square) for c in candidates]
    norms = [c.norm * (1 + NORM_TOLERANCE) for c in candidates]
    return LandscapeBounds(losses.abs().max().item(), float(max(slopes)), max(*norms, largest))


def estimate_criteria(
    model: nn.Module,
    loss_fn: LossFunction,
    operator: HessianOperator,
    data,
    held_out,
    eigen: EigenResult,
    grid: Grid,
) -> tuple[pd.DataFrame, pd.DataFrame, LandscapeBounds]:
    """Every criterion at one point by every estimator, what it is made of, and the constants of Theorem 2.

    Args:
        operator: of L_k, the first k of the batch `data`; the sample after them is the single next one.
        held_out: a batch of candidates for the next sample.
        eigen: eigenpairs of H^(k), at least max(dims).

    Columns of the two tables: results/README.md, criteria.csv and terms.csv.
    """
    k = operator.samples
    check_point(k, batches.size(data), max(grid.dims), operator.size)
    known, following = batches.rows(data, 0, k), batches.rows(data, k, k + 1)
    nexts = batches.joined([following, held_out])
    draws = full_space_draws(operator.size, grid.samples, grid.seed)
    models = candidate_models(model, loss_fn, operator, eigen, nexts, draws, grid.candidate_draws)
    with torch.no_grad():
        losses = torch.cat(
            [operator.losses, loss_fn(model, batches.rows(nexts, 0, len(models), operator.device))]
        )
    bounds = landscape_bounds(losses, models, k, eigen.values.max().item())
    rows = _pointwise(models)
    for dim in (*grid.dims, operator.size):
        whole = dim == operator.size
        closed = [c.full if whole else c.subspace.leading(dim) for c in models]
        for sigma in grid.sigmas:
            cell = {"criterion": "delta2" if whole else "delta2_D", "dim": dim, "sigma": sigma}
            sampled = {"single": {}, "expected": {}}
            if dim >= max(grid.dims):
                normals = draws if whole else torch.as_tensor(standard_normals(grid.samples, dim, grid.seed))
                basis = eigen.vectors[:, :dim].double()
                displacements = sigma * (normals if whole else normals.to(basis) @ basis.T)
                true = direct_increments(model, loss_fn, known, nexts, displacements)
                sampled = _sampled(models, closed, whole, sigma, normals.numpy(), true)
            for name, chosen in (("single", slice(0, 1)), ("expected", slice(1, None))):
                estimates = _closed_form(closed[chosen], sigma) | sampled[name]
                rows += [{"next": name, **cell, "estimator": e, **values} for e, values in estimates.items()]
    return pd.DataFrame(rows), _terms(models, grid, operator.size, k, bounds), bounds


def _pointwise(models: list[Candidate]) -> list[dict]:
    """Δ₁ = |a| of the next sample and its mean over the candidates."""
    values = np.abs([c.full.value for c in models])
    expected = Estimate.of(values[1:])
    cell = {"criterion": "delta1", "dim": 0, "sigma": 0.0, "estimator": "exact"}
    return [
        {"next": "single", **cell, "estimate": values[0]},
        {"next": "expected", **cell, "estimate": expected.mean, "standard_error": expected.standard_error},
    ]


def _closed_form(models: list, sigma: float) -> dict[str, dict]:
    """E δ² and Var δ in closed form, averaged over candidates that share the draws of their traces."""
    variance = float(np.mean([m.variance(sigma) for m in models]))
    if isinstance(models[0], IncrementModel):
        moment = float(np.mean([m.gaussian_moment(sigma) for m in models]))
        return {"gaussian_moment": {"estimate": moment, "variance": variance}}
    moments = [m.gaussian_moment(sigma) for m in models]
    # The draws are shared, so errors of candidates add up rather than average out.
    error = float(np.mean([m.standard_error for m in moments]))
    estimate = float(np.mean([m.mean for m in moments]))
    return {"gaussian_moment": {"estimate": estimate, "standard_error": error, "variance": variance}}


def _sampled(models: list, closed: list, whole: bool, sigma: float, normals: np.ndarray, true: np.ndarray):
    """Monte Carlo estimates of the single next sample (both estimators) and of the expected one.

    In full space only the single next sample has products along every draw, so only it has a quadratic
    Monte Carlo; the true δ (S, C) is there for all.
    """
    if not np.isfinite(true).all():
        raise FloatingPointError(f"an increment at sigma = {sigma:g} is not finite; lower sigma")
    if whole:
        single = _monte_carlo(true[:, :1], models[0].full_at(sigma)[:, None])
        return {"single": single, "expected": {"direct": _mean_square(true[:, 1:])}}
    quadratic = np.stack([c.at(sigma * normals) for c in closed], axis=1)
    return {
        "single": _monte_carlo(true[:, :1], quadratic[:, :1]),
        "expected": _monte_carlo(true[:, 1:], quadratic[:, 1:]),
    }


def _mean_square(delta: np.ndarray) -> dict[str, float]:
    """E δ² and Var δ over draws (S, C), averaged over candidates first; error over draws."""
    estimate = Estimate.of((delta**2).mean(1))
    spread = float(delta.var(0, ddof=1).mean())
    return {"estimate": estimate.mean, "standard_error": estimate.standard_error, "variance": spread}


def _monte_carlo(true: np.ndarray, quadratic: np.ndarray) -> dict[str, dict]:
    """Means of δ², q² and δ² − q² over the same draws (S, C)."""
    result = {"quadratic": _mean_square(quadratic), "direct": _mean_square(true)}
    gap = Estimate.of((true**2 - quadratic**2).mean(1))
    result["direct_minus_quadratic"] = {
        "estimate": gap.mean,
        "standard_error": gap.standard_error,
        "variance": result["direct"]["variance"] - result["quadratic"]["variance"],
    }
    return result


def _terms(models: list[Candidate], grid: Grid, size: int, k: int, bounds: LandscapeBounds) -> pd.DataFrame:
    rows = []
    for name, chosen in (("single", models[:1]), ("expected", models[1:])):
        for dim in (*grid.dims, size):
            whole = dim == size
            parts = [c.full if whole else c.subspace.leading(dim) for c in chosen]
            share = 1.0 if whole else float(np.mean([c.gradient_share[dim - 1] for c in chosen]))
            for sigma in grid.sigmas:
                terms = pd.DataFrame([p.terms(sigma) for p in parts]).mean().to_dict()
                here = np.mean([p.variance(sigma) for p in parts])
                everywhere = np.mean([c.full.variance(sigma) for c in chosen])
                row = {
                    "next": name,
                    "criterion": "delta2" if whole else "delta2_D",
                    "dim": dim,
                    "sigma": sigma,
                }
                row |= terms | {
                    "gradient_share": share,
                    "spread_ratio": here / everywhere,
                    "chance": dim / size,
                }
                if name == "single":
                    row["published_bound"] = bounds.published(sigma, dim, k)
                    row["sharper_bound"] = bounds.sharper(sigma, dim, k)
                rows.append(row)
    return pd.DataFrame(rows)


def fixed_weights_criteria(
    model: nn.Module,
    loss_fn: LossFunction,
    data,
    held_out,
    sizes: list[int],
    grid: Grid,
) -> pd.DataFrame:
    """Δ₁ and Δ₂ (direct) for every k of `sizes` at weights that are the same for all: the decay's control.

    One pass over the losses of all samples at each draw serves every k. Columns: results/README.md,
    fixed_weights.csv.
    """
    most = max(sizes)
    check_point(most, batches.size(data), 1, 1)
    samples = batches.joined([batches.rows(data, 0, most + 1), held_out])
    size = sum(p.numel() for p in model.parameters() if p.requires_grad)
    draws = full_space_draws(size, grid.samples, grid.seed)
    rows = []
    for sigma in (0.0, *grid.sigmas):
        losses = displaced_losses(model, loss_fn, samples, sigma * draws[: 1 if sigma == 0 else None])
        for k in sizes:
            for name, nexts in (("single", losses[:, k : k + 1]), ("expected", losses[:, most + 1 :])):
                delta = increments(torch.cat([losses[:, :k], nexts], dim=1), k)
                row = {"k": k, "next": name, "sigma": sigma}
                if sigma == 0:
                    rows.append({**row, "criterion": "delta1", "estimate": np.abs(delta).mean()})
                else:
                    estimate = Estimate.of((delta**2).mean(1))
                    row |= {"criterion": "delta2", "estimate": estimate.mean}
                    rows.append({**row, "standard_error": estimate.standard_error})
    return pd.DataFrame(rows)
