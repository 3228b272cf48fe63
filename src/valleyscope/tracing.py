"""Paper B on anyone's model: a low-loss path between two weights, its curvature, and the drift of SGD on it.

The same functions as in the study's own stages: the ends are relaxed and joined by AutoNEB with one and the
same descent; curvature is measured on the way, and the displacement that minibatch noise makes along it.
"""

import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path as FilePath

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from valleyscope.artifacts import provenance, save_tensors, write_json, write_table
from valleyscope.connectivity.finders import Descent, NebSettings, autoneb, relax
from valleyscope.connectivity.profile import curvature_profile, loss_profile
from valleyscope.drift import DriftSettings, drift
from valleyscope.eigen import converged_eigenpairs
from valleyscope.engine import batches
from valleyscope.engine.guarded import guarded
from valleyscope.engine.memory import free_memory
from valleyscope.engine.operators import require_symmetric
from valleyscope.engine.weights import LossFunction, at_weights, flatten, select_parameters
from valleyscope.errors import InputError
from valleyscope.hessian import HessianOperator
from valleyscope.paths import Path, straight_line
from valleyscope.readings.paths import barrier, middle_over_ends

STEPS, BATCHES = [100, 100, 200, 400, 300, 60], [8, 8, 16, 16, 16, 0]  # of the descent, by cycle
NEB = NebSettings(pivots=3, spring=0.03, insert_above=1.1, most_pivots=19, refine=4)
MIDDLE = (0.4, 0.6)  # positions of the middle of a path
LEAST = {"dense": 2, "probes": 2, "drift_positions": 0, "replicas": 2}
COPIES = 4  # of the path's points in float64 that live at once
REMEDY = "lower replicas or the batches of the descent, or set memory_budget"


@dataclass(frozen=True)
class PathResult:
    """A path between two minima and what was measured on it; losses in the units of loss_fn.

    Attributes:
        path: from the relaxed first to the relaxed second end, position t in [0, 1] by arc length.
        losses: position, train_loss, and held_out_loss if there was held-out data; densely.
        curvature: position, trace and trace_se (Tr H and its standard error), lambda_max.
        drift: position, entropic (displacement beyond full-batch descent) and displacement_se among other
            columns of `valleyscope.drift.drift`; empty if it was not wanted.
        descent: the settings that moved ends and pivots.
    """

    path: Path
    losses: pd.DataFrame
    curvature: pd.DataFrame
    drift: pd.DataFrame
    descent: Descent

    @property
    def barrier(self) -> float:
        """Highest loss on the path over that of its higher end; nan unless losses are above 0."""
        return float(barrier(self.losses.assign(pair="")).iloc[0])

    @property
    def rise(self) -> float:
        """Tr H in the middle of the path over its mean at the ends."""
        return float(middle_over_ends(self.curvature.assign(pair=""), "trace", MIDDLE).iloc[0])

    def summary(self) -> dict:
        """The result's numbers, as JSON takes them."""
        return {
            "length": self.path.length,
            "straight": (self.path.pivots[-1] - self.path.pivots[0]).double().norm().item(),
            "pivots": len(self.path.pivots),
            "barrier": self.barrier if np.isfinite(self.barrier) else None,
            "rise": self.rise if np.isfinite(self.rise) else None,
            "descent": asdict(self.descent),
        }

    def save(self, folder: FilePath | str) -> None:
        """Write losses.csv, curvature.csv, drift.csv, path.safetensors (pivots) and summary.json."""
        folder = FilePath(folder)
        meta = provenance(asdict(self.descent), [], torch.get_num_threads())
        for name in ("losses", "curvature", "drift"):
            if len(getattr(self, name)):
                write_table(getattr(self, name), folder / f"{name}.csv", meta)
        save_tensors({"pivots": self.path.pivots}, folder / "path.safetensors", meta)
        write_json(self.summary(), folder / "summary.json")


