"""Criteria at a point against dense truth on a tiny float64 model."""

import dense
import numpy as np
import pytest
import torch

from valleyscope.eigen import top_eigenpairs
from valleyscope.engine.weights import at_weights, flat_weights
from valleyscope.errors import InputError
from valleyscope.hessian import HessianOperator
from valleyscope.landscape.estimators import (
    Grid,
    candidate_models,
    estimate_criteria,
    fixed_weights_criteria,
)
from valleyscope.landscape.spaces import full_space_draws
from valleyscope.models.model import ModelSettings, Transformer, sequence_losses

K = 4
GRID = Grid(dims=[2, 4], sigmas=[1e-4, 1e-3], samples=300, seed=0, candidate_draws=200)


@pytest.fixture
def problem(model, tokens):
    operator = HessianOperator(model, sequence_losses, tokens[:K])
    return operator, top_eigenpairs(operator, 4, tol=1e-9)


def by_estimator(table, column):
    keys = ["next", "criterion", "dim", "sigma"]
    return table[table["criterion"] != "delta1"].pivot(index=keys, columns="estimator", values=column)


@pytest.fixture
def tables(model, tokens, problem):
    operator, eigen = problem
    data, held_out = tokens[: K + 1], tokens[K + 1 :]
    return estimate_criteria(model, sequence_losses, operator, data, held_out, eigen, GRID)


def test_candidates_equal_the_dense_difference_of_two_means(model, tokens, problem):
    operator, eigen = problem
    draws = full_space_draws(operator.size, 3, seed=5)
    models = candidate_models(model, sequence_losses, operator, eigen, tokens[K:], draws, 3)
    assert len(models) == len(tokens) - K
    for candidate, sample in zip(models, tokens[K:], strict=True):
        after = torch.cat([tokens[:K], sample[None]])
        A = dense.hessian(model, sequence_losses, after) - dense.hessian(model, sequence_losses, tokens[:K])
        c = dense.gradient(model, sequence_losses, after) - dense.gradient(model, sequence_losses, tokens[:K])
        v = draws.double()
        np.testing.assert_allclose(candidate.full.traces, ((v @ A) * v).sum(1).numpy(), rtol=1e-7)
        np.testing.assert_allclose(candidate.full.squares, (v @ A).square().sum(1).numpy(), rtol=1e-7)
        assert candidate.full.slope_square == pytest.approx(c.square().sum().item(), rel=1e-9)
        sigma = 0.02
        u = sigma * v
        quadratic = candidate.full.value + u @ c + 0.5 * ((u @ A) * u).sum(1)
        np.testing.assert_allclose(candidate.full.at(sigma), quadratic.numpy(), rtol=1e-8)
        alone = dense.hessian(model, sequence_losses, sample[None])
        assert candidate.norm == pytest.approx(torch.linalg.eigvalsh(alone).abs().max().item(), rel=0.05)


def test_estimators_agree_within_their_errors(tables):
    estimates, _, _ = tables
    wide, errors = by_estimator(estimates, "estimate"), by_estimator(estimates, "standard_error")
    for name in ("direct", "quadratic"):
        gap = (wide[name] - wide["gaussian_moment"]).abs().dropna()
        assert len(gap) >= 6
        assert (gap <= 5 * np.hypot(errors[name], errors["gaussian_moment"].fillna(0))[gap.index]).all()
    np.testing.assert_allclose(wide["direct_minus_quadratic"], wide["direct"] - wide["quadratic"], atol=1e-12)
    spread = by_estimator(estimates, "variance").dropna()
    assert len(spread) == 6
    np.testing.assert_allclose(spread["direct"], spread["quadratic"], rtol=0.02)
    np.testing.assert_allclose(spread["quadratic"], spread["gaussian_moment"], rtol=5 * (2 / 300) ** 0.5)


