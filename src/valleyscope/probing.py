"""Paper A's criteria on anyone's model: what one more sample does to the loss around its weights.

    δ_k(w) = (ℓ_{k+1}(w) − L_k(w)) / (k+1),   Δ₁ = |δ_k(w)|,   Δ₂ = E δ_k(w + u)²,   Δ₂^(D) with u in the
    top-D eigenspace of the Hessian of L_k     (Kiselev & Grabovoy 2026)

The same functions as in the study's own stages, on one next sample.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from valleyscope.artifacts import provenance, save_tensors, write_json, write_table
from valleyscope.criteria import valid_range
from valleyscope.eigen import EigenResult, converged_eigenpairs
from valleyscope.engine import batches
from valleyscope.engine.guarded import guarded
from valleyscope.engine.memory import free_memory
from valleyscope.engine.operators import require_symmetric
from valleyscope.engine.timing import seconds
from valleyscope.engine.weights import LossFunction
from valleyscope.errors import InputError
from valleyscope.estimate import Estimate, rms
from valleyscope.hessian import HessianOperator
from valleyscope.landscape.increments import (
    IncrementOperator,
    check_point,
    direct_increments,
    gradient_share,
    increment_model,
    require_finite_increments,
)
from valleyscope.landscape.spaces import (
    Candidate,
    FullSpace,
    Space,
    Subspace,
    draw_blocks,
    full_space_model,
    make_up,
)

VALID = 0.1  # error of the quadratic model over its signal, up to which a σ is validated
COPIES = 8  # of a block of draws that live at once: itself, its image, in float64, displaced weights
REMEDY = "lower dims or samples, restrict params, or set memory_budget"


@dataclass(frozen=True)
class ProbeResult:
    """What one more sample does at the model's weights; losses in nats if the loss is.

    Attributes:
        k: samples in L_k; size: N, weights that were probed.
        value: a = δ_k(w); pointwise: Δ₁ = |a|.
        gradient_share: {D: ‖UᵀΔg‖² / ‖Δg‖²}, the captured share of Δg = g_{k+1} − g^(k); chance is D / N.
        sigma_star: {D: σ}, largest σ of the grid's range up to which the quadratic model is off by at most a
            tenth of its signal, for the largest D and for D = N; nan where no σ of the grid is.
        table: a row a criterion ("delta2_D" or "delta2"), estimator ("gaussian_moment" at every D;
            "quadratic" and "direct" Monte Carlo at the largest D and at D = N), dim and sigma: estimate,
            standard_error (nan where exact) and seconds, those of the evaluation alone.
        terms: a row a criterion, dim and sigma: value, slope, curvature and cross, which sum to the closed
            form, gradient_share, spread_ratio (Var δ in the subspace over that in full space) and chance.
        eigen: the leading eigenpairs of the Hessian of L_k.
        costs: a row a stage: seconds, products with the Hessian of L_k, gradients (seconds over those of one
            gradient of L_k).
    """

    k: int
    size: int
    value: float
    gradient_share: dict[int, float]
    sigma_star: dict[int, float]
    table: pd.DataFrame
    terms: pd.DataFrame
    eigen: EigenResult
    costs: pd.DataFrame

    @property
    def pointwise(self) -> float:
        """Δ₁ = |δ_k(w)|."""
        return abs(self.value)

    def save(self, folder: Path | str) -> None:
        """Write table.csv, terms.csv, costs.csv, eigenpairs.safetensors and summary.json into `folder`."""
        folder = Path(folder)
        meta = provenance({"k": self.k, "size": self.size}, [], torch.get_num_threads())
        for name in ("table", "terms", "costs"):
            empty = ["standard_error"] if name == "table" else []
            write_table(getattr(self, name), folder / f"{name}.csv", meta, may_be_empty=empty)
        pairs = {name: getattr(self.eigen, name) for name in ("values", "vectors", "residuals")}
        save_tensors(pairs, folder / "eigenpairs.safetensors", meta)
        write_json(self.summary(), folder / "summary.json")

    def summary(self) -> dict:
        """The result's numbers, as JSON takes them (nan as None)."""

        def plain(value: float) -> float | None:
            return value if np.isfinite(value) else None

        return {
            "k": self.k,
            "size": self.size,
            "value": self.value,
            "pointwise": self.pointwise,
            "gradient_share": {str(dim): share for dim, share in self.gradient_share.items()},
            "sigma_star": {str(dim): plain(sigma) for dim, sigma in self.sigma_star.items()},
            "eigenvalues": self.eigen.values.tolist(),
            "residuals": self.eigen.residuals.tolist(),
            "products": self.eigen.matvecs,
        }