def trace_path(
    model: nn.Module,
    weights_a: Tensor | Mapping[str, Tensor],
    weights_b: Tensor | Mapping[str, Tensor],
    loss_fn: LossFunction,
    data,
    *,
    held_out=None,
    descent: Descent | None = None,
    neb: NebSettings = NEB,
    positions: int = 9,
    dense: int = 81,
    probes: int = 8,
    drift_positions: int = 6,
    replicas: int = 32,
    seed: int = 0,
    params: list[str] | None = None,
    tol: float = 1e-2,
    memory_budget: float | None = None,
    on_stage: Callable[[str], None] = lambda stage: None,
    on_step: Callable[[int, float], None] = lambda steps, loss: None,
) -> PathResult:
    """Join two minima by AutoNEB, measure loss and curvature on the path, and the drift of plain SGD.

    Args:
        model: any module, left as it was found; its buffers and its weights outside `params` serve the whole
            path, with a warning where those of an end differ.
        weights_a, weights_b: the ends, flat (N,) in the order of the trainable parameters, or state dicts.
        loss_fn, data, params, memory_budget: as for `valleyscope.probe`; all of `data` is the training set.
        descent: of the ends and then of the pivots; by default momentum 0.9 without weight decay at the rate
            1 / λ_max, the largest of five points of the straight line.
        positions, dense: where curvature and losses are measured, evenly on the path; positions is odd.
        probes: random vectors of Tr H; tol: residual of λ_max over itself.
        drift_positions, replicas: where and with how many replicas 15 steps of plain SGD at batch 4 and the
            rate of the descent's first cycle are taken; drift_positions = 0 leaves them out.
        on_stage, on_step: called when a stage begins, and after each step of the descent with its loss.

    Raises InputError or FloatingPointError, in one line with the remedy.

    Example:
        >>> result = trace_path(model, first.state_dict(), second.state_dict(), losses, (images, labels))
        >>> result.barrier, result.rise
    """
    _require_counts(positions, dense=dense, probes=probes, drift_positions=drift_positions, replicas=replicas)
    with guarded(model, params, REMEDY):
        ends = _ends(model, weights_a, weights_b)
        data = batches.whole(data, ends.device)
        held_out = None if held_out is None else batches.whole(held_out, ends.device)
        _require_memory(ends, neb, batches.size(data) if drift_positions else 0)
        problem = (model, loss_fn, data)
        if descent is None:
            on_stage("learning rate")
            descent = _descent(problem, ends, tol, memory_budget)
        on_stage("relax the ends")
        ends = relax(*problem, ends, descent, seed=seed, on_step=on_step)
        on_stage("find the path")
        path = autoneb(*problem, ends, descent, neb, seed=seed, on_step=on_step)
        on_stage("losses")
        losses = loss_profile(*problem, held_out, path, np.linspace(0, 1, dense).tolist())
        on_stage("curvature")
        at = np.linspace(0, 1, positions).tolist()
        curvature = curvature_profile(
            *problem, path, at, probes=probes, tol=tol, seed=seed, memory_budget=memory_budget
        )
        moved = pd.DataFrame()
        if drift_positions:
            on_stage("drift")
            moved = _drift(problem, path, drift_positions, descent.learning_rates[0], replicas, seed)
    return PathResult(path, losses, curvature, moved, descent)


def _require_counts(positions: int, **others: int) -> None:
    """InputError unless there is a middle position and enough of everything else."""
    if positions < 3 or positions % 2 == 0:
        raise InputError(f"positions = {positions}: it must be odd and at least 3, so that the middle is one")
    for name, value in others.items():
        if value < LEAST[name]:
            raise InputError(f"{name} = {value}: it must be at least {LEAST[name]}")


def _ends(
    model: nn.Module, weights_a: Tensor | Mapping[str, Tensor], weights_b: Tensor | Mapping[str, Tensor]
) -> Tensor:
    """Both ends (2, N), as `_flat` makes them; InputError if they are the same."""
    parameters = select_parameters(model)
    first, second = _flat(model, parameters, weights_a), _flat(model, parameters, weights_b)
    if torch.equal(first, second):
        raise InputError("weights_a and weights_b are the same; a path needs two different ends")
    return torch.stack([first, second])


