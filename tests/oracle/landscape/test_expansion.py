"""The quadratic model's error against the truth, in three precisions."""

import numpy as np
import pandas as pd
import pytest
import torch

from valleyscope.eigen import top_eigenpairs
from valleyscope.hessian import HessianOperator
from valleyscope.landscape.estimators import Grid
from valleyscope.landscape.expansion import (
    compare_estimators,
    expansion_errors,
    in_precision,
    moments_by_precision,
    validity,
)
from valleyscope.models.model import ModelSettings, sequence_losses

K = 4


@pytest.fixture
def eigen(model, tokens):
    return top_eigenpairs(HessianOperator(model, sequence_losses, tokens[:K]), 4, tol=1e-9)


def test_the_error_is_of_third_order_in_float64_and_has_a_floor_below(draw_model, tokens):
    # GELU has no kinks: a draw that crosses one of ReLU² errs by σ² there.
    settings = ModelSettings(11, context=6, depth=1, width=8, heads=2, kv_heads=1, activation="gelu")
    model = draw_model(settings)
    eigen = top_eigenpairs(HessianOperator(model, sequence_losses, tokens[:K]), 4, tol=1e-9)
    grid = Grid(dims=[3], sigmas=[1e-6, 1e-5, 1e-4, 1e-3], samples=6, seed=1)
    table = expansion_errors(model, sequence_losses, tokens, eigen, K, grid)
    wide = table.pivot(index=["quantity", "dim", "sigma"], columns="precision", values="error")
    for quantity in ("loss", "increment"):
        for dim in (3, len(eigen.vectors)):
            exact = wide["float64"][quantity, dim]
            assert exact[1e-3] / exact[1e-4] > 300  # σ³; a wrong curvature would leave σ², 100
            assert wide["float32"][quantity, dim][1e-6] > 30 * exact[1e-6]
            assert wide["bfloat16"][quantity, dim][1e-6] > 30 * wide["float32"][quantity, dim][1e-6]
    signal = table.pivot_table(index=["quantity", "dim"], columns="sigma", values="signal")
    assert (signal[1e-5] / signal[1e-6] > 8).all()


def test_validity_is_read_off_the_errors():
    sigmas = [1e-4, 1e-3, 1e-2, 1e-1]
    table = pd.DataFrame({"quantity": "loss", "dim": 4, "precision": "float64", "sigma": sigmas})
    table["signal"], table["error"] = 1.0, [1e-3, 1e-2, 1e-1, 1.0]
    found = validity(table.sample(frac=1, random_state=0), 0.1)
    assert found["sigma_star"].item() == pytest.approx(1e-2)
    assert np.isnan(found["sigma_floor"].item())


def test_lower_precision_rounds_weights_and_keeps_the_loss_in_single(model, tokens):
    low = in_precision(model, "bfloat16")
    with torch.no_grad():
        losses = sequence_losses(low, tokens)
        exact = sequence_losses(model, tokens)
    assert losses.dtype == torch.float32
    assert 1e-5 < (losses - exact).abs().max() < 0.1
    assert next(model.parameters()).dtype == torch.float64  # the original is left alone
    torch.testing.assert_close(
        sequence_losses(in_precision(model, "float64"), tokens), sequence_losses(model, tokens)
    )


def test_moments_in_float64_are_those_of_the_true_increments(model, tokens, eigen):
    grid = Grid(dims=[2], sigmas=[1e-3], samples=40, seed=3)
    table = moments_by_precision(model, sequence_losses, tokens, eigen, K, grid)
    wide = table.pivot(index="dim", columns="precision", values="estimate")
    np.testing.assert_allclose(wide["float32"], wide["float64"], rtol=1e-2)
    with torch.no_grad():
        losses = sequence_losses(model, tokens)
    value = ((losses[K] - losses[:K].mean()) / (K + 1)) ** 2
    assert table[table["precision"] == "float64"]["value"].iloc[0] == pytest.approx(value.item(), rel=1e-9)


def test_estimators_converge_on_one_another(model, tokens, eigen):
    grid = Grid(dims=[1, 4], sigmas=[1e-4, 1e-3], samples=400, seed=2)
    table = compare_estimators(model, sequence_losses, tokens, eigen, K, grid, [50, 400])
    assert len(table) == 2 * 2 * 2
    for name in ("direct", "quadratic"):
        assert ((table[name] - table["gaussian_moment"]).abs() <= 5 * table[f"{name}_se"]).all()
    np.testing.assert_allclose(table["difference"], table["direct"] - table["quadratic"], atol=1e-15)
    most = table[table["samples"] == 400]
    # The same draws in both: the difference is far below the scatter of either.
    assert (most["difference"].abs() < 0.05 * most["direct_se"]).all()
