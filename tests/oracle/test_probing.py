"""`probe` against dense truth and the study's own stage, for any model and batch; models stay untouched."""

import copy
import json
import warnings

import dense
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from valleyscope import probe
from valleyscope.eigen import top_eigenpairs
from valleyscope.engine.weights import at_weights, flat_weights
from valleyscope.errors import InputError
from valleyscope.hessian import HessianOperator
from valleyscope.landscape.estimators import Grid, estimate_criteria
from valleyscope.landscape.spaces import full_space_draws
from valleyscope.models.model import ModelSettings, Transformer, sequence_losses

K = 5
GRID = {"k": K, "dims": [2, 4], "sigmas": [1e-3, 1e-2], "samples": 24, "seed": 3}


def class_losses(model, batch):
    x, y = batch if isinstance(batch, tuple) else (batch["x"], batch["y"])
    return nn.functional.cross_entropy(model(x), y, reduction="none")


@pytest.fixture
def classifier(rng):
    """A small smooth network in float64 with frozen, tied and named weights."""
    net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.randn(p.shape, generator=rng, dtype=torch.float64))
    return net


@pytest.fixture
def samples(rng):
    x = torch.randn(9, 4, generator=rng, dtype=torch.float64)
    return x, torch.randint(3, (9,), generator=rng)


def dense_increment(model, loss_fn, before, after):
    A = dense.hessian(model, loss_fn, after) - dense.hessian(model, loss_fn, before)
    c = dense.gradient(model, loss_fn, after) - dense.gradient(model, loss_fn, before)
    return A, c


def test_every_number_equals_dense_truth(model, tokens):
    result = probe(model, sequence_losses, tokens, **GRID, tol=1e-9)
    before, after = tokens[:K], tokens[: K + 1]
    A, c = dense_increment(model, sequence_losses, before, after)
    with torch.no_grad():
        a = (sequence_losses(model, after).mean() - sequence_losses(model, before).mean()).item()
    values, vectors = torch.linalg.eigh(dense.hessian(model, sequence_losses, before))
    assert result.size == len(c)
    assert result.value == pytest.approx(a, rel=1e-8)
    assert result.pointwise == abs(result.value)
    np.testing.assert_allclose(result.eigen.values, values.flip(0)[:4], rtol=1e-7)
    closed = result.table[result.table["estimator"] == "gaussian_moment"].set_index(["dim", "sigma"])
    for dim in (2, 4):
        U = vectors.flip(1)[:, :dim]
        share = ((U.T @ c).square().sum() / c.square().sum()).item()
        assert result.gradient_share[dim] == pytest.approx(share, rel=1e-6)
        B, g = U.T @ A @ U, U.T @ c
        for sigma in GRID["sigmas"]:
            trace, square = B.trace(), B.square().sum()
            moment = a**2 + a * sigma**2 * trace + sigma**2 * g.square().sum()
            moment = moment + sigma**4 / 4 * (2 * square + trace**2)
            assert closed.loc[(dim, sigma), "estimate"] == pytest.approx(moment.item(), rel=1e-6)
            row = result.terms[(result.terms["dim"] == dim) & (result.terms["sigma"] == sigma)].iloc[0]
            assert row["value"] == pytest.approx(a**2, rel=1e-7)
            assert row[["value", "slope", "curvature", "cross"]].sum() == pytest.approx(
                moment.item(), rel=1e-6
            )
    # Direct Monte Carlo in full space: the true increments at the documented draws.
    draws = full_space_draws(result.size, GRID["samples"], GRID["seed"]).double()
    sigma = GRID["sigmas"][1]
    deltas = []
    for u in sigma * draws:
        with at_weights(model, flat_weights(model) + u), torch.no_grad():
            losses = sequence_losses(model, after)
            deltas.append((losses.mean() - losses[:K].mean()).item())
    direct = result.table.query(f"estimator == 'direct' and dim == {result.size} and sigma == {sigma}")
    assert direct["estimate"].item() == pytest.approx(np.mean(np.square(deltas)), rel=1e-7)


