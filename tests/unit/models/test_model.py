import math

import pytest
import torch
import torch.nn.functional as F
import yaml

from dag.configuration import parameter_count
from valleyscope.models.model import (
    Attention,
    ModelSettings,
    Transformer,
    rms_norm,
    rotary_tables,
    rotate,
    sequence_losses,
)


def test_no_output_depends_on_a_later_token(model, rng):
    tokens = torch.randint(11, (3, 6), generator=rng)
    before = model(tokens)
    for position in range(1, 6):
        changed = tokens.clone()
        changed[:, position] = (changed[:, position] + 1) % 11
        after = model(changed)
        assert torch.equal(after[:, :position], before[:, :position])
        assert not torch.allclose(after[:, position:], before[:, position:])


def test_attention_can_be_differentiated_twice(rng):
    settings = ModelSettings(vocab_size=5, context=3, depth=1, width=4, heads=2, kv_heads=1)
    attention = Attention(settings).double()
    cos, sin = rotary_tables(3, 2)
    x = torch.randn(1, 3, 4, generator=rng, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: attention(x, (cos, sin)), x, atol=1e-6)


def test_attention_agrees_with_torchs_own(rng):
    settings = ModelSettings(vocab_size=5, context=6, depth=1, width=12, heads=6, kv_heads=2)
    attention = Attention(settings).double()
    cos, sin = rotary_tables(6, 2)
    x = torch.randn(2, 6, 12, generator=rng, dtype=torch.float64)

    def heads(y, count):
        return y.view(2, 6, count, 2).transpose(1, 2)

    q = rms_norm(rotate(heads(attention.query(x), 6), cos, sin))
    k = rms_norm(rotate(heads(attention.key(x), 2), cos, sin))
    v = heads(attention.value(x), 2)
    fused = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    truth = attention.output(fused.transpose(1, 2).reshape(2, 6, 12))
    torch.testing.assert_close(attention(x, (cos, sin)), truth, rtol=1e-10, atol=1e-12)


def test_rotary_scores_depend_on_distance_only(rng):
    cos, sin = rotary_tables(10, 8)
    q, k = torch.randn(2, 8, generator=rng, dtype=torch.float64)
    rotated_q, rotated_k = rotate(q.expand(10, 8), cos, sin), rotate(k.expand(10, 8), cos, sin)
    scores = rotated_q @ rotated_k.T
    for shift in range(10):
        diagonal = scores.diagonal(shift)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal))
    assert scores.diagonal(0)[0] == pytest.approx((q @ k).item())


def test_rms_norm_agrees_with_torchs_own(rng):
    x = torch.randn(4, 7, generator=rng, dtype=torch.float64)
    torch.testing.assert_close(rms_norm(x), F.rms_norm(x, (7,), eps=1e-6))


def test_a_new_model_predicts_every_token_alike_and_a_seed_fixes_it():
    settings = ModelSettings(vocab_size=64, context=8, depth=2, width=16, heads=2, kv_heads=2)
    tokens = torch.randint(64, (4, 9))
    losses = sequence_losses(Transformer(settings, seed=1), tokens)
    assert losses.shape == (4,)
    assert losses.mean().item() == pytest.approx(math.log(64), abs=0.01)
    first, second = (Transformer(settings, seed=3).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = Transformer(settings, seed=4).state_dict()
    assert not torch.equal(first["head.weight"], other["head.weight"])


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_parameter_count(kv_heads):
    size = {"context": 4, "depth": 3, "width": 16, "heads": 4, "kv_heads": kv_heads, "mlp_ratio": 3}
    model = Transformer(ModelSettings(vocab_size=50, **size))
    assert parameter_count(size, 50) == sum(p.numel() for p in model.parameters())


def test_d6_builds_at_the_papers_size():
    with open("configs/d6.yaml") as file:
        d6 = yaml.safe_load(file)
    size = {**d6["landscape"]["model"], "mlp_ratio": 4}
    with torch.device("meta"):
        model = Transformer(ModelSettings(vocab_size=d6["data"]["vocab_size"], **size))
    assert (size["depth"], size["width"], size["width"] // size["heads"]) == (6, 384, 128)
    # 2 V C for embedding and head, 12 C² for each block
    assert sum(p.numel() for p in model.parameters()) == 2 * 50304 * 384 + 6 * 12 * 384**2 == 49_250_304
    T = size["context"]
    assert model(torch.empty(1, T, dtype=torch.long, device="meta")).shape == (1, T, 50304)


def test_impossible_sizes_are_named():
    with pytest.raises(ValueError, match=r"model\.width: 6"):
        ModelSettings(vocab_size=5, context=3, depth=1, width=6, heads=2, kv_heads=2)
    with pytest.raises(ValueError, match=r"model\.kv_heads: 3"):
        ModelSettings(vocab_size=5, context=3, depth=1, width=8, heads=4, kv_heads=3)


def test_an_input_longer_than_the_context_is_refused(model):
    with pytest.raises(ValueError, match="longer than context"):
        model(torch.zeros(1, 7, dtype=torch.long))