def test_single_is_the_next_of_the_stream_and_expected_the_mean_over_candidates(tables, model, tokens):
    estimates, _, _ = tables
    with torch.no_grad():
        losses = sequence_losses(model, tokens)
    delta = ((losses[K:] - losses[:K].mean()) / (K + 1)).abs().numpy()
    first = estimates[estimates["criterion"] == "delta1"].set_index("next")["estimate"]
    assert first["single"] == pytest.approx(delta[0], rel=1e-9)
    assert first["expected"] == pytest.approx(delta[1:].mean(), rel=1e-9)


def test_terms_sum_to_the_closed_form_and_respect_the_bound(tables):
    estimates, terms, bounds = tables
    keys = ["next", "criterion", "dim", "sigma"]
    total = terms.set_index(keys)[["value", "slope", "curvature", "cross"]].sum(axis=1)
    closed = by_estimator(estimates, "estimate")["gaussian_moment"]
    np.testing.assert_allclose(total.sort_index(), closed.sort_index(), rtol=1e-10)
    single = terms[terms["next"] == "single"]
    moment = single[["value", "slope", "curvature", "cross"]].sum(axis=1)
    assert (moment <= single["sharper_bound"]).all()
    assert (single["sharper_bound"] < single["published_bound"]).all()
    assert bounds.loss > 0
    whole = terms[terms["criterion"] == "delta2"]
    np.testing.assert_allclose(whole["spread_ratio"], 1)
    assert terms[terms["criterion"] == "delta2_D"]["spread_ratio"].between(0, 1).all()


def test_direct_full_space_draws_are_the_true_increments(tables, model, tokens):
    estimates, _, _ = tables
    w = flat_weights(model)
    draws = full_space_draws(len(w), GRID.samples, GRID.seed)
    squares = []
    for v in draws:
        with at_weights(model, w + 1e-3 * v), torch.no_grad():
            losses = sequence_losses(model, tokens[: K + 1])
        squares.append((((losses[K] - losses[:K].mean()) / (K + 1)) ** 2).item())
    row = estimates.query(
        "next == 'single' and criterion == 'delta2' and sigma == 1e-3 and estimator == 'direct'"
    )
    assert row["estimate"].item() == pytest.approx(np.mean(squares), rel=1e-8)


def test_fixed_weights_give_the_rate_by_algebra(model, tokens):
    """(k+1)² Δ of a fixed next sample moves only through L_k."""
    data, held_out = tokens[:6], tokens[6:]
    table = fixed_weights_criteria(model, sequence_losses, data, held_out, [2, 5], Grid([], [1e-3], 20, 0))
    with torch.no_grad():
        losses = sequence_losses(model, tokens)
    for k in (2, 5):
        rows = table[(table["k"] == k) & (table["criterion"] == "delta1")].set_index("next")["estimate"]
        assert rows["single"] == pytest.approx((losses[k] - losses[:k].mean()).abs().item() / (k + 1))
        assert rows["expected"] == pytest.approx((losses[6] - losses[:k].mean()).abs().item() / (k + 1))
    w = flat_weights(model)
    total = 0.0
    for v in full_space_draws(len(w), 20, 0):
        with at_weights(model, w + 1e-3 * v), torch.no_grad():
            losses = sequence_losses(model, tokens)
        total += ((losses[5] - losses[:5].mean()) / 6).item() ** 2 / 20
    row = table.query("k == 5 and criterion == 'delta2' and next == 'single'")
    assert row["estimate"].item() == pytest.approx(total, rel=1e-8)


def test_a_missing_next_sample_is_refused(model, tokens, problem):
    operator, eigen = problem
    with pytest.raises(InputError, match="k = 4 needs 5 samples, the data has 4"):
        estimate_criteria(model, sequence_losses, operator, tokens[:K], tokens[K:], eigen, GRID)


def test_probes_do_not_point_along_the_weights_of_the_same_seed():
    settings = ModelSettings(vocab_size=64, context=4, depth=1, width=32, heads=2, kv_heads=2)
    drawn = Transformer(settings, seed=3)
    w = flat_weights(drawn)
    probe = full_space_draws(len(w), 1, seed=3)[0]
    size = drawn.embedding.weight.numel()
    cosine = torch.cosine_similarity(probe[:size], w[:size], dim=0)
    assert abs(cosine) < 6 / size**0.5
