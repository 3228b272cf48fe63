"""`trace_path` against the functions of the study's own stages, and what it must not touch."""

import copy

import pandas as pd
import pytest
import torch
from torch import nn

from valleyscope import trace_path
from valleyscope.connectivity.finders import Descent, NebSettings, autoneb, relax
from valleyscope.connectivity.profile import curvature_profile, loss_profile
from valleyscope.engine.weights import flat_weights
from valleyscope.errors import InputError

NEB = NebSettings(pivots=2, spring=0.03, insert_above=1.1, most_pivots=3, refine=2)
DESCENT = Descent(0.9, 1e-3, [8, 6], [4, 0], [0.05, 0.05])
OPTIONS = {
    "neb": NEB,
    "descent": DESCENT,
    "positions": 3,
    "dense": 5,
    "probes": 3,
    "drift_positions": 2,
    "replicas": 3,
}


def losses(model, batch):
    x, y = batch
    return nn.functional.cross_entropy(model(x), y, reduction="none")


@pytest.fixture
def problem(rng):
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    x = torch.randn(12, 4, generator=rng, dtype=torch.float64)
    data = (x, torch.randint(3, (12,), generator=rng))
    ends = torch.randn(2, 43, generator=rng, dtype=torch.float64)
    return model, data, ends


def test_is_the_study_s_own_chain_of_functions(problem):
    model, data, ends = problem
    result = trace_path(model, *ends, losses, data, **OPTIONS, seed=4)
    relaxed = relax(model, losses, data, ends, DESCENT, seed=4)
    path = autoneb(model, losses, data, relaxed, DESCENT, NEB, seed=4)
    assert torch.equal(result.path.pivots, path.pivots)
    known = loss_profile(model, losses, data, None, path, [0, 0.25, 0.5, 0.75, 1])
    pd.testing.assert_frame_equal(result.losses, known, check_dtype=False)
    bent = curvature_profile(model, losses, data, path, [0.0, 0.5, 1.0], probes=3, tol=1e-2, seed=4)
    pd.testing.assert_frame_equal(result.curvature, bent)
    assert len(result.drift) == 2
    assert result.barrier == pytest.approx(
        known["train_loss"].max() / known["train_loss"].iloc[[0, -1]].max()
    )
    assert result.rise == pytest.approx(bent["trace"].iloc[1] / bent["trace"].iloc[[0, 2]].mean())


def test_state_dicts_and_other_batches_give_the_same(problem):
    model, (x, y), ends = problem
    dicts = []
    for end in ends:
        copied = copy.deepcopy(model)
        torch.nn.utils.vector_to_parameters(end, copied.parameters())
        dicts.append(copied.state_dict())
    first = trace_path(model, *ends, losses, (x, y), **OPTIONS)
    second = trace_path(model, *dicts, losses, [(x[:5], y[:5]), (x[5:], y[5:])], **OPTIONS)
    pd.testing.assert_frame_equal(first.losses, second.losses)
    pd.testing.assert_frame_equal(first.drift, second.drift)


def test_the_default_rate_is_the_inverse_of_the_largest_curvature(problem):
    model, data, ends = problem
    options = OPTIONS | {"descent": None, "drift_positions": 0, "tol": 1e-6}
    result = trace_path(model, *ends, losses, data, **options)
    line = torch.stack([torch.lerp(ends[0], ends[1], t) for t in (0, 0.25, 0.5, 0.75, 1)])
    tops = []
    from dense import hessian

    for point in line:
        torch.nn.utils.vector_to_parameters(point, model.parameters())
        tops.append(torch.linalg.eigvalsh(hessian(model, losses, data))[-1].item())
    assert result.descent.learning_rates[0] == pytest.approx(1 / max(tops), rel=1e-5)
    assert result.drift.empty


