"""Paper A's criteria at one point: weights w and the first k samples, over a grid of D and σ.

Δ₁ = |δ_k(w)|, Δ₂ = E δ_k² with a probe in all N directions, Δ₂^(D) in the top-D eigenspace of H^(k). Each is
estimated for the single next sample, as published, and as a mean over held-out candidates for it: single
samples scatter by orders of magnitude where ℓ_{k+1} happens to be near L_k. Monte Carlo is run in full space
and at the largest D, the closed form at every D.

In full space the S draws serve three ends: direct Monte Carlo, quadratic Monte Carlo on the same draws,
and the traces of A in the closed form. In the subspace one set of draws serves every σ.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from valleyscope.criteria import LandscapeBounds
from valleyscope.eigen import EigenResult, converged_eigenpairs
from valleyscope.engine import batches
from valleyscope.engine.weights import LossFunction
from valleyscope.estimate import Estimate
from valleyscope.hessian import HessianOperator
from valleyscope.landscape.increments import (
    check_point,
    direct_increments,
    displaced_losses,
    gradient_share,
    increment_model,
    increments,
    require_finite_increments,
    sample_operators,
)
from valleyscope.landscape.spaces import (
    Candidate,
    DrawnModel,
    FullSpace,
    Space,
    Subspace,
    full_space_draws,
    make_up,
    trace_draws,
)

NORM_TOLERANCE = 0.05  # of ‖H_j‖, which enters a bound
NEXT = {"single": slice(0, 1), "expected": slice(1, None)}  # candidates: the next sample, and held-out ones


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
    count = operator.samples + 1
    V = draws.T.to(operator.device, operator.dtype)
    mean_images, mean_gradient = operator.matmat(V), operator.gradient()
    along = V.double()
    result = []
    for index, sample in enumerate(sample_operators(model, loss_fn, candidates)):
        if index == 1:
            V, along, mean_images = V[:, :few], along[:, :few], mean_images[:, :few]
        subspace = increment_model(operator, eigen, sample)
        difference = sample.gradient().double() - mean_gradient.double()
        images = (sample.matmat(V) - mean_images) / count
        slope_square = difference.square().sum().item() / count**2
        slopes = (along.T @ difference / count).cpu().numpy()
        result.append(
            Candidate(
                subspace,
                DrawnModel(subspace.value, slope_square, *trace_draws(V, images), slopes),
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
    k, widest = operator.samples, max(grid.dims)
    check_point(k, batches.size(data), widest, operator.size)
    known, following = batches.rows(data, 0, k), batches.rows(data, k, k + 1)
    nexts = batches.joined([following, held_out])
    draws = full_space_draws(operator.size, grid.samples, grid.seed)
    candidates = candidate_models(model, loss_fn, operator, eigen, nexts, draws, grid.candidate_draws)
    with torch.no_grad():
        next_losses = loss_fn(model, batches.rows(nexts, 0, len(candidates), operator.device))
    losses = torch.cat([operator.losses, next_losses])
    bounds = landscape_bounds(losses, candidates, k, eigen.values.max().item())
    spaces: list[Space] = [Subspace(eigen.vectors[:, :dim], grid.samples, grid.seed) for dim in grid.dims]
    spaces.append(FullSpace(operator.size, draws.split))
    rows = _pointwise(candidates)
    for space in spaces:
        for sigma in grid.sigmas:
            true = None
            if space.dim >= widest:
                (displacements,) = space.displacements(sigma, grid.samples)
                true = direct_increments(model, loss_fn, known, nexts, displacements)
                require_finite_increments(true, sigma)
            rows += _estimates(space, candidates, sigma, true)
    return pd.DataFrame(rows), _terms(candidates, spaces, grid.sigmas, k, bounds), bounds


def _pointwise(candidates: list[Candidate]) -> list[dict]:
    """Δ₁ = |a| of the next sample and its mean over the candidates."""
    values = np.abs([c.full.value for c in candidates])
    expected = Estimate.of(values[1:])
    cell = {"criterion": "delta1", "dim": 0, "sigma": 0.0, "estimator": "exact"}
    return [
        {"next": "single", **cell, "estimate": values[0]},
        {"next": "expected", **cell, "estimate": expected.mean, "standard_error": expected.standard_error},
    ]


def _estimates(
    space: Space, candidates: list[Candidate], sigma: float, true: np.ndarray | None
) -> list[dict]:
    """Rows of the closed form and, where the true δ (S, C) are given, of Monte Carlo on the same draws."""
    quadratic = None if true is None else space.modelled(candidates, sigma)
    rows = []
    for name, each in NEXT.items():
        variance = float(np.mean([space.model(c).variance(sigma) for c in candidates[each]]))
        estimates = {"gaussian_moment": space.moment(candidates[each], sigma) | {"variance": variance}}
        if true is not None:
            estimates |= _monte_carlo(true[:, each], quadratic[:, each])
        cell = {"next": name, "criterion": space.criterion, "dim": space.dim, "sigma": sigma}
        rows += [{**cell, "estimator": estimator, **values} for estimator, values in estimates.items()]
    return rows


def _mean_square(delta: np.ndarray) -> dict[str, float]:
    """E δ² and Var δ over draws (S, C), averaged over candidates first; error over draws."""
    estimate = Estimate.of((delta**2).mean(1))
    spread = float(delta.var(0, ddof=1).mean())
    return {"estimate": estimate.mean, "standard_error": estimate.standard_error, "variance": spread}


def _monte_carlo(true: np.ndarray, quadratic: np.ndarray) -> dict[str, dict]:
    """Means of q², δ² and δ² − q² over the same draws (S, C), of δ² alone where no q is given, (S, 0)."""
    direct = _mean_square(true)
    if not quadratic.shape[1]:
        return {"direct": direct}
    modelled, gap = _mean_square(quadratic), Estimate.of((true**2 - quadratic**2).mean(1))
    difference = {
        "estimate": gap.mean,
        "standard_error": gap.standard_error,
        "variance": direct["variance"] - modelled["variance"],
    }
    return {"quadratic": modelled, "direct": direct, "direct_minus_quadratic": difference}


def _terms(
    candidates: list[Candidate], spaces: list[Space], sigmas: list[float], k: int, bounds: LandscapeBounds
) -> pd.DataFrame:
    """What the criteria are made of; beside the single next sample also the bounds of Theorem 2."""
    rows = []
    for name, each in NEXT.items():
        for space in spaces:
            for sigma in sigmas:
                row = {"next": name, "criterion": space.criterion, "dim": space.dim, "sigma": sigma}
                row |= make_up(space, candidates[each], sigma)
                if name == "single":
                    row["published_bound"] = bounds.published(sigma, space.dim, k)
                    row["sharper_bound"] = bounds.sharper(sigma, space.dim, k)
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