def test_agrees_with_the_study_s_own_stage_to_float32():
    settings = ModelSettings(vocab_size=32, context=8, depth=1, width=16, heads=2, kv_heads=2)
    model = Transformer(settings, seed=1)
    data = torch.randint(32, (K + 4, 9), generator=torch.Generator().manual_seed(1))
    result = probe(model, sequence_losses, data, **GRID)
    operator = HessianOperator(model, sequence_losses, data[:K])
    eigen = top_eigenpairs(operator, 4, seed=GRID["seed"])
    grid = Grid(GRID["dims"], GRID["sigmas"], GRID["samples"], GRID["seed"], candidate_draws=4)
    stage, terms, _ = estimate_criteria(model, sequence_losses, operator, data, data[K + 1 :], eigen, grid)
    keys = ["criterion", "estimator", "dim", "sigma"]
    stage = stage[stage["next"] == "single"].set_index(keys)["estimate"]
    ours = result.table.set_index(keys)["estimate"]
    pd.testing.assert_series_equal(ours, stage.reindex(ours.index), rtol=2e-5)
    terms = terms[terms["next"] == "single"].set_index(keys[:1] + keys[2:])
    mine = result.terms.set_index(keys[:1] + keys[2:])
    for column in ("value", "slope", "curvature", "cross", "gradient_share", "spread_ratio"):
        np.testing.assert_allclose(mine[column], terms[column].reindex(mine.index), rtol=2e-5, err_msg=column)


def test_every_batch_format_gives_the_same(classifier, samples):
    x, y = samples
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=2)
    formats = [(x, y), {"x": x, "y": y}, [(x[:3], y[:3]), (x[3:], y[3:])], loader]
    tables = [probe(classifier, class_losses, data, **GRID).table.drop(columns="seconds") for data in formats]
    for table in tables[1:]:
        pd.testing.assert_frame_equal(table, tables[0], rtol=1e-9)


def test_chosen_frozen_and_tied_weights(classifier, samples):
    classifier[2].weight = nn.Parameter(torch.eye(5, dtype=torch.float64))
    classifier[2].bias.requires_grad_(False)
    data = samples
    whole = probe(classifier, class_losses, data, **GRID)
    assert whole.size == sum(p.numel() for p in classifier.parameters() if p.requires_grad)
    part = probe(classifier, class_losses, data, **GRID, params=["0.*"])
    assert part.size == 4 * 5 + 5
    x, y = data
    alone = copy.deepcopy(classifier)
    for name, p in alone.named_parameters():
        p.requires_grad_(name.startswith("0."))
    _, c = dense_increment(alone, class_losses, (x[:K], y[:K]), (x[: K + 1], y[: K + 1]))
    slope = part.terms.query(f"dim == {part.size}")["slope"].iloc[0]
    assert slope == pytest.approx(GRID["sigmas"][0] ** 2 * c.square().sum().item(), rel=1e-8)
    layer = nn.Linear(4, 4)
    tied = nn.Sequential(layer, nn.Tanh(), layer, nn.Tanh(), nn.Linear(4, 3)).double()
    held = list(tied.parameters())
    assert probe(tied, class_losses, data, **GRID).size == 20 + 15
    assert [id(p) for p in tied.parameters()] == [id(p) for p in held]


