"""Path finders: low-loss paths between two weight vectors, from the straight line by minibatch descent.

Two ways to hold a path down while its ends stay fixed:

- **Curves** (Garipov et al. 2018): minimise the loss averaged over a curve w(t) = Σ_i b_i(t) p_i in its
  control points p_i; a Bézier curve and a polygon differ in the basis b only.
- **AutoNEB** (Draxler et al. 2018): pivots feel the loss gradient across the path and springs along it;
  where the loss between two pivots is too high, one is inserted.

A search is a list of cycles of falling step size, each with a fresh optimiser and its own random stream, so
that one interrupted after a cycle goes on to the same result. All points move in one batched computation.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from valleyscope.engine import batches
from valleyscope.engine.seeding import generator
from valleyscope.engine.weights import LossFunction, replica_gradients, replica_losses, require_finite
from valleyscope.paths import Path, straight_line

Draw = Callable[[int, torch.Generator], object]  # points -> a minibatch for each
Step = Callable[[Tensor, torch.Generator, Draw], tuple[Tensor, Tensor]]  # points -> gradients, losses


@dataclass(frozen=True)
class Descent:
    """How points of a path, and its ends before them, go down: SGD with heavy-ball momentum.

    Not Adam: it gives every weight a step of one size, so that minibatch noise spreads points of a path in
    all flat directions, and the path coils up.
    """

    momentum: float
    weight_decay: float  # λ of λ‖w‖²/2
    steps: list[int]  # of each cycle
    batches: list[int]  # samples a point and step in each cycle, the same for all points; 0: the whole data
    learning_rates: list[float]  # of each cycle, held constant in it

    def __post_init__(self):
        if not len(self.steps) == len(self.batches) == len(self.learning_rates) > 0:
            raise ValueError("steps, batches and learning_rates need one entry a cycle")


@dataclass(frozen=True)
class NebSettings:
    """AutoNEB: interior pivots at the start, stiffness of the springs, and when to insert more."""

    pivots: int
    spring: float  # force (loss per length) over the difference of two neighbouring lengths
    insert_above: float  # loss between two pivots over that of the path's higher end
    most_pivots: int  # interior ones, after which none is inserted
    refine: int  # points of the path a segment, on the spline through the pivots; 1: the pivots alone


@dataclass(frozen=True)
class CurveSettings:
    """A curve with `degree` + 1 control points, two of them fixed ends."""

    degree: int
    samples: int  # stratified positions a step
    pivots: int  # of the polygon that stands for the trained curve


@dataclass(frozen=True)
class StraightSettings:
    """A straight line takes none."""


@dataclass(frozen=True)
class Search:
    """Where a search stands: cycles done, and the control points or pivots (P, N), ends included."""

    cycle: int
    points: Tensor
    history: list[float] = field(default_factory=list)  # mean minibatch loss at the end of each cycle


Keep = Callable[[Search], None]
Show = Callable[[int, float], None]


def relax(
    model: nn.Module,
    loss_fn: LossFunction,
    data,
    points: Tensor,
    descent: Descent,
    *,
    seed: int,
    on_step: Show = lambda steps, loss: None,
) -> Tensor:
    """Go on from weights (R, N), each by itself, with the descent that will move the pivots.

    Inside and ends of a path are comparable only if the same noise and decay have shaped both.
    """
    gradients = replica_gradients(model, loss_fn)

    def step(weights: Tensor, stream: torch.Generator, draw: Draw):
        return gradients(weights, draw(len(weights), stream))

    for cycle in range(len(descent.steps)):
        points, _ = _descend(points, step, data, descent, cycle, seed, on_step)
    return points


def straight(model, loss_fn, data, ends: Tensor, descent, settings, **options) -> Path:
    """The segment between `ends` (2, N): nothing is searched."""
    return straight_line(*ends)


def bernstein(t: np.ndarray, degree: int) -> np.ndarray:
    """Bernstein polynomials b_i(t) = C(d, i) tⁱ (1 − t)^(d−i): positions (R,) -> (R, d + 1)."""
    from scipy.special import comb

    i = np.arange(degree + 1)
    t = np.asarray(t)[:, None]
    return comb(degree, i) * t**i * (1 - t) ** (degree - i)


def hats(t: np.ndarray, degree: int) -> np.ndarray:
    """Piecewise linear b_i of a polygon with knots i / d: positions (R,) -> (R, d + 1)."""
    return np.clip(1 - np.abs(np.asarray(t)[:, None] * degree - np.arange(degree + 1)), 0, None)


BASES = {"bezier": bernstein, "polygon": hats}


def curve_path(points: Tensor, basis: str, pivots: int) -> Path:
    """The curve with these control points (d + 1, N) as a polygon of `pivots` points."""
    weights = BASES[basis](np.linspace(0, 1, pivots), len(points) - 1)
    return Path((torch.from_numpy(weights) @ points.double()).to(points.dtype))


def curve(
    basis: str, model, loss_fn, data, ends: Tensor, descent: Descent, settings: CurveSettings, **options
) -> Path:
    """The path of `train_curve`, which takes the same options."""
    points = train_curve(model, loss_fn, data, ends, descent, basis, settings, **options)
    return curve_path(points, basis, settings.pivots)


def train_curve(
    model: nn.Module,
    loss_fn: LossFunction,
    data,
    ends: Tensor,
    descent: Descent,
    basis: str,
    curve: CurveSettings,
    *,
    seed: int,
    resume: Search | None = None,
    on_cycle: Keep = lambda search: None,
    on_step: Show = lambda steps, loss: None,
) -> Tensor:
    """Control points (degree + 1, N) of a low-loss curve between `ends` (2, N).

    `basis` is "bezier" or "polygon". Minimises the mean loss over t uniform in [0, 1] (Garipov et al. 2018,
    equation 2). `on_cycle` gets the state after each cycle, `resume` takes it up again.
    """
    gradients = replica_gradients(model, loss_fn)
    fixed, samples, degree = ends.clone(), curve.samples, curve.degree

    def step(interior: Tensor, stream: torch.Generator, draw: Draw):
        draws = torch.rand(samples, generator=stream, dtype=torch.float64).numpy()
        b = torch.from_numpy(BASES[basis]((np.arange(samples) + draws) / samples, degree)).to(fixed)
        points = b @ torch.cat([fixed[:1], interior, fixed[1:]])
        gradient, losses = gradients(points, draw(samples, stream))
        return b[:, 1:-1].T @ gradient / samples * degree, losses

    search = resume or Search(0, straight_line(*ends).spaced(degree + 1))
    for cycle in range(search.cycle, len(descent.steps)):
        interior, loss = _descend(search.points[1:-1], step, data, descent, cycle, seed, on_step)
        points = torch.cat([fixed[:1], interior, fixed[1:]])
        search = Search(cycle + 1, points, [*search.history, loss])
        on_cycle(search)
    return search.points


def autoneb(
    model: nn.Module,
    loss_fn: LossFunction,
    data,
    ends: Tensor,
    descent: Descent,
    neb: NebSettings,
    *,
    seed: int,
    resume: Search | None = None,
    on_cycle: Keep = lambda search: None,
    on_step: Show = lambda steps, loss: None,
) -> Path:
    """A minimum-energy path between `ends` (2, N) by the automated nudged elastic band.

    A pivot p_i with unit tangent τ_i feels (Draxler et al. 2018, equations 3 to 6; Jónsson et al. 1998)

        F_i = −∇L + (τ·∇L) τ + spring (|p_{i+1} − p_i| − |p_i − p_{i−1}|) τ  (+ a pull where it is kinked)

    so that the loss moves it across the path only and the springs along it (`band_forces`). After every
    cycle but the last, a pivot is inserted into each segment whose middle lies too high, the highest first.
    The path is the cubic spline through the pivots, so that its chords do not leave a curved valley floor.
    """
    gradients = replica_gradients(model, loss_fn)
    fixed = ends.clone()

    def step(interior: Tensor, stream: torch.Generator, draw: Draw):
        gradient, losses = gradients(interior, draw(len(interior), stream))
        return -band_forces(torch.cat([fixed[:1], interior, fixed[1:]]), gradient, neb.spring), losses

    search = resume or Search(0, straight_line(*ends).spaced(neb.pivots + 2))
    for cycle in range(search.cycle, len(descent.steps)):
        interior, loss = _descend(search.points[1:-1], step, data, descent, cycle, seed, on_step)
        points = torch.cat([fixed[:1], interior, fixed[1:]])
        if cycle + 1 < len(descent.steps):
            points = _insert(model, loss_fn, data, points, neb)
        search = Search(cycle + 1, points, [*search.history, loss])
        on_cycle(search)
    return Path(search.points).splined(neb.refine)


@dataclass(frozen=True)
class Finder:
    """How one kind of path is found: (model, loss_fn, data, ends, descent, settings, *, seed, …) -> Path."""

    settings: type
    find: Callable[..., Path]


FINDERS = {
    "straight": Finder(StraightSettings, straight),
    "bezier": Finder(CurveSettings, partial(curve, "bezier")),
    "polygon": Finder(CurveSettings, partial(curve, "polygon")),
    "autoneb": Finder(NebSettings, autoneb),
}


def band_forces(points: Tensor, gradient: Tensor, spring: float) -> Tensor:
    """F of `autoneb` on the interior pivots: points (P, N), loss gradients there (P − 2, N) -> (P − 2, N).

    The tangent halves the angle φ between the two segments that meet in the pivot. At a kink the springs also
    pull across the path, by f = ½ (1 + cos(π cos φ)) of their force: none where it is straight, all of it
    at a right angle (Jónsson et al. 1998, section 16.4). Without that, minibatch noise coils the band.
    """
    steps = points.diff(dim=0)
    lengths = steps.norm(dim=1, keepdim=True)
    units = steps / lengths
    tangent = torch.nn.functional.normalize(units[1:] + units[:-1], dim=1)

    def along(v: Tensor) -> Tensor:
        return (v * tangent).sum(1, keepdim=True) * tangent

    cosine = (units[1:] * units[:-1]).sum(1, keepdim=True).clamp(0, 1)
    kink = 0.5 * (1 + torch.cos(torch.pi * cosine))
    pull = spring * (steps[1:] - steps[:-1])
    even = spring * (lengths[1:] - lengths[:-1]) * tangent
    return -(gradient - along(gradient)) + even + kink * (pull - along(pull))


def _insert(model, loss_fn, data, points: Tensor, neb: NebSettings) -> Tensor:
    """The pivots with new ones in the middle of the segments that lie too high."""
    middles = (points[1:] + points[:-1]) / 2
    losses = replica_losses(model, loss_fn, torch.cat([points[[0, -1]], middles]), data, chunk=8).mean(1)
    higher = losses[:2].max()
    limit = (neb.insert_above if higher > 0 else 2 - neb.insert_above) * higher
    order = losses[2:].argsort(descending=True)[: max(0, neb.most_pivots + 2 - len(points))]
    chosen = sorted(i for i in order.tolist() if losses[2 + i] > limit)
    for shift, index in enumerate(chosen):
        at = index + shift + 1
        points = torch.cat([points[:at], middles[index : index + 1], points[at:]])
    return points


def _drawer(data, batch: int) -> Draw:
    """Draws one minibatch, with replacement, for all points, which are its first axis.

    Neighbours that see the same noise stay neighbours.
    """

    def draw(points: int, stream: torch.Generator):
        drawn = torch.randint(batches.size(data), (batch,), generator=stream) if batch else slice(None)
        return batches.repeated(batches.taken(data, drawn), points)

    return draw


def _descend(
    points: Tensor, step: Step, data, descent: Descent, cycle: int, seed: int, on_step: Show
) -> tuple[Tensor, float]:
    """One cycle; returns the points and the mean loss over its last tenth."""
    stream, draw = generator(seed, cycle), _drawer(data, descent.batches[cycle])
    points = points.clone().requires_grad_(True)
    optimiser = torch.optim.SGD(
        [points], descent.learning_rates[cycle], descent.momentum, weight_decay=descent.weight_decay
    )
    recent = []
    for index in range(descent.steps[cycle]):
        points.grad, losses = step(points.detach(), stream, draw)
        require_finite(losses, f"loss on the path in cycle {cycle}, step {index}")
        optimiser.step()
        recent.append(losses.mean().item())
        on_step(1, recent[-1])
    require_finite(points.detach(), f"weights on the path after cycle {cycle}")
    last = recent[-max(1, len(recent) // 10) :]
    return points.detach(), sum(last) / len(last)
