"""The quadratic model of a loss increment in a subspace, and the moments that Paper A's criteria are.

With δ ≈ a + cᵀz + ½ zᵀBz and z ~ N(0, σ² I_D), where

    a = δ_k(w*)      c = Uᵀ(g_{k+1} − g^(k)) / (k+1)      B = Uᵀ(H_{k+1} − H^(k))U / (k+1),

    E δ² = a² + aσ² Tr B + σ²‖c‖² + (σ⁴/4) (2 Tr B² + (Tr B)²)    (Kiselev & Grabovoy 2026)

Nothing here knows of models or Hessians; everything is float64.
"""

from dataclasses import dataclass, field
from math import sqrt

import numpy as np

from valleyscope.estimate import Estimate


def standard_normals(samples: int, dim: int, seed: int) -> np.ndarray:
    """The draws z/σ (S, D) that every Monte Carlo estimator of one seed shares."""
    return np.random.default_rng(seed).standard_normal((samples, dim))


@dataclass(frozen=True)
class IncrementModel:
    """δ ≈ value + slopeᵀz + ½ zᵀ curvature z with slope (D,) and symmetric curvature (D, D).

    Takes anything `numpy.asarray` takes; units are those of the loss (nats).
    """

    value: float
    slope: np.ndarray
    curvature: np.ndarray
    dim: int = field(init=False)

    def __post_init__(self):
        slope = np.asarray(self.slope, dtype=np.float64)
        curvature = np.asarray(self.curvature, dtype=np.float64)
        if slope.ndim != 1 or curvature.shape != (len(slope), len(slope)):
            raise ValueError(f"slope {slope.shape} and curvature {curvature.shape} do not match")
        object.__setattr__(self, "value", float(self.value))
        object.__setattr__(self, "slope", slope)
        object.__setattr__(self, "curvature", (curvature + curvature.T) / 2)
        object.__setattr__(self, "dim", len(slope))

    def leading(self, dim: int) -> "IncrementModel":
        """The model in the first `dim` directions of its basis."""
        return IncrementModel(self.value, self.slope[:dim], self.curvature[:dim, :dim])

    def terms(self, sigma: float) -> dict[str, float]:
        """The four terms of E δ²: value a², slope, curvature and the cross term a σ² Tr B."""
        trace = np.trace(self.curvature)
        square = (self.curvature**2).sum()
        return {
            "value": self.value**2,
            "slope": float(sigma**2 * self.slope @ self.slope),
            "curvature": float(sigma**4 / 4 * (2 * square + trace**2)),
            "cross": float(self.value * sigma**2 * trace),
        }

    def gaussian_moment(self, sigma: float) -> float:
        """E δ² in closed form."""
        return sum(self.terms(sigma).values())

    def mean(self, sigma: float) -> float:
        """E δ = a + (σ²/2) Tr B."""
        return float(self.value + sigma**2 / 2 * np.trace(self.curvature))

    def variance(self, sigma: float) -> float:
        """Var δ = σ²‖c‖² + (σ⁴/2) Tr B²: what the probe adds to the single point."""
        return float(sigma**2 * self.slope @ self.slope + sigma**4 / 2 * (self.curvature**2).sum())

    def at(self, z: np.ndarray) -> np.ndarray:
        """The modelled δ at displacements z (S, D) -> (S,)."""
        return self.value + z @ self.slope + 0.5 * np.einsum("sd,sd->s", z @ self.curvature, z)

    def monte_carlo(self, sigma: float, samples: int, seed: int) -> Estimate:
        """E δ² by sampling the model ("Quadratic Monte Carlo")."""
        return Estimate.of(self.at(sigma * standard_normals(samples, self.dim, seed)) ** 2)


@dataclass(frozen=True)
class FullSpaceModel:
    """The same model in all N directions, where A is known by draws alone.

    Args:
        value: a; slope_square: ‖c‖², both exact.
        traces, squares: independent draws (R,), R ≥ 2, of vᵀAv and ‖Av‖², whose means are Tr A and Tr A²
            (Hutchinson 1990: v of unit variance in each direction).
    """

    value: float
    slope_square: float
    traces: np.ndarray
    squares: np.ndarray

    def terms(self, sigma: float) -> dict[str, float]:
        """Unbiased estimates of the four terms of E δ²; (Tr A)² from products of different draws."""
        return {name: float(term) for name, term in self._terms(self.traces, self.squares, sigma).items()}

    def _terms(self, traces, squares, sigma: float) -> dict:
        trace_square = _mean_of_products(traces)
        return {
            "value": self.value**2,
            "slope": sigma**2 * self.slope_square,
            "curvature": sigma**4 / 4 * (2 * squares.mean(-1) + trace_square),
            "cross": self.value * sigma**2 * traces.mean(-1),
        }

    def gaussian_moment(self, sigma: float) -> Estimate:
        """E δ² in closed form; its standard error over the draws by the jackknife."""
        count = len(self.traces)
        traces, squares = (
            np.stack([np.delete(draws, i) for i in range(count)]) for draws in (self.traces, self.squares)
        )
        terms = self._terms(traces, squares, sigma).values()
        each = sum((np.broadcast_to(term, count) for term in terms), np.zeros(count))
        spread = sqrt((count - 1) / count * ((each - each.mean()) ** 2).sum())
        return Estimate(sum(self.terms(sigma).values()), spread, count)

    def variance(self, sigma: float) -> float:
        """Var δ = σ²‖c‖² + (σ⁴/2) Tr A²."""
        return float(sigma**2 * self.slope_square + sigma**4 / 2 * self.squares.mean())