class Guarded(nn.Module):
    """Everything that a probe might leave changed: running statistics, dropout, gradients, flags."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Dropout(0.3), nn.Linear(6, 3)
        )
        self.register_buffer("calls", torch.zeros(()))
        self.fail = False

    def forward(self, x):
        self.calls += 1
        if self.fail and self.calls > 8:
            raise RuntimeError("broken on purpose")
        return self.net(x)


def raised(call, *arguments, **options):
    try:
        call(*arguments, **options)
    except RuntimeError as error:
        return str(error)
    return ""


def state(model):
    tensors = {name: t.clone() for name, t in (*model.named_parameters(), *model.named_buffers())}
    modes = [m.training for m in model.modules()]
    return (
        tensors,
        modes,
        [(p.requires_grad, None if p.grad is None else p.grad.clone()) for p in model.parameters()],
    )


@pytest.mark.parametrize("fail", [False, True])
def test_the_model_is_left_as_it_was_found(samples, fail):
    torch.manual_seed(0)
    model = Guarded().double()
    class_losses(model, samples).mean().backward()
    model.net[0].bias.requires_grad_(False)
    model.net[2].eval()
    model.calls.zero_()
    model.fail = fail
    before = state(model)
    with pytest.warns(UserWarning, match=r"train mode and has BatchNorm1d, Dropout"):
        caught = raised(probe, model, class_losses, samples, **GRID)
    assert caught == ("broken on purpose" if fail else "")
    after = state(model)
    assert before[1] == after[1]
    for name, tensor in before[0].items():
        assert torch.equal(tensor, after[0][name]), name
    for (flag, gradient), (flag_after, gradient_after) in zip(before[2], after[2], strict=True):
        assert flag == flag_after
        assert (gradient is None) == (gradient_after is None)
        assert gradient is None or torch.equal(gradient, gradient_after)


def test_eval_mode_warns_of_nothing_and_equals_train_mode_s_result(samples):
    torch.manual_seed(0)
    model = Guarded().double()
    with pytest.warns(UserWarning, match="train mode"):
        first = probe(model, class_losses, samples, **GRID)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second = probe(model.eval(), class_losses, samples, **GRID)
    assert first.value == second.value


def test_a_layer_that_cannot_be_mapped_is_taken_point_by_point(rng):
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.gru, self.head = (
                nn.Embedding(7, 3),
                nn.GRU(3, 3, batch_first=True),
                nn.Linear(3, 7),
            )

        def forward(self, x):
            return self.head(self.gru(self.embedding(x))[0])

    torch.manual_seed(2)
    model = Recurrent().double()
    data = torch.randint(7, (K + 1, 6), generator=rng)
    with pytest.warns(UserWarning, match="one by one"):
        result = probe(model, sequence_losses, data, **GRID, tol=1e-8)
    sigma = GRID["sigmas"][1]
    deltas = []
    for u in sigma * full_space_draws(result.size, GRID["samples"], GRID["seed"]).double():
        with at_weights(model, flat_weights(model) + u), torch.no_grad():
            losses = sequence_losses(model, data)
            deltas.append((losses.mean() - losses[:K].mean()).item())
    direct = result.table.query(f"estimator == 'direct' and dim == {result.size} and sigma == {sigma}")
    # A displacement σv is rounded to float32 before it is added to the weights.
    assert direct["estimate"].item() == pytest.approx(np.mean(np.square(deltas)), rel=1e-6)


def test_sigma_star_lies_where_the_quadratic_model_breaks(classifier, samples):
    grid = GRID | {"sigmas": [1e-3, 1e-2, 1e-1, 1.0, 10.0]}
    result = probe(classifier, class_losses, samples, **grid)
    star = result.sigma_star[result.size]
    assert 1e-3 < star < 10
    for sigma, agrees in ((1e-3, True), (10.0, False)):
        rows = result.table.query(f"dim == {result.size} and sigma == {sigma}").set_index("estimator")[
            "estimate"
        ]
        assert (abs(rows["direct"] / rows["quadratic"] - 1) < 0.05) == agrees


class Once(nn.Module):
    def forward(self, x):
        return dense.OnceDifferentiable.apply(x)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 9}, r"k = 9 needs 10 samples, the data has 9"),
        ({"k": 0}, r"k = 0: L_k needs at least one sample"),
        ({"dims": [10_000]}, r"D = 10000 directions"),
        ({"dims": [73]}, r"D = 73 is all of the N = 73 weights"),
        ({"data": [1, 2]}, r"a batch must be a tensor"),
        ({"dims": []}, r"dims = \[\]: give at least one"),
        ({"sigmas": [0.0, 1e-3]}, r"sigmas = \[0.0, 0.001\]: give at least one, all above 0"),
        ({"samples": 2}, r"samples = 2: a standard error needs"),
        ({"params": ["nothing.*"]}, r"no trainable parameter of the model matches"),
        ({"loss_fn": lambda m, b: class_losses(m, b).mean()}, r"one loss a sample"),
        ({"loss_fn": lambda m, b: class_losses(m, b) * float("nan")}, r"not finite"),
        ({"data": []}, r"empty list"),
        ({"data": iter([])}, r"read only once"),
        ({"model": nn.Sequential(nn.Linear(4, 3), Once()).double()}, r"cannot be differentiated twice"),
    ],
)
def test_bad_input_is_refused_in_one_line(classifier, samples, change, message):
    call = {"model": classifier, "loss_fn": class_losses, "data": samples, **GRID} | change
    with pytest.raises((InputError, FloatingPointError), match=message) as caught:
        probe(call.pop("model"), call.pop("loss_fn"), call.pop("data"), **call)
    assert "\n" not in str(caught.value)


def test_running_out_of_memory_names_the_remedy(classifier, samples):
    def hungry(model, batch):
        torch.empty(2**60)
        return class_losses(model, batch)

    with pytest.raises(InputError, match=r"out of memory.*lower dims or samples"):
        probe(classifier, hungry, samples, **GRID)


def test_what_is_saved_can_be_read_back(classifier, samples, tmp_path):
    result = probe(classifier, class_losses, samples, **GRID)
    result.save(tmp_path / "new")
    summary = json.loads((tmp_path / "new/summary.json").read_text())
    assert summary["pointwise"] == result.pointwise
    assert summary["gradient_share"]["4"] == result.gradient_share[4]
    table = pd.read_csv(tmp_path / "new/table.csv")
    pd.testing.assert_frame_equal(table, result.table.reset_index(drop=True))
    assert {p.name for p in (tmp_path / "new").glob("*.csv")} == {"table.csv", "terms.csv", "costs.csv"}
    assert (result.costs["gradients"] > 0).all()
    assert list(result.costs["products"]) == [result.eigen.matvecs, 0, GRID["samples"], 0]


class Counting(nn.Module):
    """A loss that depends on how often it was asked."""

    def __init__(self):
        super().__init__()
        self.net = nn.Linear(4, 3)
        self.register_buffer("calls", torch.zeros((), dtype=torch.float64))

    def forward(self, x):
        self.calls += 1
        return self.net(x) / (1 + 0.1 * self.calls)


class Reassigning(nn.Module):
    """Puts another tensor in place of its buffer, with a graph."""

    def __init__(self):
        super().__init__()
        self.net = nn.Linear(4, 3)
        self.register_buffer("last", torch.zeros((), dtype=torch.float64))

    def forward(self, x):
        result = self.net(x)
        self.last = result.mean()
        return result


def test_a_buffer_that_is_replaced_is_put_back(samples):
    model = Reassigning().double()
    held = model.last
    probe(model, class_losses, samples, **GRID)
    assert model.last is held
    assert model.last.item() == 0
    copy.deepcopy(model)  # no graph hangs on it


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Counting().double(), "changes from call to call"),
        (lambda: nn.Linear(4, 3).half(), "the weights are float16; all must be float32"),
        (
            lambda: nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 3).double()),
            "the weights are float32, float64",
        ),
        (lambda: nn.LazyLinear(3), "no weights yet; call the model once"),
        (
            lambda: nn.Sequential(nn.utils.weight_norm(nn.Linear(4, 3)), nn.Tanh(), nn.Linear(3, 3)).double(),
            r"not symmetric.*remove_weight_norm",
        ),
    ],
)
def test_models_that_would_give_wrong_numbers_are_refused(samples, make, message):
    with pytest.raises(InputError, match=message):
        probe(make(), class_losses, samples, **GRID)


def test_a_shuffling_loader_is_refused(classifier, samples):
    data = torch.utils.data.TensorDataset(*samples)
    loader = torch.utils.data.DataLoader(data, batch_size=9, shuffle=True)
    with pytest.raises(InputError, match="a second pass over the data gives other samples"):
        probe(classifier, class_losses, loader, **GRID)


def test_gradients_are_taken_also_inside_no_grad(classifier, samples):
    with torch.no_grad():
        inside = probe(classifier, class_losses, samples, **GRID)
    assert inside.value == probe(classifier, class_losses, samples, **GRID).value
    with torch.inference_mode(), pytest.raises(InputError, match="inference_mode"):
        probe(classifier, class_losses, samples, **GRID)
