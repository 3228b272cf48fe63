"""Models beside the study's transformer: built from settings and a seed, causal, and with their own data."""

import math

import pytest
import torch
from sklearn.datasets import load_digits

from valleyscope.errors import InputError
from valleyscope.models.architectures import KINDS, build, class_losses, digits
from valleyscope.models.model import MLP, ModelSettings, sequence_losses

VOCABULARY, CONTEXT = 11, 6
SIZE = {"vocab_size": VOCABULARY, "context": CONTEXT, "depth": 2, "width": 8, "heads": 2, "kv_heads": 1}
SETTINGS = {
    "transformer": SIZE,
    "recurrent": {"vocab_size": VOCABULARY, "width": 5},
    "mlp": {"width": 6, "depth": 2},
    "cnn": {"width": 3},
}
SIZES = {  # N, counted by hand
    "transformer": 2 * 11 * 8 + 2 * (8 * 8 + 2 * 8 * 4 + 8 * 8 + 2 * 8 * 32),
    "recurrent": 11 * 5 + 2 * (15 * 5 + 15) + 5 * 11 + 11,
    "mlp": 64 * 6 + 6 + 6 * 6 + 6 + 6 * 10 + 10,
    "cnn": 9 * 3 + 3 + 9 * 3 * 6 + 6 + 6 * 16 * 10 + 10,
}
EXCHANGES = [
    {},
    {"positions": "learned"},
    {"activation": "gelu"},
    {"norm": "layer"},
    {"positions": "learned", "activation": "gelu", "norm": "layer"},
]
LANGUAGE_MODELS = [("recurrent", SETTINGS["recurrent"])]
LANGUAGE_MODELS += [("transformer", SIZE | exchanged) for exchanged in EXCHANGES]


@pytest.fixture
def drawn(rng):
    """A function of kind and settings: a float64 model, every weight random and none zero."""

    def draw(kind, settings):
        model = build(kind, settings, 0).double()
        with torch.no_grad():
            for p in model.parameters():
                p.copy_(torch.randn(p.shape, generator=rng, dtype=torch.float64) * 0.4)
        return model

    return draw


def sample(kind, rng, count=3):
    if KINDS[kind].task == "text":
        return torch.randint(VOCABULARY, (count, CONTEXT + 1), generator=rng)
    return torch.rand(count, 1, 8, 8, generator=rng), torch.randint(10, (count,), generator=rng)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_built_from_settings_and_has_a_loss_a_sample(kind, rng):
    model = build(kind, SETTINGS[kind], seed=1)
    assert sum(p.numel() for p in model.parameters()) == SIZES[kind]
    losses = KINDS[kind].loss_fn(model, sample(kind, rng))
    assert losses.shape == (3,)
    guess = math.log(VOCABULARY if KINDS[kind].task == "text" else 10)
    assert losses.mean().item() == pytest.approx(guess, abs=1.0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_names_the_settings_that_its_kind_needs_and_takes(kind):
    defaults = {"mlp_ratio"} if kind == "transformer" else set()  # the study says it all the same
    assert set(KINDS[kind].needs.split()) == {*SETTINGS[kind], *defaults}
    exchanged = {name for exchange in EXCHANGES for name in exchange} if kind == "transformer" else set()
    assert set(KINDS[kind].takes.split()) == exchanged


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_fixes_the_weights(kind):
    torch.manual_seed(5)
    first = build(kind, SETTINGS[kind], seed=3).state_dict()
    torch.manual_seed(6)
    again = build(kind, SETTINGS[kind], seed=3).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    other = build(kind, SETTINGS[kind], seed=4).state_dict()
    assert not any(torch.equal(other[name], first[name]) for name in first if first[name].std() > 0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_global_stream_of_random_numbers_stays(kind):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    build(kind, SETTINGS[kind], seed=3)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("no_such", {}, f"^kind: 'no_such' is none of {', '.join(KINDS)}$"),
        ("mlp", {"width": 6}, r"do not fit a model of kind mlp: .*depth"),
        ("cnn", {"width": 6, "depth": 2}, r"do not fit a model of kind cnn: .*depth"),
        ("recurrent", {"vocab_size": 5, "width": 4, "heads": 2}, r"kind recurrent: .*heads"),
        (
            "transformer",
            SIZE | {"positions": "none"},
            r"model\.positions: 'none' is neither rotary nor learn",
        ),
        (
            "transformer",
            SIZE | {"activation": "tanh"},
            r"model\.activation: 'tanh' is neither relu2 nor gelu",
        ),
        ("transformer", SIZE | {"norm": "batch"}, r"model\.norm: 'batch' is neither rms nor layer"),
        ("transformer", SIZE | {"width": 6}, r"kind transformer: model\.width: 6 is not a multiple"),
    ],
)
def test_a_wrong_kind_and_wrong_settings_are_refused_in_one_line(kind, settings, message):
    with pytest.raises(InputError, match=message) as caught:
        build(kind, settings, 0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("kind", "settings"), LANGUAGE_MODELS)
