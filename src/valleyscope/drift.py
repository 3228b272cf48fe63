"""The drift that minibatch noise makes along a path: measured, and predicted from curvature and noise.

A replica starts on the path, takes m steps of plain SGD, and its displacement along the unit tangent τ is
read off. Beyond full-batch descent from the same point, theory says (docs/drift.md)

    E[displacement] = −(η/2) Σ_{n=1}^{m−1} Tr[(∂_s H) C_n],   C_0 = 0,
    C_{n+1} = (I − ηH) C_n (I − ηH) + η² Σ / B

with H the Hessian, ∂_s its derivative along τ, Σ the covariance of the samples' gradients. ReLU² has no
third derivative in the usual sense, so Tr[(∂_s H) x xᵀ] is always a second difference of the full gradient
over an excursion of the size that SGD makes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from valleyscope.engine import batches
from valleyscope.engine.groups import radial_part
from valleyscope.engine.noise import scores
from valleyscope.engine.seeding import generator
from valleyscope.engine.weights import LossFunction, at_weights, replica_gradients, require_finite
from valleyscope.errors import InputError
from valleyscope.estimate import Estimate
from valleyscope.hessian import HessianOperator
from valleyscope.paths import Path


@dataclass(frozen=True)
class DriftSettings:
    """Plain SGD over one period, from many replicas."""

    learning_rate: float
    batch: int  # samples a step, with replacement
    steps: int  # m
    replicas: int
    followed: int  # replicas whose excursion enters the prediction from the simulation

    def __post_init__(self):
        if not 2 <= self.followed <= self.replicas:
            raise InputError(f"followed = {self.followed} must lie between 2 and replicas = {self.replicas}")


@dataclass(frozen=True)
class Setting:
    """One η and m at which the drift is predicted; it scales as 1/B."""

    learning_rate: float
    steps: int


class _Place:
    """A point of the path: full gradient, samples' gradients, tangent."""

    def __init__(self, model: nn.Module, loss_fn: LossFunction, data, path: Path, position: float):
        self.gradients = replica_gradients(model, loss_fn)
        self.data, self.start, self.tangent = data, path.point(position), path.tangent(position)
        with at_weights(model, self.start):
            self.scores = scores(model, loss_fn, data)  # (n, N)
        self.gradient = self.scores.double().mean(0).to(self.start)
        self.radial = radial_part(model, self.start, self.tangent)

    @cached_property
    def centred(self) -> Tensor:
        return self.scores - self.scores.mean(0)

    def noise(self, rng: np.random.Generator) -> Tensor:
        """One draw u (N,) with E uuᵀ = Σ."""
        normals = torch.from_numpy(rng.standard_normal(len(self.centred))).to(self.centred)
        return normals @ self.centred / len(self.centred) ** 0.5

    def full_gradient(self, w: Tensor) -> Tensor:
        return self.gradients(w[None], batches.taken(self.data, None))[0][0]

    def bends(self, rows: Tensor, scale: float) -> float:
        """Σ_x τ·∇³L[x, x] over rows x (r, N), nats per length, by second differences of the full gradient.

        Each x is shortened by `scale` to the size of an excursion of SGD.
        """
        sides = self.start + scale * torch.cat([rows, -rows])
        gradients = self.gradients(sides, batches.repeated(self.data, len(sides)))[0].double()
        return ((gradients - self.gradient.double()) @ self.tangent.double()).sum().item() / scale**2


def drift(
    model: nn.Module,
    loss_fn: LossFunction,
    data,
    path: Path,
    positions: list[float],
    settings: DriftSettings,
    *,
    seed: int,
    on_position: Callable[[float], None] = lambda position: None,
) -> pd.DataFrame:
    """Mean displacement along the tangent in m steps of plain SGD, a row a position, in lengths of weights.

    Columns: position; displacement and its standard error over replicas; descent (full-batch gradient
    descent from the same point); entropic = displacement − descent; raw_se (standard error without the
    control variate); radial and radial_se (of the entropic displacement, the part along `radial_part` of
    the tangent); excursion (root mean square distance from the descent after m steps); followed and
    followed_se: the theory's sum with the excursions x_n of `followed` replicas for C_n.

    The control variate −η Σ_n τ·(g_Bn − ∇L) at the starting point has mean zero and follows the linear
    part of the noise, so that subtracting it leaves the mean as it is and lowers the error.
    """
    rows = []
    for index, position in enumerate(positions):
        place = _Place(model, loss_fn, data, path, position)
        rows.append({"position": position, **_one(place, settings, generator(seed, index))})
        on_position(position)
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class _Period:
    """m steps of SGD from a place, and of full-batch descent."""

    weights: Tensor  # of the replicas (R, N)
    descent: Tensor  # (N,)
    control: Tensor  # −η Σ_n d·(g_Bn − ∇L) at the start, along each of the directions d (2, R)
    excursions: list[Tensor]  # x_1 … x_{m−1} of the followed replicas, (followed, N) each