def _flat(
    model: nn.Module, parameters: dict[str, nn.Parameter], weights: Tensor | Mapping[str, Tensor]
) -> Tensor:
    """Weights (N,) of the trainable parameters, on their device."""
    like = next(iter(parameters.values()))
    if isinstance(weights, Mapping):
        found = {name: _tensor_of(model, name, p, weights) for name, p in parameters.items()}
        _warn_of_others(model, found, weights)
        weights = flatten(tensor.to(like) for tensor in found.values())
    size = sum(p.numel() for p in parameters.values())
    if weights.shape != (size,):
        raise InputError(f"an end has shape {tuple(weights.shape)}, the model needs ({size},)")
    return weights.detach().to(like)


def _warn_of_others(model: nn.Module, found: Collection[str], weights: Mapping[str, Tensor]) -> None:
    """Say so if a buffer or a fixed weight of an end is not the model's, which serves the whole path."""
    others = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    for name, tensor in others.items():
        if name not in found and name in weights and not torch.equal(tensor.cpu(), weights[name].cpu()):
            warnings.warn(
                f"{name} of an end differs from the model's, which serves the whole path", stacklevel=5
            )
            return


def _tensor_of(model: nn.Module, name: str, parameter: nn.Parameter, weights: Mapping[str, Tensor]) -> Tensor:
    """The tensor of a parameter in a state dict, under any of its names: a shared one is stored under one."""
    names = [n for n, p in model.named_parameters(remove_duplicate=False) if p is parameter]
    known = [n for n in names if n in weights]
    if not known:
        raise InputError(f"the state dict holds no {name!r}; give that of the same model")
    tensor = weights[known[0]]
    if tensor.shape != parameter.shape:
        raise InputError(
            f"{name} has shape {tuple(tensor.shape)} in the state dict and {tuple(parameter.shape)} in the "
            "model; give that of the same model"
        )
    return tensor


def _require_memory(ends: Tensor, neb: NebSettings, samples: int) -> None:
    """InputError if the path in float64 and the samples' gradients will not fit into what is free."""
    points = (neb.most_pivots + 1) * neb.refine + 1
    needed = ends.shape[1] * (8 * COPIES * points + 20 * samples)
    free = free_memory(ends.device)
    if needed > free:
        raise InputError(
            f"a path of {points} points of N = {ends.shape[1]} weights and {samples} samples' gradients take "
            f"about {needed:.2g} bytes, {free:.2g} are free; lower neb.refine or neb.most_pivots, set "
            "drift_positions = 0, give fewer samples, or restrict params"
        )


def _descent(
    problem: tuple[nn.Module, LossFunction, object], ends: Tensor, tol: float, memory_budget: float | None
) -> Descent:
    """The default descent, at the rate 1 / λ_max, the largest of five points of the straight line."""
    model, loss_fn, data = problem
    sharpest = 0.0
    for point in straight_line(*ends).spaced(5):
        with at_weights(model, point):
            operator = HessianOperator(model, loss_fn, data, memory_budget=memory_budget)
            require_symmetric(operator, 0)
            sharpest = max(sharpest, converged_eigenpairs(operator, 1, tol=tol).values[0].item())
    if not sharpest > 0:
        raise InputError("the loss has no positive curvature between the ends: they are no minima; train on")
    samples = batches.size(data)
    return Descent(
        momentum=0.9,
        weight_decay=0.0,
        steps=STEPS,
        batches=[min(batch, samples) for batch in BATCHES],
        learning_rates=[1 / sharpest] * len(STEPS),
    )


def _drift(
    problem: tuple[nn.Module, LossFunction, object],
    path: Path,
    positions: int,
    learning_rate: float,
    replicas: int,
    seed: int,
) -> pd.DataFrame:
    """The drift of 15 steps of plain SGD at batch 4; empty, with a warning, where SGD diverges."""
    settings = DriftSettings(learning_rate, batch=4, steps=15, replicas=replicas, followed=2)
    try:
        return drift(*problem, path, path.segment_middles(positions), settings, seed=seed)
    except FloatingPointError as error:  # what was measured before is kept
        warnings.warn(f"no drift was measured: {error}", stacklevel=3)
        return pd.DataFrame()