def test_no_output_depends_on_a_later_token(kind, settings, drawn, rng):
    model = drawn(kind, settings)
    tokens = torch.randint(VOCABULARY, (3, CONTEXT), generator=rng)
    before = model(tokens)
    assert before.shape == (3, CONTEXT, VOCABULARY)
    for position in range(CONTEXT):
        changed = tokens.clone()
        changed[:, position] = (changed[:, position] + 1) % VOCABULARY
        after = model(changed)
        torch.testing.assert_close(after[:, :position], before[:, :position], rtol=1e-12, atol=1e-12)
        for later in range(position, CONTEXT):
            assert not torch.allclose(after[:, later], before[:, later])


def test_learned_positions_are_weights_and_the_only_sense_of_order(drawn, rng):
    model = drawn("transformer", SIZE | {"positions": "learned", "depth": 1})
    assert dict(model.named_parameters())["positions.weight"].shape == (CONTEXT, SIZE["width"])
    tokens = torch.randperm(VOCABULARY, generator=rng)[None, :CONTEXT]
    swapped = tokens[:, [1, 0, *range(2, CONTEXT)]]
    assert not torch.allclose(model(tokens)[:, -1], model(swapped)[:, -1])
    with torch.no_grad():
        model.positions.weight.zero_()
    torch.testing.assert_close(model(tokens)[:, -1], model(swapped)[:, -1])
    rotary = drawn("transformer", SIZE | {"depth": 1})
    assert "positions.weight" not in dict(rotary.named_parameters())
    assert not torch.allclose(rotary(tokens)[:, -1], rotary(swapped)[:, -1])


def test_equal_tokens_are_told_apart_by_learned_positions_only(drawn):
    """Rotary scores depend on distances, and all values are equal: every position has the same output."""
    tokens = torch.full((1, CONTEXT), 4)
    still = drawn("transformer", SIZE)(tokens)
    torch.testing.assert_close(still, still[:, :1].expand_as(still))
    told = drawn("transformer", SIZE | {"positions": "learned"})(tokens)
    assert not torch.allclose(told, told[:, :1].expand_as(told))


def test_a_learned_position_serves_its_own_place(drawn, rng):
    model = drawn("transformer", SIZE | {"positions": "learned"})
    tokens = torch.randint(VOCABULARY, (1, CONTEXT), generator=rng)
    before = model(tokens)
    with torch.no_grad():
        model.positions.weight[3] += 1
    changed = (model(tokens) - before).abs().amax(dim=(0, 2)) > 1e-9
    assert changed.tolist() == [False] * 3 + [True] * 3


def test_layer_norm_has_scale_and_shift_and_rms_has_nothing(drawn):
    def norms(model):
        return {name: p for name, p in model.named_parameters() if "norm" in name}

    assert norms(drawn("transformer", SIZE)) == {}
    layers = norms(build("transformer", SIZE | {"norm": "layer"}, 0))
    assert len(layers) == 2 * (2 * SIZE["depth"] + 2)
    for name, p in layers.items():
        assert p.shape == (SIZE["width"],)
        assert (p == (1.0 if name.endswith("weight") else 0.0)).all()


