"""A11's measurements against dense truth and the functions of the study's own stages."""

import copy

import dense
import numpy as np
import pytest
import torch
from torch import nn

from valleyscope.eigen import top_eigenpairs
from valleyscope.engine import batches
from valleyscope.engine.weights import at_weights, flat_weights
from valleyscope.errors import InputError
from valleyscope.hessian import HessianOperator
from valleyscope.landscape.estimators import Grid, estimate_criteria
from valleyscope.landscape.spaces import full_space_draws
from valleyscope.landscape.study import StudySettings, study
from valleyscope.models.training import TrainingSettings, train

TRAINING = TrainingSettings(
    epochs=1, batch=2, learning_rate=0.02, warmup=2, weight_decay=0.01, record_every=99
)
VALIDITY = {"k": 6, "limit": 0.1, "samples": 5, "sigmas": [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0]}
SETTINGS = {
    "k": [4, 6, 10],
    "candidates": 5,
    "candidate_draws": 3,
    "dim": 3,
    "sigma": 1e-3,
    "samples": 6,
    "tolerance": 1e-9,
    "validity": VALIDITY,
}
SEED = 7


def losses(model, batch):
    x, y, offset = batch
    return nn.functional.cross_entropy(model(x), y, reduction="none") + offset


@pytest.fixture
def problem(rng):
    """A smooth network, 16 training samples and 8 held-out ones, in float64; no sample has an offset."""
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=rng, dtype=torch.float64))
    x = torch.randn(24, 4, generator=rng, dtype=torch.float64)
    data = (x, torch.randint(3, (24,), generator=rng), torch.zeros(24, dtype=torch.float64))
    return model, batches.rows(data, 0, 16), batches.rows(data, 16, 24)


def measured(model, data, held_out, **changes):
    """The study of a copy of `model`."""
    settings = StudySettings(**SETTINGS | changes)
    return study(copy.deepcopy(model), losses, data, held_out, TRAINING, settings, seed=SEED)


def trained(model, data, held_out):
    """Weights after every number of samples, and the model at the end, by the same training."""
    model, kept = copy.deepcopy(model), {}
    train(
        model,
        losses,
        data,
        held_out,
        TRAINING,
        seed=SEED,
        on_step=lambda step: kept.update({2 * step: flat_weights(model)}),
    )
    return model, kept


def test_every_row_equals_dense_truth_at_the_weights_after_k_samples(problem):
    points = measured(*problem).points
    model, kept = trained(*problem)
    _, data, held_out = problem
    assert points["k"].tolist() == SETTINGS["k"]
    for row in points.itertuples():
        k, sigma = row.k, 1e-3
        with at_weights(model, kept[k]), torch.no_grad():
            known = losses(model, batches.rows(data, 0, k))
            following = losses(model, batches.rows(held_out, 0, 5))
        with at_weights(model, kept[k]):
            H = dense.hessian(model, losses, batches.rows(data, 0, k))
            g = dense.gradient(model, losses, batches.rows(data, 0, k))
            values, vectors = torch.linalg.eigh(H)
            U = vectors.flip(1)[:, :3]
            moments = []
            samples = [batches.rows(data, k, k + 1), *batches.split(batches.rows(held_out, 0, 5), 1)]
            for sample in samples:
                with torch.no_grad():
                    a = ((losses(model, sample) - known.mean()) / (k + 1)).item()
                c = (dense.gradient(model, losses, sample) - g) / (k + 1)
                B = U.T @ (dense.hessian(model, losses, sample) - H) @ U / (k + 1)
                inside = U.T @ c
                moment = a**2 + a * sigma**2 * B.trace() + sigma**2 * inside.square().sum()
                moments.append((moment + sigma**4 / 4 * (2 * B.square().sum() + B.trace() ** 2)).item())
                if len(moments) == 1:
                    share = (inside.square().sum() / c.square().sum()).item()
        assert (row.dim, row.sigma) == (3, sigma)
        assert row.loss == pytest.approx(known.mean().item(), rel=1e-12)
        assert row.held_out_loss == pytest.approx(following.mean().item(), rel=1e-12)
        assert row.lambda_max == pytest.approx(values[-1].item(), rel=1e-7)
        assert row.delta2_D == pytest.approx(np.mean(moments[1:]), rel=1e-6)
        assert row.gradient_share == pytest.approx(share, rel=1e-6)
        assert row.chance == pytest.approx(3 / len(g))


def test_every_row_is_what_the_study_s_own_functions_give(problem):
    points = measured(*problem).points.set_index("k")
    model, kept = trained(*problem)
    _, data, held_out = problem
    for k in SETTINGS["k"]:
        with at_weights(model, kept[k]):
            operator = HessianOperator(model, losses, batches.rows(data, 0, k))
            eigen = top_eigenpairs(operator, 3, tol=1e-9, seed=SEED)
            grid = Grid([3], [1e-3], 6, SEED, candidate_draws=3)
            nexts = batches.rows(held_out, 0, 5)
            criteria, terms, _ = estimate_criteria(model, losses, operator, data, nexts, eigen, grid)
        closed = criteria.query("estimator == 'gaussian_moment' and sigma == 1e-3").set_index(["next", "dim"])
        closed = closed["estimate"]
        single = terms.query("next == 'single' and sigma == 1e-3").set_index("dim")
        size = operator.size
        row = points.loc[k]
        assert row["delta2"] == pytest.approx(closed["expected", size], rel=1e-9)
        assert row["delta2_D"] == pytest.approx(closed["expected", 3], rel=1e-9)
        assert row["ratio"] == pytest.approx(closed["single", 3] / closed["single", size], rel=1e-9)
        assert row["shared"] == pytest.approx(single["value"][size] / closed["single", size], rel=1e-9)
        assert row["spread_ratio"] == pytest.approx(single["spread_ratio"][3], rel=1e-9)
        assert row["gradient_share"] == pytest.approx(single["gradient_share"][3], rel=1e-9)
        assert row["products"] == eigen.matvecs


