"""Extreme eigenpairs of a symmetric operator.

Thick-restart Lanczos (Wu & Simon 2000), in the Krylov-Schur form of Stewart (2001): the projected matrix
is kept dense and symmetric, the basis is reorthogonalised twice at each step ("twice is enough", Giraud
et al. 2005), and a restart keeps the best Ritz vectors. The images H V of the basis are kept beside it, so
that every residual is measured without a product. Everything stays in torch on the operator's device:
SciPy's threads and torch's would fight for the same cores.
"""

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from valleyscope.engine.memory import free_memory
from valleyscope.engine.weights import require_finite
from valleyscope.errors import InputError

RESTARTS = 20  # before the result is returned as not converged
POWER_STEPS = 100  # for one pair, before the next is tried
CHECK_EVERY = 2  # products between two looks at the Ritz pairs
WARM_NOISE = 1.0  # norm of a warm start's random part, over that of the known one


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
    operator,
    count: int,
    *,
    which: str = "LA",
    method: str = "lanczos",
    tol: float = 1e-3,
    seed: int = 0,
    initial: Tensor | None = None,
) -> EigenResult:
    """The first `count` eigenpairs of a symmetric operator with `size, dtype, device, matvec`.

    Args:
        which: "LA" largest algebraic (descending), "SA" smallest algebraic (ascending), "LM" largest
            magnitude (descending).
        method: "lanczos", or "power": deflated power iteration, the baseline of Paper A with Rayleigh
            quotients as eigenvalues, so that negative ones keep their sign.
        tol: bound on each residual, relative to the largest |λ| found.
        seed: of the random start vector.
        initial: (N, r) warm start for "lanczos", such as the eigenvectors at neighbouring weights: the sum
            of the columns starts the Krylov space. A block of them took about as many products, except
            where the operator had hardly changed (benchmarks/results/warm_starts.csv).

    From one start vector a Krylov space holds one copy of a repeated eigenvalue; further copies are found
    where the space closes, or through rounding, as in every Lanczos method. Likewise a warm start can end
    before a pair that is new and unconnected with all of `initial` has shown; a cold start has no such bias.

    A result that did not converge says so by `converged` and a RuntimeWarning with the largest residual.
    """
    result = _search(operator, count, which, method, tol, seed, initial)
    if not result.converged:
        warnings.warn(_shortfall(result, tol), RuntimeWarning, stacklevel=2)
    return result


def converged_eigenpairs(
    operator,
    count: int,
    *,
    which: str = "LA",
    tol: float = 1e-3,
    seed: int = 0,
    initial: Tensor | None = None,
) -> EigenResult:
    """`top_eigenpairs` by Lanczos, refused with an InputError where it did not converge."""
    result = _search(operator, count, which, "lanczos", tol, seed, initial)
    if not result.converged:
        raise InputError(f"{_shortfall(result, tol)}; raise the tolerance")
    return result


def _search(operator, count, which, method, tol, seed, initial) -> EigenResult:
    if which not in _ORDERS:
        raise InputError(f"which = {which!r} is not one of {sorted(_ORDERS)}")
    if method not in ("lanczos", "power"):
        raise InputError(f"method = {method!r} is not one of ['lanczos', 'power']")
    if not 1 <= count <= operator.size:
        raise InputError(f"{count} eigenpairs are wanted of an operator of size {operator.size}")
    if initial is not None and (initial.ndim != 2 or len(initial) != operator.size):
        raise InputError(f"initial has shape {tuple(initial.shape)}; ({operator.size}, r) is needed")
    generator = torch.Generator().manual_seed(seed)
    if method == "power":
        if initial is not None:
            raise InputError("method = 'power' takes no initial vectors")
        result = _power_iteration(operator, count, which, tol, generator)
    else:
        space = _Subspace(operator, _capacity(operator, count), generator)
        result = _lanczos(space, count, _ORDERS[which], tol, initial)
    return result


def _shortfall(result: EigenResult, tol: float) -> str:
    largest = (result.residuals.max() / result.values.abs().max()).item()
    return (
        f"{len(result.values)} eigenpairs did not converge in {result.matvecs} products: the largest "
        f"residual is {largest:.2g} of the largest eigenvalue, tol is {tol:g}"
    )