def test_the_model_is_left_as_it_was_found(problem):
    model, data, ends = problem
    before = flat_weights(model)
    trace_path(model, *ends, losses, data, **OPTIONS)
    assert torch.equal(before, flat_weights(model))
    wild = OPTIONS | {"descent": Descent(0.9, 0.0, [50], [0], [1e6])}
    with pytest.raises(FloatingPointError, match="not finite"):
        trace_path(model, *ends, lambda m, b: losses(m, b) ** 2, data, **wild)
    assert torch.equal(before, flat_weights(model))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights_a": torch.zeros(3)}, r"an end has shape \(3,\), the model needs \(43,\)"),
        ({"weights_a": {}}, r"the state dict holds no '0.weight'"),
        ({"positions": 4}, r"positions = 4: it must be odd"),
        ({"dense": 1}, r"dense = 1: it must be at least 2"),
        ({"drift_positions": -1}, r"drift_positions = -1: it must be at least 0"),
        ({"same": True}, "are the same"),
    ],
)
def test_bad_input_is_refused_in_one_line(problem, change, message):
    model, data, ends = problem
    a, b = change.pop("weights_a", ends[0]), ends[1]
    if change.pop("same", False):
        b = a
    with pytest.raises(InputError, match=message):
        trace_path(model, a, b, losses, data, **(OPTIONS | change))


def test_what_is_saved_can_be_read_back(problem, tmp_path):
    model, data, ends = problem
    result = trace_path(model, *ends, losses, data, **OPTIONS)
    result.save(tmp_path)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "curvature.csv"), result.curvature)
    assert {"losses.csv", "drift.csv", "path.safetensors", "summary.json"} <= {
        p.name for p in tmp_path.iterdir()
    }


def test_buffers_of_the_ends_that_differ_are_told(problem, rng):
    _, data, _ = problem
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3)).double().eval()
    ends = [copy.deepcopy(model) for _ in range(2)]
    for end in ends:
        for p in end.parameters():
            p.data += 0.1 * torch.randn(p.shape, generator=rng, dtype=torch.float64)
    ends[1][1].running_mean += 1
    with pytest.warns(UserWarning, match=r"1.running_mean of an end differs from the model's") as told:
        trace_path(model, *[end.state_dict() for end in ends], losses, data, **OPTIONS)
    assert [warning.filename for warning in told] == [__file__]  # where the user called it


def test_a_shared_tensor_is_found_under_any_of_its_names(problem, tmp_path):
    from safetensors.torch import load_file, save_model

    _, data, _ = problem
    states = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.Linear(4, 3)).double()
        model[2].weight = model[0].weight
        save_model(model, str(tmp_path / "end.safetensors"))
        states.append(load_file(tmp_path / "end.safetensors"))
    assert trace_path(model, *states, losses, data, **OPTIONS).barrier > 0


def test_a_drift_that_diverges_costs_nothing_else(problem, monkeypatch):
    model, data, ends = problem

    def diverging(*arguments, **options):
        raise FloatingPointError("SGD diverged within 15 steps")

    monkeypatch.setattr("valleyscope.tracing.drift", diverging)
    with pytest.warns(UserWarning, match="no drift was measured: SGD diverged") as told:
        result = trace_path(model, *ends, losses, data, **OPTIONS)
    assert [warning.filename for warning in told] == [__file__]
    assert result.drift.empty
    assert len(result.curvature) == 3


def test_what_will_not_fit_is_refused_before_the_search(problem, monkeypatch):
    model, data, ends = problem
    monkeypatch.setattr("valleyscope.tracing.free_memory", lambda device: 1e4)
    with pytest.raises(InputError, match=r"1e\+04 are free; lower neb.refine"):
        trace_path(model, *ends, losses, data, **OPTIONS)


def test_losses_below_zero_have_no_barrier(problem):
    model, data, ends = problem
    result = trace_path(model, *ends, lambda m, b: losses(m, b) - 50, data, **OPTIONS)
    assert result.summary()["barrier"] is None