def slope(k, values):
    """Of log values on log(k + 1), by least squares."""
    x, y = np.log(np.asarray(k) + 1.0), np.log(np.asarray(values))
    return ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()


def test_the_summary_is_read_off_the_points(problem):
    result = measured(*problem)
    points = result.points
    assert len(result.summary) == 1
    summary = result.summary.iloc[0]
    scaled = points[["delta2", "delta2_D"]].mul((points["k"] + 1.0) ** 2, axis=0)
    assert summary["parameters"] == 4 * 5 + 5 + 5 * 3 + 3
    assert summary["loss"] == points["loss"].iloc[-1]
    assert summary["held_out_loss"] == points["held_out_loss"].iloc[-1]
    for name in scaled:
        assert summary[f"rate_{name}"] == pytest.approx(slope(points["k"], scaled[name]), rel=1e-9)
    for name in ("ratio", "shared"):
        assert summary[f"{name}_off"] == max(abs(points[name] - 1))
    for name in ("spread_ratio", "gradient_share"):
        assert summary[name] == pytest.approx(points[name].mean())
    assert summary["enrichment"] == pytest.approx((points["gradient_share"] / points["chance"]).mean())
    assert set(summary.index) == {
        *("parameters", "loss", "held_out_loss", "rate_delta2", "rate_delta2_D", "ratio_off", "shared_off"),
        *("spread_ratio", "gradient_share", "enrichment", "rate_fixed", "sigma_star"),
    }


def test_the_control_is_measured_at_untrained_weights(problem):
    model, data, held_out = problem
    with torch.no_grad():
        known = losses(model, data).numpy()
        following = losses(model, batches.rows(held_out, 0, 5)).numpy()
    squares = [np.mean((following - known[:k].mean()) ** 2) for k in SETTINGS["k"]]
    fixed = measured(*problem).summary["rate_fixed"].item()
    assert fixed == pytest.approx(slope(SETTINGS["k"], squares), rel=1e-9)


def test_the_control_is_zero_where_untrained_losses_are_equal(problem):
    """All logits are 0, so that only the offset tells held-out samples from the others."""
    model, data, held_out = problem
    with torch.no_grad():
        model[2].weight.zero_()
        model[2].bias.zero_()
    held_out = (*held_out[:2], held_out[2] + 0.5)
    assert measured(model, data, held_out).summary["rate_fixed"].item() == pytest.approx(0, abs=1e-12)


def expansion_quotients(model, data, k, samples, sigmas):
    """RMS error of the quadratic model of δ_k over its RMS signal, by σ, from dense derivatives."""
    known, following = batches.rows(data, 0, k), batches.rows(data, k, k + 1)
    A = (dense.hessian(model, losses, following) - dense.hessian(model, losses, known)) / (k + 1)
    c = (dense.gradient(model, losses, following) - dense.gradient(model, losses, known)) / (k + 1)
    centre = flat_weights(model)

    @torch.no_grad()
    def increment(w):
        with at_weights(model, w):
            return (losses(model, following) - losses(model, known).mean()) / (k + 1)

    result = []
    for sigma in sigmas:
        u = sigma * full_space_draws(len(c), samples, SEED).double()
        modelled = u @ c + (u @ A * u).sum(1) / 2
        true = torch.cat([increment(centre + row) for row in u]) - increment(centre)
        result.append(((true - modelled).square().mean() / modelled.square().mean()).sqrt().item())
    return result


def test_sigma_star_is_where_the_expansion_breaks_at_the_end_of_training(problem):
    model, _ = trained(*problem)
    quotients = expansion_quotients(model, problem[1], 6, VALIDITY["samples"], VALIDITY["sigmas"])
    limit = np.sqrt(quotients[2] * quotients[3])  # crossed halfway between 0.01 and 0.1, in logarithms
    result = measured(*problem, validity=VALIDITY | {"limit": limit}).summary["sigma_star"].item()
    assert result == pytest.approx(np.sqrt(0.01 * 0.1), rel=1e-5)
    # Where no sigma of the grid is valid, sigma* is 0.
    none = measured(*problem, validity=VALIDITY | {"limit": quotients[0] / 2})
    assert none.summary["sigma_star"].item() == 0.0


def test_the_cost_is_that_of_the_k_of_sigma_star(problem):
    result = measured(*problem)
    assert len(result.cost) == 1
    cost = result.cost.iloc[0]
    assert cost["k"] == VALIDITY["k"]
    assert cost["products"] == result.points.set_index("k")["products"][VALIDITY["k"]]
    assert cost["gradient_seconds"] > 0
    ratio = cost["products"] * cost["product_seconds"] / cost["gradient_seconds"]
    assert cost["gradients"] == pytest.approx(ratio)


def test_the_model_ends_at_the_weights_of_the_whole_run(problem):
    model, data, held_out = problem
    ended, kept = trained(*problem)
    study(model, losses, data, held_out, TRAINING, StudySettings(**SETTINGS), seed=SEED)
    assert torch.equal(flat_weights(model), flat_weights(ended))
    assert not torch.equal(flat_weights(model), kept[max(SETTINGS["k"])])


def test_eigenpairs_that_do_not_converge_stop_the_study(problem):
    with pytest.raises(InputError, match=r"3 eigenpairs did not converge .* tol is 1e-40; raise"):
        measured(*problem, tolerance=1e-40)
