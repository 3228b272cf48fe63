"""Operations and bytes behind docs/scale.md against a count by hand."""

import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import estimate_scale  # noqa: E402


@pytest.fixture
def config():
    return yaml.safe_load((ROOT / "configs/default.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("context", "depth", "width"), [(8, 1, 16), (16, 3, 32)])
def test_operations_of_a_gradient_are_those_of_its_matrix_products(config, context, depth, width):
    model = {"context": context, "depth": depth, "width": width, "heads": 2, "kv_heads": 2, "mlp_ratio": 4}
    config["landscape"]["model"] = model
    V = config["data"]["vocab_size"]
    weights = depth * 12 * width**2 + V * width  # the embedding is looked up
    attention = depth * 2 * 2 * context**2 * width  # scores, and values weighted by them
    found = estimate_scale.counted(config, "landscape")
    assert found["flops"] == 3 * (2 * weights * context + attention)
    assert found["size"] == weights + V * width
    logits = 4 * context * V  # bytes, held once as log-probabilities
    assert found["held"] >= logits
    assert found["held"] <= logits + 4 * context * depth * (40 * width + 8 * context) + 64 * context * width


def test_work_is_what_the_configuration_asks_for(config):
    config["landscape"]["trajectory"]["k"] = [16, 48]
    found, minimisers = estimate_scale.work(config), sum(config["landscape"]["minimisers"]["k"])
    assert found["find_eigenpairs"] == 16 + 48
    assert found["find_minimiser_eigenpairs"] == minimisers
    assert found["estimate_criteria"] == 16 + 48 + minimisers
    settings = {"steps": [10, 5], "batches": [4, 0]}
    assert estimate_scale.descent(settings, sequences=64) == 10 * 4 + 5 * 64
