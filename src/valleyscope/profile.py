"""Loss and curvature along a path."""

from collections.abc import Callable

import pandas as pd
from torch import Tensor, nn

from valleyscope.eigen import top_eigenpairs
from valleyscope.errors import InputError
from valleyscope.hessian import HessianOperator
from valleyscope.paths import Path
from valleyscope.traces import traces
from valleyscope.training import mean_loss
from valleyscope.weights import LossFunction, at_weights


def profile_path(
    model: nn.Module,
    loss_fn: LossFunction,
    data: Tensor,
    path: Path,
    positions: list[float],
    *,
    probes: int,
    tol: float,
    seed: int,
    memory_budget: float | None = None,
    on_point: Callable[[float], None] = lambda position: None,
) -> pd.DataFrame:
    """One row a position: training loss (nats), Tr H of it with standard error, λ_max with residual.

    λ_max is the largest algebraic eigenvalue, its residual at most `tol` · λ_max.
    """
    rows = []
    for position in positions:
        with at_weights(model, path.point(position)):
            operator = HessianOperator(model, loss_fn, data, memory_budget=memory_budget)
            estimate = traces(operator, probes, seed).trace
            eigen = top_eigenpairs(operator, 1, tol=tol, seed=seed)
            if not eigen.converged:
                raise InputError(f"λ_max at position {position} did not converge; raise tol = {tol}")
            rows.append(
                {
                    "position": position,
                    "train_loss": operator.loss,
                    "trace": estimate.mean,
                    "trace_se": estimate.standard_error,
                    "lambda_max": eigen.values[0].item(),
                    "lambda_max_residual": eigen.residuals[0].item(),
                }
            )
        on_point(position)
    return pd.DataFrame(rows)


def loss_profile(
    model: nn.Module,
    loss_fn: LossFunction,
    data: Tensor,
    held_out: Tensor,
    path: Path,
    positions: list[float],
) -> pd.DataFrame:
    """One row a position: train_loss and held_out_loss (nats)."""
    rows = []
    for position in positions:
        with at_weights(model, path.point(position)):
            train_loss = mean_loss(model, loss_fn, data)
            held_out_loss = mean_loss(model, loss_fn, held_out)
        rows.append((position, train_loss, held_out_loss))
    return pd.DataFrame(rows, columns=["position", "train_loss", "held_out_loss"])
