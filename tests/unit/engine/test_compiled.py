import os

import pytest
import torch

from valleyscope.engine import weights
from valleyscope.engine.compiled import compiled_gradients, compiler, require_compiler, wanted
from valleyscope.errors import InputError
from valleyscope.models.model import ModelSettings, Transformer, sequence_losses


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The only folder in which programs are looked for."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    return tmp_path


def program(path):
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def test_a_compiler_is_found_by_any_of_its_names(folder):
    assert compiler() is None
    with pytest.raises(InputError, match=r"needs a C\+\+ compiler \(g\+\+ or clang\)"):
        require_compiler()
    for name in ("c++", "clang++", "g++"):
        assert compiler() != str(folder / name)
        expected = program(folder / name)
        assert compiler() == expected
        require_compiler()


def test_the_one_that_cxx_names_is_taken_or_missed(folder, monkeypatch):
    program(folder / "g++")
    mine = program(folder / "mine")
    monkeypatch.setenv("CXX", "mine")
    assert compiler() == mine
    monkeypatch.setenv("CXX", "gone")
    assert compiler() is None


@pytest.mark.skipif(compiler() is None, reason="no C++ compiler")
def test_compiled_gradients_equal_those_of_the_loss_alone(rng, tmp_path, monkeypatch):
    """Four points, two programs' calls, against one backward pass each in float64."""
    monkeypatch.setattr(weights, "TOGETHER", 2)
    settings = {"vocab_size": 11, "context": 5, "depth": 1, "width": 8, "heads": 2, "kv_heads": 1}
    model = Transformer(ModelSettings(**settings))
    points = 0.3 * torch.randn(4, sum(p.numel() for p in model.parameters()), generator=rng)
    data = torch.randint(11, (4, 3, 6), generator=rng)
    gradients = weights.replica_gradients(model, sequence_losses)
    names = ("TORCHINDUCTOR_CACHE_DIR", "TORCHINDUCTOR_COMPILE_THREADS")
    variables = [os.environ.get(name) for name in names]
    with compiled_gradients(tmp_path):
        found, losses = gradients(points, data)
        assert wanted()
    assert not wanted()
    assert [os.environ.get(name) for name in names] == variables
    assert list(tmp_path.rglob("*.so"))  # the programs
    for point, batch, gradient, loss in zip(points.double(), data, found, losses, strict=True):
        with weights.at_weights(model.double(), point):
            truth = sequence_losses(model, batch).mean()
            expected = weights.flatten(torch.autograd.grad(truth, list(model.parameters())))
        assert (gradient - expected).norm() <= 1e-5 * expected.norm()
        assert abs(loss - truth) <= 1e-5 * truth


def test_compiled_gradients_need_a_compiler(folder):
    with pytest.raises(InputError, match="needs a C"), compiled_gradients(folder):
        pass
    assert not wanted()


def test_parts_of_points_are_of_two_sizes(monkeypatch):
    monkeypatch.setattr(weights, "TOGETHER", 4)
    assert [weights._edges(count) for count in (1, 3, 4, 9)] == [
        [0, 1],
        [0, 1, 2, 3],
        [0, 4],
        [0, 4, 8, 9],
    ]
