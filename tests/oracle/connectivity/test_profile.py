from dataclasses import replace

import dense
import numpy as np
import pytest
import torch
from torch import nn

from valleyscope.connectivity.profile import (
    ProfileSettings,
    curvature_profile,
    describe_minimum,
    loss_profile,
    path_spectrum,
    profile_path,
)
from valleyscope.eigen import converged_eigenpairs
from valleyscope.engine.gauss_newton import FisherOperator
from valleyscope.engine.groups import radial_part
from valleyscope.engine.weights import at_weights, flat_weights
from valleyscope.errors import InputError
from valleyscope.models.model import ModelSettings, sequence_losses
from valleyscope.paths import Path

POSITIONS = [0.25, 0.75]
SETTINGS = ProfileSettings(probes=80, label_probes=50, noise_draws=80, eigenpairs=4, tolerance=1e-7)


def logits(model, batch):
    return model(batch[:, :-1])


@pytest.fixture
def small(draw_model):
    """A transformer with N = 280, whose dense matrices cost little."""
    return draw_model(ModelSettings(vocab_size=11, context=6, depth=1, width=4, heads=1, kv_heads=1))


@pytest.fixture
def path(small, rng):
    start = flat_weights(small)
    moves = 0.1 * torch.randn(2, len(start), generator=rng, dtype=torch.float64)
    return Path(torch.stack([start, start + moves[0], start + moves.sum(0)]))


def hessian_at(model, path, position, tokens):
    with at_weights(model, path.point(position)):
        return dense.hessian(model, sequence_losses, tokens)


def one_by_one(model, tokens):
    return torch.stack([dense.gradient(model, sequence_losses, row[None]) for row in tokens])


def close(row, name, truth, spread=None):
    """Within 5 standard errors, and these themselves as large as they should be."""
    assert abs(row[name] - truth) <= 5 * row[f"{name}_se"], name
    if spread is not None:
        assert 0.4 < row[f"{name}_se"] / spread < 2.5, name


def profiled(model, tokens, path, positions=POSITIONS, settings=SETTINGS, **options):
    return profile_path(model, sequence_losses, logits, tokens, path, positions, settings, seed=3, **options)


def test_curvature_and_noise_equal_dense_matrices(small, tokens, path):
    before, seen = flat_weights(small), []

    def look(place):
        seen.append((place.position, flat_weights(small), place.eigen.values))

    tables = profiled(small, tokens, path, on_point=look)
    assert torch.equal(flat_weights(small), before)
    assert [position for position, _, _ in seen] == POSITIONS
    assert tables["curvature"]["position"].tolist() == POSITIONS
    for (position, weights, values), (_, row) in zip(seen, tables["curvature"].iterrows(), strict=True):
        assert torch.equal(weights, path.point(position))
        with at_weights(small, weights):
            H = dense.hessian(small, sequence_losses, tokens)
            rows = one_by_one(small, tokens)
            loss = sequence_losses(small, tokens).mean().item()
            fisher = FisherOperator(small, logits, tokens, seed=3)
            F = fisher.matmat(torch.eye(len(weights), dtype=torch.float64))
        sigma = torch.cov(rows.T, correction=0)
        assert row["train_loss"] == pytest.approx(loss, rel=1e-10)
        assert row["gradient_norm"] == pytest.approx(rows.mean(0).norm().item(), rel=1e-9)
        # Random signs: Var vᵀAv = 2 (‖A‖_F² − Σ A_ii²); normal u: Var uᵀHu = 2 Tr (HΣ)².
        for name, A, probes in (("trace", H, 80), ("square", H @ H, 80), ("fisher", F, 50)):
            spread = (2 * (A.square().sum() - A.diagonal().square().sum()).item() / probes) ** 0.5
            close(row, name, A.trace().item(), spread)
        shared = H @ sigma
        close(row, "shared", shared.trace().item(), (2 * (shared @ shared).trace().item() / 80) ** 0.5)
        assert row["noise"] == pytest.approx(sigma.trace().item(), rel=1e-9)
        assert row["noise_square"] == pytest.approx(sigma.square().sum().item(), rel=1e-9)
        truth = torch.linalg.eigvalsh(H).flip(0)[:4]
        assert row["lambda_max"] == pytest.approx(truth[0].item(), rel=1e-6)
        assert row["lambda_max_residual"] <= 1e-7 * truth[0].item() * 1.001
        torch.testing.assert_close(values, truth, rtol=1e-6, atol=1e-6 * truth[0].item())
        found = tables["eigenvalues"].query(f"position == {position}")
        assert found["rank"].tolist() == [1, 2, 3, 4]
        assert found["eigenvalue"].tolist() == values.tolist()