def _one(place: _Place, s: DriftSettings, stream: torch.Generator) -> dict[str, float]:
    """The measurement at one place."""
    directions = torch.stack([place.tangent, place.radial]).double()  # (2, N)
    period = _period(place, s, directions, stream)
    moved = (directions @ (period.weights - place.start).double().T).cpu()
    straight = (directions @ (period.descent - place.start).double()).cpu()
    reduced, radial = (Estimate.of(row) for row in moved - period.control)
    followed = _followed(place, s, period.excursions, stream)
    return {
        "displacement": reduced.mean,
        "displacement_se": reduced.standard_error,
        "raw_se": Estimate.of(moved[0]).standard_error,
        "descent": straight[0].item(),
        "entropic": reduced.mean - straight[0].item(),
        "radial": radial.mean - straight[1].item(),
        "radial_se": radial.standard_error,
        "excursion": (period.weights - period.descent).double().square().sum(1).mean().sqrt().item(),
        "followed": followed.mean,
        "followed_se": followed.standard_error,
    }


def _period(place: _Place, s: DriftSettings, directions: Tensor, stream: torch.Generator) -> _Period:
    """Let the replicas run; FloatingPointError if one diverges."""
    rate = s.learning_rate
    along = directions @ place.scores.double().T
    along = (along - along.mean(1, keepdim=True)).cpu()
    weights, descent = place.start.repeat(s.replicas, 1), place.start.clone()
    control = torch.zeros(2, s.replicas, dtype=torch.float64)
    excursions = []
    for n in range(s.steps):
        chosen = torch.randint(batches.size(place.data), (s.replicas, s.batch), generator=stream)
        control -= rate * along[:, chosen].mean(2)
        weights = weights - rate * place.gradients(weights, batches.taken(place.data, chosen))[0]
        descent = descent - rate * (place.gradient if n == 0 else place.full_gradient(descent))
        if n + 1 < s.steps:
            excursions.append(weights[: s.followed] - descent)
    if not torch.isfinite(weights).all():
        raise FloatingPointError(
            f"SGD diverged within {s.steps} steps: learning rate {rate} exceeds about 2/λ_max; lower it"
        )
    return _Period(weights, descent, control, excursions)


def _followed(place: _Place, s: DriftSettings, excursions: list[Tensor], stream: torch.Generator) -> Estimate:
    """The theory's sum with x_n x_nᵀ for C_n, over the followed replicas."""
    sums = []
    for x in torch.stack(excursions, 1) if excursions else []:  # (m − 1, N)
        signs = 2.0 * torch.randint(0, 2, (len(x),), generator=stream) - 1
        sums.append(-s.learning_rate / 2 * place.bends(joined(x, signs.to(x)), len(x) ** -0.5))
    return Estimate.of(sums or [0.0, 0.0])


def predicted_drift(
    model: nn.Module,
    loss_fn: LossFunction,
    data,
    path: Path,
    positions: list[float],
    settings: list[Setting],
    *,
    batches: list[int],
    probes: int,
    seed: int,
    memory_budget: float | None = None,
    on_position: Callable[[float], None] = lambda position: None,
) -> pd.DataFrame:
    """The theory's displacement with C_n from the linear recursion: a row a position, setting and batch.

    Columns: position, learning_rate, batch, steps, predicted and its standard error over `probes` draws
    u ~ N(0, Σ); leading: the first order in ηλ, −(η³/4) m (m − 1) Tr[(∂_s H) Σ] / B.

    Unrolled, Σ_n C_n = (η²/B) Σ_{j=0}^{m−2} (m − 1 − j) A^j Σ A^j with A = I − ηH. All A^j u lie in the
    Krylov space of u, so that m − 1 products serve every setting; two vectors stand for all terms (`joined`).
    """
    rows = []
    for index, position in enumerate(positions):
        place = _Place(model, loss_fn, data, path, position)
        with at_weights(model, place.start):
            operator = HessianOperator(model, loss_fn, data, memory_budget=memory_budget)
            rng = np.random.default_rng([seed, index])
            draws = [_draw(place, operator, settings, min(batches), rng) for _ in range(probes)]
        firsts = Estimate.of([draw.leading for draw in draws])
        for number, setting in enumerate(settings):
            predicted = Estimate.of([draw.predicted[number] for draw in draws])
            require_finite(predicted.mean, f"predicted drift at position {position}")
            rows += [{"position": position, **_row(setting, batch, predicted, firsts)} for batch in batches]
        on_position(position)
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class _Draw:
    """What one u ~ N(0, Σ) gives at a place, for minibatches of one sample."""

    leading: float  # uᵀ(∂_s H)u, whose mean is Tr[(∂_s H) Σ]
    predicted: list[float]  # displacement at each setting


