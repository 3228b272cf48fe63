"""Stochastic traces and spectral density of a symmetric operator, with their standard errors."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from valleyscope.eigen import EigenResult, lanczos_coefficients
from valleyscope.errors import InputError
from valleyscope.estimate import Estimate


@dataclass(frozen=True)
class Traces:
    """Tr H and Tr H², which is ‖H‖_F² for a symmetric operator."""

    trace: Estimate
    square: Estimate


def traces(operator, probes: int, seed: int, known: EigenResult | None = None) -> Traces:
    """Tr H and Tr H² from the same products, by Hutchinson's estimator (1990).

        Tr H = E vᵀHv,   Tr H² = E ‖Hv‖²,   v of random signs

    With `known` eigenpairs (U, Θ, residuals R) their share is exact and the probes see only the rest,
    v⊥ = v − UUᵀv, at no further product (the second stage of Hutch++, Meyer et al. 2021, with a basis that
    is there already). On trained transformers this lowers the error of Tr H² much and that of Tr H not
    measurably; Hutch++ and XTrace were no better at the same products (benchmarks/results/traces.csv):

        Tr H = Tr Θ + E v⊥ᵀHv⊥,   Tr H² = Tr Θ² + ‖R‖_F² + E ‖Hv⊥‖²

    Costs `probes` products, at least 2. Without `known` the variance of a probe of Tr H is
    2 (‖H‖_F² − Σ_i H_ii²).
    """
    if probes < 2:
        raise InputError(f"probes = {probes}: a standard error needs at least 2")
    trace = square = 0.0
    if known is not None:
        trace = known.values.sum().item()
        square = (known.values.square() + known.residuals.square()).sum().item()
    firsts, seconds = [], []
    for v in random_signs(operator, probes, seed):
        if known is not None:
            v = v - known.vectors @ (known.vectors.T @ v)
        image = operator.matvec(v).double()
        firsts.append(trace + torch.dot(v.double(), image).item())
        seconds.append(square + torch.dot(image, image).item())
    return Traces(Estimate.of(firsts), Estimate.of(seconds))


@dataclass(frozen=True)
class Spectrum:
    """Spectral density as weighted nodes, a row a probe: nodes (R, m), weights (R, m) summing to 1."""

    nodes: np.ndarray
    weights: np.ndarray

    def density(self, grid: np.ndarray, width: float) -> np.ndarray:
        """Density on `grid` (G,), blurred by a Gaussian of that width: (R, G), a row a probe."""
        z = (np.asarray(grid)[None, :, None] - self.nodes[:, None, :]) / width
        bumps = np.exp(-0.5 * z**2) / (width * np.sqrt(2 * np.pi))
        return (bumps * self.weights[:, None, :]).sum(-1)

    def mean(self, function) -> Estimate:
        """(1/N) Tr f(H) for a function of an array of eigenvalues."""
        return Estimate.of((self.weights * function(self.nodes)).sum(1))


def spectrum(operator, steps: int, probes: int, seed: int) -> Spectrum:
    """Spectral density (1/N) Σ_i δ(λ − λ_i) by stochastic Lanczos quadrature (Ubaru, Chen & Saad 2017).

    Each probe runs `steps` Lanczos steps with full reorthogonalisation from a vector of random signs; the
    nodes are its Ritz values, the weights the squared first components of their vectors. Exact for
    polynomials of degree 2 · steps − 1 up to the scatter over probes. Costs steps · probes products.
    """
    if probes < 2:
        raise InputError(f"probes = {probes}: a standard error needs at least 2")
    steps = min(steps, operator.size)
    nodes, weights = np.zeros((probes, steps)), np.zeros((probes, steps))
    for row, v in enumerate(random_signs(operator, probes, seed)):
        values, vectors = torch.linalg.eigh(lanczos_coefficients(operator, v, steps))
        nodes[row] = values[-1]  # of weight 0 where the space closed early
        nodes[row, : len(values)] = values
        weights[row, : len(values)] = vectors[0].square()
    return Spectrum(nodes, weights)


def random_signs(operator, count: int, seed: int) -> Iterator[Tensor]:
    """Vectors of random signs, the same for a seed on every device."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        draw = torch.randint(0, 2, (operator.size,), generator=generator)
        yield (2.0 * draw - 1.0).to(operator.device, operator.dtype)