class _Subspace:
    """Orthonormal basis V, its images W = H V, both as rows, and the projected T = VᵀHV in float64."""

    def __init__(self, operator, capacity: int, generator: torch.Generator, keep_images: bool = True):
        self.operator, self.capacity, self.generator = operator, capacity, generator
        self.size = self.matvecs = self.restarts = 0
        like = {"dtype": operator.dtype, "device": operator.device}
        self.V = torch.zeros(capacity, operator.size, **like)
        self.W = torch.zeros(capacity if keep_images else 0, operator.size, **like)
        self.T = torch.zeros(capacity, capacity, dtype=torch.float64)

    def extend(self, direction: Tensor) -> tuple[Tensor, float]:
        """Append a unit vector orthogonal to V; what its image has outside the new V, and its norm."""
        self.V[self.size] = direction
        image = self.operator.matvec(direction)
        self.matvecs += 1
        require_finite(image, f"Hessian-vector product {self.matvecs}")
        if len(self.W):
            self.W[self.size] = image
        self.size += 1
        remainder, coefficients = self.orthogonalise(image)
        self.T[: self.size, self.size - 1] = self.T[self.size - 1, : self.size] = coefficients
        return remainder, remainder.norm().item()

    def orthogonalise(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        """Subtract the components along V twice; also return them, (size,) float64."""
        V = self.V[: self.size]
        total = torch.zeros(self.size, dtype=torch.float64)
        for _ in range(2):
            components = V @ vector
            vector = vector - components @ V
            total += components.double().cpu()
        return vector, total

    def closed(self, norm: float, tol: float = 0.0) -> bool:
        """Whether a remainder of this norm is rounding, or negligible: the space is invariant."""
        negligible = max(100 * torch.finfo(self.V.dtype).eps, tol / 100)
        return norm <= negligible * self.T.abs().max().item()

    def fresh_direction(self) -> Tensor:
        """A random unit vector orthogonal to V."""
        vector = torch.randn(self.operator.size, generator=self.generator, dtype=torch.float64).to(self.V)
        vector, _ = self.orthogonalise(vector / vector.norm())
        return vector / vector.norm()

    def ritz(self, order) -> tuple[Tensor, Tensor]:
        """All Ritz values, and coordinates of their vectors in V as columns, in `order`."""
        values, rotation = torch.linalg.eigh(self.T[: self.size, : self.size])
        ranks = order(values)
        return values[ranks], rotation[:, ranks]

    def residuals(self, values: Tensor, rotation: Tensor) -> Tensor:
        """H u − λ u of Ritz pairs, as rows."""
        y = rotation.T.to(self.V)
        return y @ self.W[: self.size] - values.to(self.V)[:, None] * (y @ self.V[: self.size])

    def restart(self, values: Tensor, rotation: Tensor) -> None:
        """Shrink to the Ritz vectors given."""
        kept = len(values)
        for rows in (self.V, self.W):
            rows[:kept] = rotation.T.to(rows) @ rows[: self.size]
        self.T.zero_()
        self.T.diagonal()[:kept] = values
        self.size = kept
        self.restarts += 1

    def result(self, values: Tensor, rotation: Tensor, bound: float) -> EigenResult:
        residuals = self.residuals(values, rotation).double().norm(dim=1).cpu()
        vectors = (rotation.T.to(self.V) @ self.V[: self.size]).T
        return EigenResult(values, vectors, residuals, self.matvecs, bool((residuals <= bound).all()))


def _capacity(operator, count: int) -> int:
    """Basis vectors to keep: enough that restarts are rare, fewer where memory is short."""
    wanted = min(operator.size, max(4 * count, count + 40))
    each = 2 * operator.size * operator.dtype.itemsize  # a vector and its image
    fitting = int(free_memory(operator.device) / 2 / each)
    if fitting < min(count + 8, operator.size):
        raise InputError(
            f"{count} eigenpairs of size {operator.size} need a basis of {(count + 8) * each:.3g} bytes, "
            "more than half of what is free; ask for fewer or restrict the operator by `params`"
        )
    return min(wanted, fitting)


def _lanczos(space: _Subspace, count: int, order, tol: float, initial: Tensor | None) -> EigenResult:
    kept_at_restart = min(count + space.capacity // 4, (count + space.capacity) // 2)
    direction = space.fresh_direction()
    if initial is not None:
        known = initial.to(space.V).sum(1)
        direction = known + WARM_NOISE * known.norm() * direction
        direction = direction / direction.norm()
        require_finite(direction, "the warm start's sum of columns, scaled to norm 1,")
    closed_values = None  # leading values when the last invariant subspace was closed
    while True:
        remainder, norm = space.extend(direction)
        invariant = space.closed(norm, tol)
        full = space.size == space.capacity
        if space.size >= count and (full or invariant or space.size % CHECK_EVERY == 0):
            values, rotation = space.ritz(order)
            bound = tol * values.abs().max().item()
            # Only the newest vector's image leaves the space, so that is all of every residual.
            estimates = norm * rotation[-1, :count].abs()
            converged = bool((estimates <= bound).all())
            # A Krylov space that closes holds each eigenvalue once: look for copies in fresh
            # directions until they bring nothing new.
            unchanged = closed_values is not None and torch.allclose(
                closed_values, values[:count], rtol=0, atol=bound
            )
            done = converged and (unchanged if invariant else closed_values is None)
            exhausted = space.size == space.operator.size or space.restarts == RESTARTS
            if done or exhausted:
                result = space.result(values[:count], rotation[:, :count], bound)
                # Rounding may hold a residual above its estimate; far below the bound, it always will.
                if result.converged or exhausted or (estimates <= bound / 10).all():
                    return result
            if invariant:
                closed_values = values[:count]
            if full:
                space.restart(values[:kept_at_restart], rotation[:, :kept_at_restart])
        direction = space.fresh_direction() if invariant else remainder / norm


def lanczos_coefficients(operator, start: Tensor, steps: int) -> Tensor:
    """VᵀHV (m, m) in float64, m ≤ steps, of the Krylov space of `start` (N,); m < steps if it closes."""
    space = _Subspace(operator, steps, torch.Generator(), keep_images=False)
    remainder, norm = start, start.norm().item()
    while space.size < steps:
        remainder, norm = space.extend(remainder / norm)
        if space.closed(norm):
            break
    return space.T[: space.size, : space.size]


def _power_iteration(operator, count: int, which: str, tol: float, generator) -> EigenResult:
    """Largest magnitude first, each pair orthogonal to those before; those of the wrong sign are skipped."""
    wanted = {"LM": lambda v: True, "LA": lambda v: v >= 0, "SA": lambda v: v <= 0}[which]
    found = torch.zeros(0, operator.size, dtype=operator.dtype, device=operator.device)
    values: list[float] = []
    norms: list[float] = []  # of residuals
    matvecs = 0
    # What is left of each pair shows in the residuals of all later ones, which add up in squares.
    target = tol / (count + 1) ** 0.5
    while sum(map(wanted, values)) < count and len(values) < min(3 * count, operator.size):
        image = torch.randn(operator.size, generator=generator, dtype=torch.float64).to(found)
        for _ in range(POWER_STEPS):
            for _ in range(2):
                image = image - (found @ image) @ found
            u = image / image.norm()
            image = operator.matvec(u)
            matvecs += 1
            require_finite(image, f"Hessian-vector product {matvecs}")
            value = torch.dot(u.double(), image.double()).item()
            residual = image.double() - value * u.double()
            new = residual - ((found @ residual.to(found)) @ found).double()
            if new.norm().item() <= target * max(map(abs, [*values, value])):
                break
        values.append(value)
        norms.append(residual.norm().item())
        found = torch.cat([found, u[None]])
    complete = sum(map(wanted, values)) >= count or len(values) == operator.size
    eigenvalues, residuals = (torch.tensor(each, dtype=torch.float64) for each in (values, norms))
    ranks = _ORDERS[which](eigenvalues)[:count]
    converged = complete and bool((residuals[ranks] <= tol * eigenvalues.abs().max()).all())
    return EigenResult(eigenvalues[ranks], found[ranks].T, residuals[ranks], matvecs, converged)
