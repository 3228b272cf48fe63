"""The quadratic model of a loss increment in a subspace, and the moments that Paper A's criteria are.

With δ ≈ a + cᵀz + ½ zᵀBz and z ~ N(0, σ² I_D), where

    a = δ_k(w*)      c = Uᵀ(g_{k+1} − g^(k)) / (k+1)      B = Uᵀ(H_{k+1} − H^(k))U / (k+1),

    E δ² = a² + aσ² Tr B + σ²‖c‖² + (σ⁴/4) (2 Tr B² + (Tr B)²)    (Kiselev & Grabovoy 2026)

Nothing here knows of models or Hessians; everything is float64.
"""

from dataclasses import dataclass, field

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

    def variance(self, sigma: float) -> float:
        """Var δ = σ²‖c‖² + (σ⁴/2) Tr B²: what the probe adds to the single point."""
        return float(sigma**2 * self.slope @ self.slope + sigma**4 / 2 * (self.curvature**2).sum())

    def at(self, z: np.ndarray) -> np.ndarray:
        """The modelled δ at displacements z (S, D) -> (S,)."""
        return self.value + z @ self.slope + 0.5 * np.einsum("sd,sd->s", z @ self.curvature, z)

    def monte_carlo(self, sigma: float, samples: int, seed: int) -> Estimate:
        """E δ² by sampling the model ("Quadratic Monte Carlo")."""
        return Estimate.of(self.at(sigma * standard_normals(samples, self.dim, seed)) ** 2)
