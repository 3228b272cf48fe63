"""What a subspace sees of an increment: other probes beside the top of the spectrum, and its drift."""

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from valleyscope.criteria import FullSpaceModel, IncrementModel, quadratic_strength
from valleyscope.eigen import EigenResult, converged_eigenpairs
from valleyscope.engine.weights import LossFunction, flatten, select_parameters
from valleyscope.landscape.increments import IncrementOperator
from valleyscope.landscape.spaces import PROBES


def orthonormal(vectors: Tensor) -> Tensor:
    """An orthonormal basis (N, D) whose first d columns span those of `vectors` (N, D), for every d."""
    return torch.linalg.qr(vectors.double())[0].to(vectors)


def random_subspace(size: int, dim: int, seed: int) -> Tensor:
    """D orthonormal directions drawn from the uniform distribution, (N, D) float32."""
    generator = torch.Generator().manual_seed(PROBES + seed)
    return orthonormal(torch.randn(size, dim, generator=generator))


def minibatch_gradients(
    model: nn.Module, loss_fn: LossFunction, data: Tensor, count: int, batch: int, seed: int
) -> Tensor:
    """Gradients of minibatches of `data` drawn with replacement: what SGD would step along, (N, count)."""
    generator = torch.Generator().manual_seed(seed)
    parameters = list(select_parameters(model).values())
    columns = []
    for _ in range(count):
        chosen = torch.randint(len(data), (batch,), generator=generator)
        loss = loss_fn(model, data[chosen]).mean()
        columns.append(flatten(torch.autograd.grad(loss, parameters)))
    return torch.stack(columns, dim=1)


def increment_subspace(increment: IncrementOperator, dim: int, tol: float, seed: int) -> Tensor:
    """Δg and the leading eigenvectors (by magnitude) of A, orthonormal, (N, D).

    The first direction alone holds the whole slope term.
    """
    slope = increment.gradient()[:, None]
    if dim == 1:
        return orthonormal(slope)
    leading = converged_eigenpairs(increment, dim - 1, which="LM", tol=tol, seed=seed)
    return orthonormal(torch.cat([slope, leading.vectors], dim=1))


def compare_subspaces(
    models: dict[str, IncrementModel],
    full: FullSpaceModel,
    size: int,
    dims: list[int],
    sigmas: list[float],
) -> pd.DataFrame:
    """Captured share and spread ratio of each subspace by D and σ, from the models of δ_k in their bases.

    `size` is N. Columns: results/README.md, subspaces.csv.
    """
    rows = []
    for name, model in models.items():
        share = (model.slope**2).cumsum() / full.slope_square
        for dim in dims:
            for sigma in sigmas:
                row = {"subspace": name, "dim": dim, "gradient_share": share[dim - 1], "sigma": sigma}
                row |= {"chance": dim / size}
                rows.append(row | {"spread_ratio": model.leading(dim).variance(sigma) / full.variance(sigma)})
    return pd.DataFrame(rows)


def compare_index_sets(curvature: np.ndarray, dims: list[int], sets: int, seed: int) -> pd.DataFrame:
    """Quadratic term of the first D eigenvectors and of random sets of D: results/README.md, index_sets.csv.

    `curvature` (P, P) is B in a pool of eigenvectors, the top ones first.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for dim in (d for d in dims if d < len(curvature)):
        chosen = [np.arange(dim)]
        chosen += [generator.choice(len(curvature), dim, replace=False) for _ in range(sets)]
        for draw, index in enumerate(chosen):
            strength = quadratic_strength(curvature[np.ix_(index, index)])
            rows.append({"dim": dim, "draw": draw, "quadratic": strength})
    return pd.DataFrame(rows)


def lemma5_assumptions(curvature: np.ndarray, values: np.ndarray) -> dict[str, float]:
    """How far B (D, D) in the eigenbasis with `values` (D,) is from what Lemma 5 assumes of it."""
    from scipy import stats  # here, since loading it takes half as long as torch

    increments = np.diag(curvature)
    return {
        "nonnegative": float((increments >= 0).mean()),
        "rank_correlation": float(stats.spearmanr(increments, values).statistic),
        "off_diagonal": float(1 - (increments**2).sum() / (curvature**2).sum()),
    }


def subspace_overlap(first: Tensor, second: Tensor) -> tuple[float, float]:
    """Mean squared cosine of the principal angles between two orthonormal bases (N, D), largest angle.

    The angle is in degrees (Björck & Golub 1973); two random D-dimensional subspaces overlap by D/N.
    """
    cosines = torch.linalg.svdvals(first.double().T @ second.double()).clamp(max=1.0)
    return cosines.square().mean().item(), torch.rad2deg(torch.acos(cosines.min())).item()


def eigenspace_drift(before: EigenResult, after: EigenResult, dims: list[int]) -> pd.DataFrame:
    """Overlap and largest angle between top-D eigenspaces: results/README.md, drift.csv."""
    rows = []
    for dim in dims:
        overlap, angle = subspace_overlap(before.vectors[:, :dim], after.vectors[:, :dim])
        chance = dim / len(before.vectors)
        rows.append({"dim": dim, "overlap": overlap, "largest_angle": angle, "chance": chance})
    return pd.DataFrame(rows)
