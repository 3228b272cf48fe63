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
from typing import ClassVar

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
    require_finite_increments,
    sample_operators,
)

NORM_TOLERANCE = 0.05  # of ‖H_j‖, which enters a bound
PROBES = (
    1_000_000_007  # added to seeds: weights are drawn from the same seeds and must not point along probes
)
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
        result.append(
            Candidate(
                subspace,
                FullSpaceModel(subspace.value, slope_square, *trace_draws(V, images)),
                (along.T @ difference / count).cpu().numpy(),
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


@dataclass(frozen=True)
class Subspace:
    """Probes u = Uz in the first D eigenvectors U (N, D) of H^(k), with the draws z/σ of a seed: Δ₂^(D)."""

    vectors: Tensor
    samples: int
    seed: int
    criterion: ClassVar[str] = "delta2_D"

    @property
    def dim(self) -> int:
        """D."""
        return self.vectors.shape[1]

    @property
    def chance(self) -> float:
        """What a random subspace would see of a slope."""
        return self.dim / len(self.vectors)

    @property
    def normals(self) -> np.ndarray:
        """z/σ (S, D)."""
        return standard_normals(self.samples, self.dim, self.seed)

    def displacements(self, sigma: float) -> Tensor:
        """u (S, N)."""
        basis = self.vectors.double()
        return sigma * (torch.as_tensor(self.normals).to(basis) @ basis.T)

    def model(self, candidate: Candidate) -> IncrementModel:
        """The quadratic model that this probe sees."""
        return candidate.subspace.leading(self.dim)

    def gradient_share(self, candidate: Candidate) -> float:
        """The part of ‖Δg‖² in the subspace."""
        return candidate.gradient_share[self.dim - 1]

    def closed_form(self, candidates: list[Candidate], sigma: float) -> dict[str, float]:
        """E δ², averaged over candidates: exact."""
        return {"estimate": float(np.mean([self.model(c).gaussian_moment(sigma) for c in candidates]))}

    def sampled(self, candidates: list[Candidate], sigma: float, true: np.ndarray) -> dict[str, dict]:
        """Monte Carlo estimates of the single next sample and of the expected one from the true δ (S, C)."""
        z = sigma * self.normals
        quadratic = np.stack([self.model(c).at(z) for c in candidates], axis=1)
        return {name: _monte_carlo(true[:, each], quadratic[:, each]) for name, each in NEXT.items()}


@dataclass(frozen=True)
class FullSpace:
    """Probes in all N directions along draws v/σ (S, N): Δ₂."""

    draws: Tensor
    criterion: ClassVar[str] = "delta2"

    @property
    def dim(self) -> int:
        """N."""
        return self.draws.shape[1]

    @property
    def chance(self) -> float:
        """All of a slope."""
        return 1.0

    def displacements(self, sigma: float) -> Tensor:
        """u (S, N)."""
        return sigma * self.draws

    def model(self, candidate: Candidate) -> FullSpaceModel:
        """The quadratic model that this probe sees."""
        return candidate.full

    def gradient_share(self, candidate: Candidate) -> float:
        """All of ‖Δg‖²."""
        return 1.0

    def closed_form(self, candidates: list[Candidate], sigma: float) -> dict[str, float]:
        """E δ², averaged over candidates, and its standard error over the draws of their traces."""
        moments = [c.full.gaussian_moment(sigma) for c in candidates]
        # The draws are shared, so errors of candidates add up rather than average out.
        error = float(np.mean([m.standard_error for m in moments]))
        return {"estimate": float(np.mean([m.mean for m in moments])), "standard_error": error}

    def sampled(self, candidates: list[Candidate], sigma: float, true: np.ndarray) -> dict[str, dict]:
        """Monte Carlo estimates of the single next sample and of the expected one from the true δ (S, C).

        Only the single next sample has products along every draw, so only it has a quadratic Monte Carlo.
        """
        single, expected = NEXT.values()
        return {
            "single": _monte_carlo(true[:, single], candidates[0].full_at(sigma)[:, None]),
            "expected": {"direct": _mean_square(true[:, expected])},
        }


Space = Subspace | FullSpace


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
    spaces = [Subspace(eigen.vectors[:, :dim], grid.samples, grid.seed) for dim in grid.dims]
    spaces.append(FullSpace(draws))
    rows = _pointwise(candidates)
    for space in spaces:
        for sigma in grid.sigmas:
            sampled = {}
            if space.dim >= widest:
                true = direct_increments(model, loss_fn, known, nexts, space.displacements(sigma))
                require_finite_increments(true, sigma)
                sampled = space.sampled(candidates, sigma, true)
            rows += _estimates(space, candidates, sigma, sampled)
    with torch.no_grad():
        losses = loss_fn(model, batches.rows(nexts, 0, len(candidates), operator.device))
    losses = torch.cat([operator.losses, losses])
    bounds = landscape_bounds(losses, candidates, k, eigen.values.max().item())
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


def _estimates(space: Space, candidates: list[Candidate], sigma: float, sampled: dict) -> list[dict]:
    """Rows of the closed form and of what was sampled, of the single next sample and of the expected one."""
    rows = []
    for name, each in NEXT.items():
        chosen = candidates[each]
        variance = float(np.mean([space.model(c).variance(sigma) for c in chosen]))
        estimates = {"gaussian_moment": space.closed_form(chosen, sigma) | {"variance": variance}}
        estimates |= sampled.get(name, {})
        cell = {"next": name, "criterion": space.criterion, "dim": space.dim, "sigma": sigma}
        rows += [{**cell, "estimator": estimator, **values} for estimator, values in estimates.items()]
    return rows


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


def _terms(
    candidates: list[Candidate], spaces: list[Space], sigmas: list[float], k: int, bounds: LandscapeBounds
) -> pd.DataFrame:
    """What the criteria are made of; beside the single next sample also the bounds of Theorem 2."""
    rows = []
    for name, each in NEXT.items():
        for space in spaces:
            for sigma in sigmas:
                cell = {"next": name, "criterion": space.criterion, "dim": space.dim, "sigma": sigma}
                rows.append(cell | _parts(space, candidates[each], sigma))
                if name == "single":
                    rows[-1]["published_bound"] = bounds.published(sigma, space.dim, k)
                    rows[-1]["sharper_bound"] = bounds.sharper(sigma, space.dim, k)
    return pd.DataFrame(rows)


def _parts(space: Space, candidates: list[Candidate], sigma: float) -> dict[str, float]:
    """Terms of E δ², means over candidates, and what the space captures of slope and spread."""
    models = [space.model(c) for c in candidates]
    here = np.mean([model.variance(sigma) for model in models])
    everywhere = np.mean([c.full.variance(sigma) for c in candidates])
    return pd.DataFrame([model.terms(sigma) for model in models]).mean().to_dict() | {
        "gradient_share": float(np.mean([space.gradient_share(c) for c in candidates])),
        "spread_ratio": here / everywhere,
        "chance": space.chance,
    }


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
