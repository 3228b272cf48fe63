"""Both procedures at one point: what the tables say of them against dense truth."""

import dense
import pytest
import torch

from valleyscope.landscape.procedures import ProcedureSettings, compare_procedures
from valleyscope.landscape.published import evenly_spaced
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
    assert found["residual"] < 1e-8 * 1.01
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
    # uᵀHu is of the Hessian that it sees, that of four sequences.
    H = dense.hessian(model, sequence_losses, evenly_spaced(tokens[:K]))
    extreme = torch.linalg.eigvalsh(H)[[0, -1]].tolist()
    assert rows["rayleigh"].between(*extreme).all()