def test_groups_add_up_to_the_whole_and_equal_dense_blocks(small, tokens, path):
    tables = profiled(small, tokens, path, [0.75])
    N = sum(p.numel() for p in small.parameters())
    order = torch.cat([torch.full((p.numel(),), i) for i, p in enumerate(small.parameters())])
    names = ["embedding", "query", "key", "value", "output", "up", "down", "head"]  # one matrix a layer
    for whole in tables["curvature"].itertuples():
        groups = tables["groups"].query(f"position == {whole.position}").set_index("group")
        assert groups.index.tolist() == names
        assert groups["parameters"].sum() == N
        assert groups["tangent"].sum() == pytest.approx(1, rel=1e-9)
        assert groups["trace"].sum() == pytest.approx(whole.trace, rel=1e-9)
        H = hessian_at(small, path, whole.position, tokens)
        W, t = path.point(whole.position), path.tangent(whole.position)
        for i, name in enumerate(names):
            here, row = order == i, groups.loc[name]
            block = H[here][:, here]
            # vᵀ P H v has the symmetric part of PH, half of it where it leaves the block.
            half = torch.zeros_like(H)
            half[here] += H[here] / 2
            half[:, here] += H[:, here] / 2
            variance = 2 * (half.square().sum() - half.diagonal().square().sum()).item()
            close(row, "trace", block.trace().item(), (variance / 80) ** 0.5)
            assert row["norm"] == pytest.approx(W[here].norm().item(), rel=1e-12)
            assert row["tangent"] == pytest.approx(t[here].square().sum().item(), rel=1e-9)
            radial = (t[here] @ W[here] / W[here].norm()).square().item()
            assert row["radial"] == pytest.approx(radial, rel=1e-9)
        # The same share as the drift's radial part.
        radial = radial_part(small, W, t).square().sum().item()
        assert groups["radial"].sum() == pytest.approx(radial, rel=1e-9)


def test_eigenpairs_start_from_those_before_and_must_converge(small, tokens, path, monkeypatch):
    starts, found = [], []

    def spy(*args, initial, **options):
        starts.append(initial)
        found.append(converged_eigenpairs(*args, initial=initial, **options))
        return found[-1]

    monkeypatch.setattr("valleyscope.connectivity.profile.converged_eigenpairs", spy)
    cheap = ProfileSettings(probes=2, label_probes=2, noise_draws=2, eigenpairs=1, tolerance=1e-7)
    products = profiled(small, tokens, path, [0.5, 0.6], cheap)["curvature"]["products"]
    assert starts[0] is None
    assert torch.equal(starts[1], found[0].vectors)
    assert products.tolist() == [result.matvecs for result in found]
    hopeless = replace(cheap, tolerance=1e-30)
    with pytest.raises(InputError, match="1 eigenpairs did not converge"):
        profiled(small, tokens, path, [0.5], hopeless)


