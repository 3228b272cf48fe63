"""Paper A's criterion at a place of a path against dense truth."""

import dense
import numpy as np
import pandas as pd
import pytest
import torch

from valleyscope.connectivity.path_criteria import path_criteria
from valleyscope.connectivity.profile import Place
from valleyscope.criteria import IncrementModel
from valleyscope.eigen import converged_eigenpairs
from valleyscope.hessian import HessianOperator
from valleyscope.models.model import ModelSettings, sequence_losses


def test_criteria_equal_increment_models_of_dense_hessians(draw_model, tokens, rng):
    small = draw_model(ModelSettings(vocab_size=11, context=6, depth=1, width=4, heads=1, kv_heads=1))
    candidates = torch.randint(11, (3, 7), generator=rng)
    operator = HessianOperator(small, sequence_losses, tokens)
    place = Place(0.5, operator, converged_eigenpairs(operator, 3, tol=1e-8))
    found = path_criteria(small, sequence_losses, place, candidates, [1, 3], [0.1, 0.7])
    assert found[["dim", "sigma"]].to_numpy().tolist() == [[1, 0.1], [1, 0.7], [3, 0.1], [3, 0.7]]
    assert (found["position"] == 0.5).all()

    def mean(data):
        return (
            sequence_losses(small, data).mean().item(),
            dense.gradient(small, sequence_losses, data),
            dense.hessian(small, sequence_losses, data),
        )

    value, gradient, H = mean(tokens)
    U = torch.linalg.eigh(H).eigenvectors.flip(1)
    longer = [mean(torch.cat([tokens, candidate[None]])) for candidate in candidates]
    for row in found.itertuples():
        basis = U[:, : row.dim]
        models = [
            IncrementModel(l_1 - value, basis.T @ (g_1 - gradient), basis.T @ (H_1 - H) @ basis)
            for l_1, g_1, H_1 in longer
        ]
        terms = pd.DataFrame([m.terms(row.sigma) for m in models]).mean()
        for name in ("value", "slope", "curvature", "cross"):
            assert getattr(row, name) == pytest.approx(terms[name], rel=1e-5), name
        assert row.variance == pytest.approx(np.mean([m.variance(row.sigma) for m in models]), rel=1e-5)
