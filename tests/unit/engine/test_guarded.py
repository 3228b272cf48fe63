"""What a guarded model is inside the block and after it; the rest is in tests/oracle/test_probing.py."""

import warnings

import pytest
import torch
from torch import nn

from valleyscope.engine.guarded import guarded
from valleyscope.errors import InputError


@pytest.fixture
def network(rng):
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2), nn.Linear(2, 2))
    net[3].weight.requires_grad_(False)
    return net


def trainable(model):
    return [name for name, p in model.named_parameters() if p.requires_grad]


ALL = ["0.weight", "0.bias", "2.weight", "2.bias", "3.bias"]


@pytest.mark.parametrize(
    ("params", "inside"),
    [
        (None, ALL),
        (["2.*"], ["2.weight", "2.bias"]),
        (["*.bias", "0.w*"], ["0.weight", "0.bias", "2.bias", "3.bias"]),
        (["3.*"], ["3.bias"]),  # a frozen weight is not woken up
    ],
)
def test_only_weights_that_match_are_trainable_inside(network, params, inside):
    with guarded(network, params, ""):
        assert trainable(network) == inside
        assert not any(module.training for module in network.modules())
    assert trainable(network) == ALL
    assert all(module.training for module in network.modules())


def test_globs_that_match_nothing_trainable_leave_the_model_alone(network):
    with pytest.raises(InputError, match=r"matches \['3\.weight'\]"), guarded(network, ["3.weight"], ""):
        pass
    assert trainable(network) == ALL
    assert network.training


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, ValueError])
def test_whatever_ends_the_block_all_is_restored_and_passed_on(network, stop):
    network[0].eval()
    held = torch.ones(4)
    network[0].bias.grad = held
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    with pytest.raises(stop), guarded(network, ["0.*"], ""):
        with torch.no_grad():
            for p in network.parameters():
                p.add_(1)
        network[0].bias.grad = None
        network[2].weight.grad = torch.ones(2, 4)
        raise stop
    assert trainable(network) == ALL
    assert [m.training for m in network] == [False, True, True, True]
    assert network[0].bias.grad is held
    assert network[2].weight.grad is None
    for name, p in network.named_parameters():
        assert torch.equal(p, before[name])


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        (nn.LSTM(3, 4, num_layers=2, dropout=0.2), "LSTM"),
        (nn.GRU(3, 4, num_layers=2, dropout=0.2), "GRU"),
        (nn.Dropout2d(0.1), "Dropout2d"),
        (nn.BatchNorm1d(3, track_running_stats=False), "BatchNorm1d"),
        (nn.InstanceNorm1d(3, track_running_stats=True), "InstanceNorm1d"),
        (nn.MultiheadAttention(4, 2, dropout=0.1), "MultiheadAttention"),
        (nn.RReLU(), "RReLU"),
    ],
)
def test_a_layer_that_acts_otherwise_in_train_mode_is_named(layer, named):
    model = nn.Sequential(nn.Linear(3, 3), layer)
    with (
        pytest.warns(UserWarning, match=f"in train mode and has {named}: it is probed in eval"),
        guarded(model, None, ""),
    ):
        pass
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with guarded(model.eval(), None, ""):
            pass


@pytest.mark.parametrize(
    "layer",
    [
        nn.LSTM(3, 4),
        nn.MultiheadAttention(4, 2),
        nn.Dropout(0.0),
        nn.LayerNorm(3),
        nn.InstanceNorm1d(3, affine=True),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_layer_that_does_the_same_in_both_modes_is_not(layer):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with guarded(nn.Sequential(nn.Linear(3, 3), layer), None, ""):
            pass


class Counting(nn.Module):
    """A buffer that is replaced at every call, not written to."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls = self.calls + 1
        return self.layer(x)


def test_a_buffer_that_the_model_replaces_is_restored():
    model = Counting()
    held = model.calls
    with guarded(model, None, ""):
        model(torch.zeros(1, 2))
        assert model.calls == 1
    assert model.calls is held
    assert model.calls == 0


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried\nmore lines"), r"CUDA out of memory\. Tried"),
        (
            RuntimeError("[enforce fail] not enough memory: you tried"),
            r"\[enforce fail\] not enough memory.*",
        ),
        (MemoryError("Unable to allocate 1 GiB"), "Unable to allocate 1 GiB"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_running_out_of_memory_is_told_in_one_line_with_the_remedy(network, error, told):
    with (
        pytest.raises(InputError, match=rf"^out of memory \({told}\); buy more$"),
        guarded(network, None, "buy more"),
    ):
        raise error


@pytest.mark.parametrize("words", ["broken", ""])
def test_another_error_passes_as_it_is(network, words):
    with pytest.raises(RuntimeError, match=f"^{words}$"), guarded(network, None, "buy more"):
        raise RuntimeError(words)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda net: net.half(), "the weights are float16; all must be float32, or all float64"),
        (lambda net: net[2].double(), "the weights are float32, float64; all must be"),
        (lambda net: net.append(nn.LazyLinear(2)), "a lazy layer of the model has no weights yet"),
    ],
)
def test_weights_that_cannot_be_probed_are_refused(network, change, message):
    change(network)
    with pytest.raises(InputError, match=message), guarded(network, None, ""):
        pass


def test_modes_without_gradients_are_overruled_or_refused(network):
    with torch.no_grad(), guarded(network, None, ""):
        assert network(torch.zeros(1, 3)).requires_grad
    words = "inference_mode"
    with torch.inference_mode(), pytest.raises(InputError, match=words), guarded(network, None, ""):
        pass