def probe(
    model: nn.Module,
    loss_fn: LossFunction,
    data,
    *,
    k: int,
    dims: list[int],
    sigmas: list[float],
    samples: int = 64,
    seed: int = 0,
    params: list[str] | None = None,
    tol: float = 1e-3,
    memory_budget: float | None = None,
    on_stage: Callable[[str], None] = lambda stage: None,
) -> ProbeResult:
    """Δ₁, Δ₂ and Δ₂^(D) of the sample after the first k, by the closed form and by Monte Carlo.

    Args:
        model: any module, on any device, float32 or float64; it is left as it was found. In train mode it is
            probed in eval mode, with a warning if that makes a difference.
        loss_fn: (model, batch) -> per-sample losses (n,).
        data: a batch (tensor, tuple or dict of tensors, samples first), a list of batches or a loader; of its
            samples, in their order, the first k make L_k and the next one is added.
        dims: D; sigmas: σ of the probes; samples: S, Monte Carlo draws and random vectors of the traces.
        params: glob patterns on parameter names; all others stay fixed. Frozen parameters always do.
        tol: residual of an eigenpair over the largest eigenvalue.
        memory_budget: bytes of the Hessian's graphs; by default half of what is free.

    Raises InputError, in one line with the remedy, for data, losses, layers or sizes that do not fit.

    Example:
        >>> result = probe(model, losses, (images, labels), k=64, dims=[1, 4, 16], sigmas=[1e-4, 1e-3])
        >>> result.pointwise, result.gradient_share[16], result.sigma_star
    """
    dims, sigmas = _grid("dims", dims), _grid("sigmas", sigmas)
    if samples < 3:
        raise InputError(f"samples = {samples}: a standard error needs at least 3 draws")
    if k < 1:
        raise InputError(f"k = {k}: L_k needs at least one sample")
    with guarded(model, params, REMEDY):
        seen = batches.first(data, k + 1)
        size = sum(p.numel() for p in model.parameters() if p.requires_grad)
        check_point(k, batches.size(seen), max(dims), size)
        if max(dims) == size:
            raise InputError(f"D = {size} is all of the N = {size} weights; lower D")
        clock = _Clock(on_stage)
        known, following = batches.rows(seen, 0, k), batches.rows(seen, k, k + 1)
        operator = HessianOperator(model, loss_fn, known, memory_budget=memory_budget)
        require_symmetric(operator, seed)
        eigen = converged_eigenpairs(operator, max(dims), tol=tol, seed=seed)
        clock.stop("I subspace", eigen.matvecs)
        increment = IncrementOperator(operator, HessianOperator(model, loss_fn, following, keep_graph=True))
        subspace = increment_model(operator, eigen, increment.sample)
        shares = gradient_share(increment.gradient(), eigen.vectors)
        clock.stop("II coefficients", 0)
        draws = partial(draw_blocks, size, samples, seed)
        full = full_space_model(increment, draws(_rows_at_once(eigen.vectors)))
        clock.stop("traces in full space", samples)
        spaces: list[Space] = [Subspace(eigen.vectors[:, :dim], samples, seed) for dim in dims]
        spaces.append(FullSpace(size, draws))
        point = _Point(model, loss_fn, known, following, eigen, Candidate(subspace, full, shares))
        table, sigma_star = _evaluated(point, spaces, sigmas)
        clock.stop("III evaluation", 0)
        costs = clock.table(_gradient_seconds(point, operator))
    return ProbeResult(
        k=k,
        size=size,
        value=subspace.value,
        gradient_share={dim: float(shares[dim - 1]) for dim in dims},
        sigma_star=sigma_star,
        table=table,
        terms=_terms(point, spaces, sigmas),
        eigen=eigen,
        costs=costs,
    )


def _grid(name: str, values: list) -> list:
    """The values in ascending order, once each; InputError unless all are above 0."""
    values = sorted(set(values))
    if not values or not values[0] > 0 or not np.isfinite(values).all():
        raise InputError(f"{name} = {values}: give at least one, all above 0")
    return values


