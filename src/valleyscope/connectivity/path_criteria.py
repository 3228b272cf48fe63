"""Paper A's criterion along a path of Paper B: does it see the barrier?"""

import numpy as np
import pandas as pd
from torch import Tensor, nn

from valleyscope.connectivity.profile import Place
from valleyscope.engine.weights import LossFunction
from valleyscope.landscape.increments import increment_model, sample_operators


def path_criteria(
    model: nn.Module,
    loss_fn: LossFunction,
    place: Place,
    candidates: Tensor,
    dims: list[int],
    sigmas: list[float],
) -> pd.DataFrame:
    """Paper A's terms at a position, each candidate (C, ...) taken as the next sample: a row a D and σ.

    Columns: position, dim, sigma; value, slope, curvature, cross and variance: means over candidates of the
    four terms of Δ₂^(D) and of Var δ, nats². The model's weights must be those of the place.
    """
    models = [
        increment_model(place.operator, place.eigen, sample)
        for sample in sample_operators(model, loss_fn, candidates)
    ]
    rows = []
    for dim in dims:
        for sigma in sigmas:
            leading = [m.leading(dim) for m in models]
            terms = pd.DataFrame([m.terms(sigma) for m in leading]).mean()
            variance = np.mean([m.variance(sigma) for m in leading])
            rows.append(
                {"position": place.position, "dim": dim, "sigma": sigma, **terms, "variance": variance}
            )
    return pd.DataFrame(rows)
