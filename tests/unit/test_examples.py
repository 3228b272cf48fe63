"""The worked examples, at small size."""

import importlib.util
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from valleyscope import probe

EXAMPLES = Path(__file__).parents[2] / "examples"
GRID = {"k": 16, "dims": [1, 2], "sigmas": [1e-3], "samples": 4}


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["digits_mlp", "digits_cnn"])
def test_classifiers_of_digits(name):
    model, losses, data = load(name).build(steps=20, width=4)
    result = probe(model, losses, data, **GRID)
    assert result.pointwise > 0
    assert result.eigen.values[0] > 0


def test_a_recurrent_language_model(tmp_path, monkeypatch):
    tokens = torch.randint(20, (33 * 40,), generator=torch.Generator().manual_seed(0), dtype=torch.int32)
    save_file({"train": tokens}, tmp_path / "tokens.safetensors")
    monkeypatch.setenv("TOKENS", str(tmp_path / "tokens.safetensors"))
    model, losses, data = load("corpus_gru").build(steps=5, width=4, count=40)
    with pytest.warns(UserWarning, match="one by one"):
        assert probe(model, losses, data, **GRID).pointwise > 0


def test_every_example_is_tested():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {"digits_mlp", "digits_cnn", "corpus_gru"}
