import dense
import pytest
import torch

from valleyscope.hessian import HessianOperator
from valleyscope.model import sequence_losses
from valleyscope.traces import trace


def test_trace_of_a_transformer_hessian(model, tokens):
    H = dense.hessian(model, sequence_losses, tokens)
    estimate = trace(HessianOperator(model, sequence_losses, tokens), probes=200, seed=3)
    assert abs(estimate.mean - H.trace().item()) <= 5 * estimate.standard_error
    # Rademacher probes: Var = 2 (‖H‖_F² − Σ H_ii²)
    variance = 2 * (H.square().sum() - H.diagonal().square().sum()).item()
    assert estimate.standard_error == pytest.approx((variance / 200) ** 0.5, rel=0.35)


def test_a_diagonal_matrix_has_no_error(rng):
    diagonal = torch.randn(50, generator=rng, dtype=torch.float64)
    estimate = trace(dense.MatrixOperator(diagonal.diag()), probes=3, seed=0)
    assert estimate.mean == pytest.approx(diagonal.sum().item(), rel=1e-12)
    assert estimate.standard_error == pytest.approx(0, abs=1e-12)