def _mean_of_products(draws: np.ndarray) -> np.ndarray:
    """Mean of x_i x_j over i ≠ j along the last axis: (E x)² without the bias of a squared mean."""
    count = draws.shape[-1]
    return (draws.sum(-1) ** 2 - (draws**2).sum(-1)) / (count * (count - 1))


def spectral_moment(increments, sigma: float) -> float:
    """Δ₂^(D) = (σ⁴/4) [2 Σ δλ_i² + (Σ δλ_i)²]: a = 0, c = 0 and a shared eigenbasis (Corollary 4).

    `increments` (D,) are the eigenvalues of B.
    """
    increments = np.asarray(increments, dtype=np.float64)
    return float(sigma**4 / 4 * (2 * (increments**2).sum() + increments.sum() ** 2))


def quadratic_strength(curvature) -> float:
    """2 Tr B² + (Tr B)² of symmetric B (D, D): what a probe's curvature term is proportional to."""
    curvature = np.asarray(curvature, dtype=np.float64)
    return float(2 * (curvature**2).sum() + np.trace(curvature) ** 2)


@dataclass(frozen=True)
class LandscapeBounds:
    """|ℓ_i| ≤ loss, ‖g_{k+1} − g^(k)‖ ≤ gradient, ‖H_i‖ ≤ curvature: M_ℓ, M_g, M_H of Theorem 2."""

    loss: float
    gradient: float
    curvature: float

    def published(self, sigma: float, dim: int, k: int) -> float:
        """Theorem 2: (12 M_ℓ² + 3σ² M_g² + 3σ⁴(D² + 2D) M_H²) / (k+1)²."""
        return self._bound(sigma, dim, k, 12, 3, 3)

    def sharper(self, sigma: float, dim: int, k: int) -> float:
        """(8 M_ℓ² + σ² M_g² + 2σ⁴(D² + 2D) M_H²) / (k+1)²: the linear term correlates with no other."""
        return self._bound(sigma, dim, k, 8, 1, 2)

    def _bound(self, sigma: float, dim: int, k: int, value: float, slope: float, curvature: float) -> float:
        total = value * self.loss**2 + slope * sigma**2 * self.gradient**2
        total += curvature * sigma**4 * (dim**2 + 2 * dim) * self.curvature**2
        return total / (k + 1) ** 2


def valid_range(sigmas, errors, limit: float) -> tuple[float, float]:
    """Where the relative error of the quadratic model lies below `limit`: (floor, σ*).

    Args:
        sigmas: ascending; errors: error/signal at each.

    σ* is the upper end of the first stretch below the limit and floor its lower end, both interpolated in
    logarithms between grid points. floor is nan where the stretch starts with the grid, and both are where
    there is no such stretch; σ* is the last of the grid where the error never rises above the limit again.
    """
    sigmas, errors = np.asarray(sigmas, np.float64), np.asarray(errors, np.float64)
    below = errors <= limit
    if not below.any():
        return (np.nan, np.nan)
    first = int(below.argmax())
    after = np.flatnonzero(~below[first:])
    floor = np.nan if first == 0 else _crossing(sigmas, errors, first - 1, limit)
    star = sigmas[-1] if not len(after) else _crossing(sigmas, errors, first + after[0] - 1, limit)
    return (float(floor), float(star))


def _crossing(sigmas: np.ndarray, errors: np.ndarray, left: int, limit: float) -> float:
    """Where log error crosses log limit between grid points `left` and `left + 1`."""
    x, y = np.log(sigmas[left : left + 2]), np.log(np.maximum(errors[left : left + 2], 1e-300))
    return np.exp(x[0] + (np.log(limit) - y[0]) / (y[1] - y[0]) * (x[1] - x[0]))
