"""Both procedures at one point: what the tables say of them against dense truth."""

import dense
import pytest
import torch

from valleyscope.landscape import published
from valleyscope.landscape.procedures import Procedure, ProcedureSettings, compare_procedures
from valleyscope.models.model import sequence_losses

K = 6
SETTINGS = ProcedureSettings(dim=3, steps=4, sigma=1e-3, samples=50, tolerance=1e-8, seed=1)


@pytest.fixture
def tables(model, tokens):
    return compare_procedures(model, sequence_losses, tokens, K, SETTINGS)


def test_the_corrected_one_is_right(tables, model, tokens):
    quantities, eigenvalues = tables
    H = dense.hessian(model, sequence_losses, tokens[:K])
    A = dense.hessian(model, sequence_losses, tokens[: K + 1]) - H
    values, vectors = torch.linalg.eigh(H)
    U = vectors.flip(1)[:, :3]
    found = quantities[quantities["procedure"] == "corrected"].set_index("quantity")["value"]
    assert found["orthogonality"] < 1e-8
    assert found["wrong_signs"] == 0
    assert found["residual"] <= 1.01e-8 * (values.abs().max() / values.max()).item()
    norm = (U.T @ A @ U).norm().item()
    assert found["norm_B"] == pytest.approx(norm, rel=1e-5)
    assert found["norm_B_exact"] == pytest.approx(norm, rel=1e-5)
    with torch.no_grad():
        losses = sequence_losses(model, tokens)
    value = (losses[: K + 1].mean() - losses[:K].mean()).item() ** 2
    assert found["value"] == pytest.approx(value, rel=1e-8)
    assert abs(found["direct"] - found["gaussian_moment"]) <= 5 * found["direct_se"]
    rows = eigenvalues[eigenvalues["procedure"] == "corrected"]
    assert rows["rank"].tolist() == [1, 2, 3]
    assert rows["eigenvalue"].tolist() == pytest.approx(values.flip(0)[:3].tolist(), rel=1e-6)
    assert rows["rayleigh"].tolist() == pytest.approx(rows["eigenvalue"].tolist(), rel=1e-6)


def test_the_published_one_shows_its_errors(tables, model, tokens):
    quantities, eigenvalues = tables
    found = quantities[quantities["procedure"] == "published"].set_index("quantity")["value"]
    known = quantities[quantities["procedure"] == "corrected"].set_index("quantity")["value"]
    assert list(found.index) == list(known.index)
    assert found["value"] == pytest.approx(known["value"], rel=1e-7)  # the next sample is the same
    assert abs(found["residual"]) > 1e-3  # four steps a pair are too few
    assert found["norm_B"] != pytest.approx(found["norm_B_exact"], rel=0.01)  # of other sequences
    rows = eigenvalues[eigenvalues["procedure"] == "published"]
    assert (rows["eigenvalue"] > 0).all()  # norms have no sign
    wrong = (rows["rayleigh"] < 0).sum()
    assert found["wrong_signs"] == wrong


def test_the_published_one_sees_four_sequences(model, tokens, monkeypatch):
    seen = []

    class Spy(published.MicrobatchedHessian):
        def __init__(self, model, loss_fn, data, *options, **named):
            super().__init__(model, loss_fn, data, *options, **named)
            seen.append(data)

    monkeypatch.setattr(published, "MicrobatchedHessian", Spy)
    compare_procedures(model, sequence_losses, tokens, K, SETTINGS)
    assert torch.equal(seen[0], published.evenly_spaced(tokens[:K]))


def test_rayleigh_quotients_and_residuals_are_of_vectors_at_norm_one(rng):
    Q = torch.linalg.qr(torch.randn(5, 5, generator=rng, dtype=torch.float64))[0]
    values = torch.tensor([4.0, 1.0, 0.0, -2.0, -3.0], dtype=torch.float64)
    vectors = 7 * torch.stack([Q[:, 3], Q[:, 0] + Q[:, 4]], 1)
    norms = torch.tensor([2.0, 5.0])  # "eigenvalues" that have lost their sign
    found = Procedure(dense.MatrixOperator((Q * values) @ Q.T), norms, vectors, None, None)
    assert found.rayleigh[0].tolist() == pytest.approx([-2, 0.5])
    assert found.rayleigh[1].tolist() == pytest.approx([0, 3.5], abs=1e-12)  # 4 and -3 lie 3.5 from 0.5
