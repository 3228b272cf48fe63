"""Extreme eigenpairs of a symmetric operator by thick-restart Lanczos.

Wu & Simon (2000), in the Krylov-Schur form of Stewart (2001): the projected matrix is kept dense and
symmetric, the basis is reorthogonalised twice at each step ("twice is enough", Giraud et al. 2005),
and a restart keeps the best Ritz vectors.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from valleyscope.errors import InputError
from valleyscope.weights import require_finite

RESTARTS = 20  # limit on restarts before the result is returned as not converged


@dataclass(frozen=True)
class EigenResult:
    """Eigenpairs by rank in `which`: values (D,) float64, orthonormal vectors (N, D).

    `residuals` (D,) are ‖H u − λ u‖, measured; `matvecs` counts the products spent; `converged` says whether
    every residual is at most tol · max|λ|.
    """

    values: Tensor
    vectors: Tensor
    residuals: Tensor
    matvecs: int
    converged: bool


_ORDERS = {
    "LA": lambda values: values.argsort(descending=True),
    "SA": lambda values: values.argsort(),
    "LM": lambda values: values.abs().argsort(descending=True),
}


def top_eigenpairs(
    operator, count: int, *, which: str = "LA", tol: float = 1e-3, seed: int = 0
) -> EigenResult:
    """The first `count` eigenpairs of a symmetric operator with `size, dtype, device, matvec`.

    Args:
        which: "LA" largest algebraic (descending), "SA" smallest algebraic (ascending), "LM" largest
            magnitude (descending).
        tol: bound on each residual, relative to the largest |λ| found.
        seed: of the random start vector.

    A result that did not converge says so; check `converged`.
    """
    if which not in _ORDERS:
        raise InputError(f"which = {which!r} is not one of {sorted(_ORDERS)}")
    if not 1 <= count <= operator.size:
        raise InputError(f"{count} eigenpairs are wanted of an operator of size {operator.size}")
    largest_basis = min(operator.size, max(4 * count, count + 40))
    kept_at_restart = min(count + largest_basis // 4, largest_basis - 1)
    generator = torch.Generator().manual_seed(seed)
    like = {"dtype": operator.dtype, "device": operator.device}
    basis = torch.zeros(operator.size, largest_basis + 1, **like)
    projected = torch.zeros(largest_basis, largest_basis, dtype=torch.float64)
    basis[:, 0] = _fresh_direction(basis[:, :0], generator)
    size = matvecs = restarts = 0
    invariant_values = None  # leading values when the last invariant subspace was closed
    while True:
        image = operator.matvec(basis[:, size])
        matvecs += 1
        size += 1
        require_finite(image, f"Hessian-vector product {matvecs}")
        image, coefficients = _orthogonalise(image, basis[:, :size])
        projected[:size, size - 1] = projected[size - 1, :size] = coefficients
        remainder = image.norm().item()
        rounding = 100 * torch.finfo(operator.dtype).eps * projected.abs().max().item()
        invariant = remainder <= rounding
        full = size == largest_basis
        if size >= count and (full or invariant or size % 4 == 0):
            values, rotation = torch.linalg.eigh(projected[:size, :size])
            order = _ORDERS[which](values)
            values, rotation = values[order], rotation[:, order]
            bound = tol * values.abs().max()
            converged = bool((remainder * rotation[-1, :count].abs() <= bound).all())
            # A Krylov space that closes holds each eigenvalue once: look for copies in fresh
            # directions until they bring nothing new.
            unchanged = invariant_values is not None and torch.allclose(
                invariant_values, values[:count], rtol=0, atol=bound.item()
            )
            done = converged and (not invariant or unchanged)
            if done or size == operator.size or restarts == RESTARTS:
                vectors = basis[:, :size] @ rotation[:, :count].to(basis)
                return _checked(operator, values[:count], vectors, matvecs, float(bound))
            if invariant:
                invariant_values = values[:count]
            if full:
                restarts += 1
                basis[:, :kept_at_restart] = basis[:, :size] @ rotation[:, :kept_at_restart].to(basis)
                projected.zero_()
                projected.diagonal()[:kept_at_restart] = values[:kept_at_restart]
                size = kept_at_restart
        basis[:, size] = _fresh_direction(basis[:, :size], generator) if invariant else image / remainder


def _checked(operator, values: Tensor, vectors: Tensor, matvecs: int, bound: float) -> EigenResult:
    """The result with residuals measured by one product a pair: Lanczos' own estimate of them keeps
    falling below the rounding error of the products."""
    residuals = torch.stack(
        [
            (operator.matvec(u).double() - value * u.double()).norm()
            for value, u in zip(values.to(vectors.device), vectors.T, strict=True)
        ]
    ).cpu()
    converged = bool((residuals <= bound).all())
    return EigenResult(values, vectors, residuals, matvecs + len(values), converged)


def _fresh_direction(basis: Tensor, generator: torch.Generator) -> Tensor:
    """A random unit vector orthogonal to `basis` (N, m)."""
    vector = torch.randn(len(basis), generator=generator, dtype=torch.float64).to(basis)
    vector, _ = _orthogonalise(vector / vector.norm(), basis)
    return vector / vector.norm()


def _orthogonalise(vector: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
    """Subtract the components along `basis` (N, m) twice; also return them, (m,) float64."""
    total = torch.zeros(basis.shape[1], dtype=torch.float64)
    for _ in range(2):
        components = basis.T @ vector
        vector = vector - basis @ components
        total += components.double().cpu()
    return vector, total