def _draw(
    place: _Place, operator: HessianOperator, settings: list[Setting], batch: int, rng: np.random.Generator
) -> _Draw:
    """One draw; excursions get the size that they have at `batch`, the smallest."""
    u = place.noise(rng)
    basis, projected = krylov(operator, u, max(s.steps for s in settings) - 1)
    leading = place.bends(u[None], 1e-2 / u.norm().item())
    predicted = []
    for s in settings:
        signs = torch.from_numpy(2.0 * rng.integers(0, 2, s.steps - 1) - 1)
        x = joined(_weighted_powers(projected, s), signs).to(basis) @ basis.T * u.norm()
        scale = s.learning_rate * (batch * (s.steps - 1)) ** -0.5  # of one x_n
        predicted.append(-(s.learning_rate**3) / 2 * place.bends(x, scale))
    return _Draw(leading, predicted)


def _row(s: Setting, batch: int, predicted: Estimate, firsts: Estimate) -> dict[str, float]:
    """The theory's displacement and its leading order at a batch, with their errors over draws."""
    leading = -(s.learning_rate**3) / 4 * s.steps * (s.steps - 1)
    return {
        "learning_rate": s.learning_rate,
        "batch": batch,
        "steps": s.steps,
        "predicted": predicted.mean / batch,
        "predicted_se": predicted.standard_error / batch,
        "leading": leading * firsts.mean / batch,
        "leading_se": abs(leading) * firsts.standard_error / batch,
    }


def krylov(operator, start: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Orthonormal basis V (N, k) of the Krylov space of `start`, its first column, and VᵀHV (k, k).

    k = `steps`, less where the space closes. Lanczos with full reorthogonalisation, twice; `steps` products.
    """
    columns = [start.double() / start.double().norm()]
    projected = torch.zeros(steps, steps, dtype=torch.float64)
    for j in range(steps):
        image = operator.matvec(columns[j].to(start)).double()
        size = image.norm()
        V = torch.stack(columns, 1)
        for _ in range(2):
            overlap = V.T @ image
            projected[: j + 1, j] += overlap.cpu()
            image = image - V @ overlap
        rest = image.norm()
        if j + 1 == steps or rest <= 1e-6 * size:
            break
        columns.append(image / rest)
    k = len(columns)
    T = projected[:k, :k]
    return torch.stack(columns, 1).to(start), torch.triu(T) + torch.triu(T, 1).T


def _weighted_powers(projected: Tensor, s: Setting) -> Tensor:
    """Rows √(m − 1 − j) (I − ηT)^j e_1 for j = 0 … m − 2: (m − 1, k)."""
    y = torch.zeros(len(projected), dtype=torch.float64)
    y[0] = 1.0
    rows = []
    for j in range(s.steps - 1):
        rows.append((s.steps - 1 - j) ** 0.5 * y)
        y = y - s.learning_rate * projected @ y
    return torch.stack(rows)


def joined(rows: Tensor, signs: Tensor) -> Tensor:
    """Two vectors whose quadratic forms add up, in the mean over signs, to the sum over `rows` (r, N).

    The leading right singular vector times its singular value, and all others joined by random `signs` (r,).
    Excursions of neighbouring steps are nearly parallel: joined by signs alone, their cross terms would make
    the sum go as χ² of one degree of freedom, whose typical value lies far below its mean.
    """
    _, sizes, directions = torch.linalg.svd(rows, full_matrices=False)
    parts = sizes[:, None] * directions
    return torch.stack([parts[0], signs[1 : len(parts)] @ parts[1:]])
