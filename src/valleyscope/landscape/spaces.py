"""Where probes of a loss increment lie, in a subspace or in all N directions, and its models there."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from valleyscope.criteria import FullSpaceModel, IncrementModel, standard_normals
from valleyscope.landscape.increments import IncrementOperator

PROBES = 1_000_000_007  # added to seeds: weights come from the same seeds, probes must not point along them


@dataclass(frozen=True)
class DrawnModel(FullSpaceModel):
    """The model of δ_k in full space with the slopes cᵀv (S,) along its draws v."""

    slopes: np.ndarray

    def at(self, sigma: float) -> np.ndarray:
        """δ at σv (S,): a + σ cᵀv + (σ²/2) vᵀAv."""
        return self.value + sigma * self.slopes + sigma**2 / 2 * self.traces


@dataclass(frozen=True)
class Candidate:
    """δ_k for one candidate ℓ_{k+1}: its models in the eigenspace and in full space."""

    subspace: IncrementModel
    full: DrawnModel
    gradient_share: np.ndarray  # of the first d eigenvectors (D,)
    norm: float = np.nan  # ‖H_j‖, where a bound is wanted


@dataclass(frozen=True)
class Subspace:
    """Probes Uz in the first D eigenvectors U (N, D) of H^(k), by the S draws z/σ of a seed: Δ₂^(D)."""

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
        """The part of ‖Δg‖² that a random subspace holds."""
        return self.dim / len(self.vectors)

    @property
    def normals(self) -> np.ndarray:
        """z/σ (S, D)."""
        return standard_normals(self.samples, self.dim, self.seed)

    def displacements(self, sigma: float, at_once: int) -> Iterator[Tensor]:
        """The probes (S, N), at most `at_once` at a time."""
        basis = self.vectors.double()
        for block in torch.as_tensor(self.normals).to(basis).split(at_once):
            yield sigma * (block @ basis.T)

    def model(self, candidate: Candidate) -> IncrementModel:
        """The quadratic model that these probes see."""
        return candidate.subspace.leading(self.dim)

    def gradient_share(self, candidate: Candidate) -> float:
        """The part of ‖Δg‖² that lies in the subspace."""
        return float(candidate.gradient_share[self.dim - 1])

    def moment(self, candidates: list[Candidate], sigma: float) -> dict[str, float]:
        """E δ² in closed form, mean over candidates: exact."""
        return {"estimate": float(np.mean([self.model(c).gaussian_moment(sigma) for c in candidates]))}

    def modelled(self, candidates: list[Candidate], sigma: float) -> np.ndarray:
        """The quadratic models at the draws (S, C)."""
        z = sigma * self.normals
        return np.stack([self.model(c).at(z) for c in candidates], axis=1)


@dataclass(frozen=True)
class FullSpace:
    """Probes σv in all N directions: Δ₂. `draws` gives v (S, N) in blocks of at most so many rows."""

    dim: int  # N
    draws: Callable[[int], Iterable[Tensor]]
    criterion: ClassVar[str] = "delta2"
    chance: ClassVar[float] = 1.0

    def displacements(self, sigma: float, at_once: int) -> Iterator[Tensor]:
        """The probes (S, N), at most `at_once` at a time."""
        for block in self.draws(at_once):
            yield sigma * block

    def model(self, candidate: Candidate) -> FullSpaceModel:
        """The quadratic model that these probes see."""
        return candidate.full

    def gradient_share(self, candidate: Candidate) -> float:
        """All of ‖Δg‖²."""
        return 1.0

    def moment(self, candidates: list[Candidate], sigma: float) -> dict[str, float]:
        """E δ² in closed form, mean over candidates, and its standard error over the draws."""
        moments = [c.full.gaussian_moment(sigma) for c in candidates]
        # The draws are shared, so errors of candidates add up rather than average out.
        error = float(np.mean([m.standard_error for m in moments]))
        return {"estimate": float(np.mean([m.mean for m in moments])), "standard_error": error}

    def modelled(self, candidates: list[Candidate], sigma: float) -> np.ndarray:
        """The quadratic model of the first candidate at the draws (S, 1): others have fewer products."""
        return candidates[0].full.at(sigma)[:, None]


Space = Subspace | FullSpace


def make_up(space: Space, candidates: list[Candidate], sigma: float) -> dict[str, float]:
    """Terms of E δ², means over candidates, and what the space holds of slope and spread."""
    models = [space.model(c) for c in candidates]
    here = np.mean([model.variance(sigma) for model in models])
    everywhere = np.mean([c.full.variance(sigma) for c in candidates])
    return pd.DataFrame([model.terms(sigma) for model in models]).mean().to_dict() | {
        "gradient_share": float(np.mean([space.gradient_share(c) for c in candidates])),
        "spread_ratio": here / everywhere,
        "chance": space.chance,
    }


def full_space_draws(size: int, samples: int, seed: int) -> Tensor:
    """v of every full-space estimate of one seed, (S, N) float32."""
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


def full_space_model(increment: IncrementOperator, blocks: Iterable[Tensor]) -> DrawnModel:
    """The model of δ_k in full space from blocks of draws, (S, N) in all; S products of A."""
    slope = increment.gradient().double()
    found = []
    for block in blocks:
        V = block.T.to(increment.device, increment.dtype)
        slopes = (V.double().T @ slope).cpu().numpy()
        found.append((*trace_draws(V, increment.matmat(V)), slopes))
    traces, squares, slopes = map(np.concatenate, zip(*found, strict=True))
    return DrawnModel(increment.value(), slope.square().sum().item(), traces, squares, slopes)