def test_a_minimum_is_described_by_its_dense_hessian_and_gradients(small, tokens, rng):
    held_out = torch.randint(11, (4, 7), generator=rng)
    before = flat_weights(small)
    weights = before + 0.1 * torch.randn(len(before), generator=rng, dtype=torch.float64)
    found = describe_minimum(small, sequence_losses, tokens, held_out, weights, probes=100, tol=1e-7, seed=0)
    assert torch.equal(flat_weights(small), before)
    with at_weights(small, weights):
        H = dense.hessian(small, sequence_losses, tokens)
        rows = one_by_one(small, tokens)
        losses = [sequence_losses(small, data).mean().item() for data in (tokens, held_out)]
    assert [found["train_loss"], found["held_out_loss"]] == pytest.approx(losses, rel=1e-10)
    gradient = rows.mean(0).norm().item()
    assert found["gradient_norm"] == pytest.approx(gradient, rel=1e-9)
    assert found["stationarity"] == pytest.approx(gradient**2 / (rows.square().sum().item() / 7**2), rel=1e-9)
    assert found["weight_norm"] == pytest.approx(weights.norm().item(), rel=1e-12)
    assert found["lambda_max"] == pytest.approx(torch.linalg.eigvalsh(H)[-1].item(), rel=1e-6)
    close(found, "trace", H.trace().item())


def test_stationarity_is_small_at_a_minimum_and_one_without_common_gradient(rng):
    """Of ½|w − x|²: 0 at the mean; far away all gradients agree and it is n."""

    class Point(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(3, dtype=torch.float64))

    x = torch.randn(5, 3, generator=rng, dtype=torch.float64)

    def stationarity(weights):
        loss_fn = lambda m, b: 0.5 * (m.w - b).square().sum(1)  # noqa: E731
        return describe_minimum(Point(), loss_fn, x, x, weights, probes=2, tol=1e-6, seed=0)["stationarity"]

    assert stationarity(x.mean(0)) < 1e-20
    assert stationarity(x.mean(0) + 1e6) == pytest.approx(5, rel=1e-4)


def test_the_spectrum_along_a_path_integrates_to_one(small, tokens, path):
    found = path_spectrum(
        small,
        sequence_losses,
        tokens,
        path,
        POSITIONS,
        steps=25,
        probes=8,
        points=300,
        width=0.03,
        seed=0,
    )
    assert found.groupby("position").size().tolist() == [300, 300]
    grids = [table["eigenvalue"].to_numpy() for _, table in found.groupby("position")]
    np.testing.assert_array_equal(*grids)
    values = [torch.linalg.eigvalsh(hessian_at(small, path, t, tokens)).numpy() for t in POSITIONS]
    low, high = min(v.min() for v in values), max(v.max() for v in values)
    assert grids[0][[0, -1]] == pytest.approx(
        [low - 0.06 * (high - low), high + 0.06 * (high - low)], rel=1e-3
    )
    for (_, table), truth in zip(found.groupby("position"), values, strict=True):
        assert np.trapezoid(table["density"], table["eigenvalue"]) == pytest.approx(1, abs=5e-3)
        width = 0.03 * (high - low)
        z = (table["eigenvalue"].to_numpy()[:, None] - truth) / width
        density = (np.exp(-0.5 * z**2) / (width * np.sqrt(2 * np.pi))).mean(1)
        error = np.abs(table["density"].to_numpy() - density)
        assert (error <= 8 * table["density_se"].to_numpy() + 0.01 * density.max()).all()


def test_curvature_and_loss_profiles_equal_dense_truth(small, tokens, path, rng):
    held_out = torch.randint(11, (4, 7), generator=rng)
    curvature = curvature_profile(
        small, sequence_losses, tokens, path, POSITIONS, probes=100, tol=1e-7, seed=1
    )
    losses = loss_profile(small, sequence_losses, tokens, held_out, path, POSITIONS)
    assert curvature["position"].tolist() == losses["position"].tolist() == POSITIONS
    for i, position in enumerate(POSITIONS):
        H = hessian_at(small, path, position, tokens)
        close(curvature.iloc[i], "trace", H.trace().item())
        assert curvature["lambda_max"][i] == pytest.approx(torch.linalg.eigvalsh(H)[-1].item(), rel=1e-6)
        with at_weights(small, path.point(position)):
            for name, data in (("train_loss", tokens), ("held_out_loss", held_out)):
                truth = sequence_losses(small, data).mean().item()
                assert losses[name][i] == pytest.approx(truth, rel=1e-12)
