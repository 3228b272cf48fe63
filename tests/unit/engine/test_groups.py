"""Weights by layer, and the part of a direction that changes norms alone."""

import torch
from torch import nn

from valleyscope.engine.groups import parameter_groups, radial_part
from valleyscope.engine.weights import flat_weights
from valleyscope.models.model import ModelSettings


def test_parameters_are_grouped_by_layer(draw_model):
    deep = draw_model(ModelSettings(vocab_size=5, context=3, depth=2, width=4, heads=1, kv_heads=1))
    groups = parameter_groups(deep)
    assert groups["up"] == ["blocks.0.mlp.up.weight", "blocks.1.mlp.up.weight"]
    assert groups["embedding"] == ["embedding.weight"]
    assert sorted(name for names in groups.values() for name in names) == sorted(
        name for name, _ in deep.named_parameters()
    )
    biased = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    assert parameter_groups(biased) == {"0": ["0.weight", "0.bias"], "2": ["2.weight", "2.bias"]}
    assert parameter_groups(biased[0]) == {"weight": ["weight"], "bias": ["bias"]}


def test_the_radial_part_is_a_projection_on_the_weights_of_each_group(model, rng):
    W = flat_weights(model)
    d = torch.randn(len(W), generator=rng, dtype=torch.float64)
    truth, start = torch.zeros_like(W), 0
    groups = {}  # name of the layer -> its places in the flat vector
    for name, p in model.named_parameters():
        groups.setdefault(name.split(".")[-2], []).extend(range(start, start + p.numel()))
        start += p.numel()
    assert set(groups) == {"embedding", "query", "key", "value", "output", "up", "down", "head"}
    for places in groups.values():
        truth[places] = torch.outer(W[places], W[places]) @ d[places] / (W[places] @ W[places])
    found = radial_part(model, W, d)
    torch.testing.assert_close(found, truth)
    torch.testing.assert_close(radial_part(model, W, found), found)
    torch.testing.assert_close(radial_part(model, W, W), W)