def test_a_layer_norm_takes_the_mean_out_and_rms_does_not(drawn, rng):
    """Moving all features of the embedding by one number changes nothing where their mean is taken out."""
    tokens = torch.randint(VOCABULARY, (2, CONTEXT), generator=rng)
    for norm, seen in (("layer", False), ("rms", True)):
        model = drawn("transformer", SIZE | {"norm": norm})
        before = model(tokens)
        with torch.no_grad():
            model.embedding.weight += 3.0
        assert torch.allclose(model(tokens), before) != seen


@pytest.mark.parametrize(("activation", "negative"), [("relu2", 0.0), ("gelu", -0.158655)])
def test_the_activation_is_the_one_that_was_asked_for(activation, negative):
    """With identities around it: relu²(−1) = 0, gelu(−1) = −Φ(−1); at 2, 4 and 2 Φ(2)."""
    mlp = MLP(ModelSettings(**(SIZE | {"activation": activation}), mlp_ratio=1)).double()
    with torch.no_grad():
        mlp.up.weight.copy_(torch.eye(8))
        mlp.down.weight.copy_(torch.eye(8))
    two = {"relu2": 4.0, "gelu": 1.954500}[activation]
    result = mlp(torch.tensor([[-1.0, 2.0] * 4], dtype=torch.float64))
    torch.testing.assert_close(result[0, :2].tolist(), [negative, two], rtol=0, atol=1e-6)


def test_class_losses_are_the_negative_log_softmax_of_the_label(drawn, rng):
    model = drawn("mlp", SETTINGS["mlp"])
    images, labels = sample("mlp", rng, count=5)
    images = images.double()
    losses = class_losses(model, (images, labels))
    for row, label, loss in zip(model(images).tolist(), labels.tolist(), losses.tolist(), strict=True):
        assert loss == pytest.approx(math.log(sum(map(math.exp, row))) - row[label], rel=1e-12)


def test_a_recurrent_model_is_scored_on_the_next_token(drawn, rng):
    model = drawn("recurrent", SETTINGS["recurrent"])
    tokens = sample("recurrent", rng)
    logits = model(tokens[:, :-1]).log_softmax(-1)
    truth = -torch.stack([logits[:, t].gather(1, tokens[:, t + 1 : t + 2]) for t in range(CONTEXT)]).mean(0)
    torch.testing.assert_close(sequence_losses(model, tokens), truth[:, 0])


def rows(batch):
    """Images with their labels, as comparable rows."""
    images, labels = batch
    return [(*image.flatten().tolist(), label) for image, label in zip(images, labels.tolist(), strict=True)]


def test_held_out_digits_are_the_same_for_every_seed_and_never_trained_on():
    first, kept = digits(0, 256)
    again, _ = digits(0, 256)
    second, other = digits(1, 256)
    assert torch.equal(kept[0], other[0])
    assert torch.equal(kept[1], other[1])
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[1], second[1])
    assert sorted(rows(first)) == sorted(rows(second))  # another order of the same
    loaded = load_digits()
    whole = rows((torch.tensor(loaded.images / 16), torch.tensor(loaded.target)))
    assert sorted(rows(first) + rows(kept)) == sorted(whole)  # each once, with its own label
    assert not set(rows(first)) & set(rows(kept))


def test_digits_have_the_shapes_and_the_range_that_models_expect():
    (images, labels), (kept, kept_labels) = digits(2, 97)
    assert images.shape == (1700, 1, 8, 8)
    assert kept.shape == (97, 1, 8, 8)
    assert labels.shape == (1700,)
    assert kept_labels.shape == (97,)
    assert images.dtype == torch.float32
    assert labels.dtype == torch.long
    assert images.min() == 0
    assert images.max() == 1
    assert labels.unique().tolist() == kept_labels.unique().tolist() == list(range(10))