@dataclass(frozen=True)
class _Point:
    """The weights, the k samples and the one added, and what is known of its δ_k."""

    model: nn.Module
    loss_fn: LossFunction
    known: object
    following: object
    eigen: EigenResult
    single: Candidate

    def modelled(self, space: Space, sigma: float) -> np.ndarray:
        """The quadratic model at the space's draws (S,)."""
        return space.modelled([self.single], sigma)[:, 0]

    def true(self, space: Space, sigma: float) -> np.ndarray:
        """δ_k at the space's draws (S,)."""
        blocks = space.displacements(sigma, _rows_at_once(self.eigen.vectors))
        parts = [
            direct_increments(self.model, self.loss_fn, self.known, self.following, block)[:, 0]
            for block in blocks
        ]
        result = np.concatenate(parts)
        require_finite_increments(result, sigma)
        return result


def _rows_at_once(vectors: Tensor) -> int:
    """Draws of which a block and all that is computed from it fit an eighth of the free memory."""
    each = COPIES * len(vectors) * vectors.dtype.itemsize
    return max(1, int(free_memory(vectors.device) / 8 / each))


def _cell(space: Space, sigma: float) -> dict:
    return {"criterion": space.criterion, "dim": space.dim, "sigma": sigma}


def _evaluated(
    point: _Point, spaces: list[Space], sigmas: list[float]
) -> tuple[pd.DataFrame, dict[int, float]]:
    """Every criterion by every estimator, and σ* of the widest subspace and of full space, both sampled."""
    rows, sigma_star = [], {}
    for space in spaces:
        errors = []
        for sigma in sigmas:
            cell = _cell(space, sigma)
            rows.append(cell | _closed_form(point, space, sigma))
            if space.dim >= spaces[-2].dim:
                modelled, quadratic = _monte_carlo("quadratic", point.modelled, space, sigma)
                true, direct = _monte_carlo("direct", point.true, space, sigma)
                rows += [cell | quadratic, cell | direct]
                errors.append(rms(true - modelled) / rms(modelled - point.single.subspace.value))
        if errors:
            sigma_star[space.dim] = valid_range(sigmas, errors, VALID)[1]
    return pd.DataFrame(rows), sigma_star


def _closed_form(point: _Point, space: Space, sigma: float) -> dict:
    start = time.perf_counter()
    moment = space.moment([point.single], sigma)
    seconds = time.perf_counter() - start
    exact = {"estimator": "gaussian_moment", "estimate": np.nan, "standard_error": np.nan}
    return exact | moment | {"seconds": seconds}


def _monte_carlo(
    name: str, draw: Callable[[Space, float], np.ndarray], space: Space, sigma: float
) -> tuple[np.ndarray, dict]:
    """Draws of δ (S,), and the row of their mean square."""
    start = time.perf_counter()
    delta = draw(space, sigma)
    found = Estimate.of(delta**2)
    row = {"estimator": name, "estimate": found.mean, "standard_error": found.standard_error}
    return delta, row | {"seconds": time.perf_counter() - start}


def _terms(point: _Point, spaces: list[Space], sigmas: list[float]) -> pd.DataFrame:
    """What the closed forms are made of."""
    cells = [(space, sigma) for space in spaces for sigma in sigmas]
    return pd.DataFrame([_cell(*cell) | make_up(cell[0], [point.single], cell[1]) for cell in cells])


def _gradient_seconds(point: _Point, operator: HessianOperator) -> float:
    """Seconds of one gradient of L_k, the unit of the costs; median of three."""
    known = batches.rows(point.known, 0, operator.samples, operator.device)
    parts = batches.split(known, operator.microbatch)
    parameters = [p for p in point.model.parameters() if p.requires_grad]

    def gradient() -> None:
        for part in parts:
            torch.autograd.grad(point.loss_fn(point.model, part).sum(), parameters, allow_unused=True)

    return float(np.median(seconds(gradient, 3, operator.device.type)))


class _Clock:
    """Seconds and products of stages that follow one another."""

    def __init__(self, on_stage: Callable[[str], None]):
        self.rows: list[dict] = []
        self.on_stage, self.start = on_stage, time.perf_counter()

    def stop(self, stage: str, products: int) -> None:
        now = time.perf_counter()
        self.rows.append({"stage": stage, "seconds": now - self.start, "products": products})
        self.start = now
        self.on_stage(stage)

    def table(self, gradient: float) -> pd.DataFrame:
        table = pd.DataFrame(self.rows)
        return table.assign(gradients=table["seconds"] / gradient)
