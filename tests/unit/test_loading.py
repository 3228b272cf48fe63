"""A user's file and weights: what is found in them, and one line for everything else."""

import sys

import pytest
import torch
from safetensors.torch import save_file

from valleyscope.errors import InputError
from valleyscope.loading import load_problem, load_weights, where

MODEL = """
import torch
from torch import nn

def losses(model, batch):
    return model(batch).square().sum(1)

def build(seed=0):
    torch.manual_seed(seed)
    return nn.Linear(3, 2), losses, torch.randn(12, 3)
"""


def test_model_loss_and_data_are_those_of_the_function(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(MODEL)
    model, loss_fn, data = load_problem(f"{path}:build")
    torch.testing.assert_close(loss_fn(model, data), model(data).square().sum(1))
    assert data.shape == (12, 3)


@pytest.mark.parametrize(
    ("source", "function", "message"),
    [
        (MODEL, "", r"name the function too"),
        (MODEL, "missing", r"holds no function missing"),
        ("def build(", "build", r"cannot be imported: SyntaxError"),
        ("import nothing_of_that_name", "build", r"cannot be imported: ModuleNotFoundError \(line 1\)"),
        ("def build(x): pass", "build", r"called without arguments; give each a default"),
        ("def build(): return 1, 2", "build", r"returned 2 values; it must return \(model, loss_fn, data\)"),
        ("def build(): return 1, 2, 3", "build", r"the model is a int, not a torch.nn.Module"),
        (
            MODEL + "\ndef other():\n    return build()[0], 3, 4",
            "other",
            r"the loss is a int, not a function",
        ),
        (
            "def build():\n    return 1 / 0",
            "build",
            r"failed: ZeroDivisionError \(line 2\): division by zero",
        ),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path, source, function, message):
    path = tmp_path / "wrong.py"
    path.write_text(source)
    with pytest.raises(InputError, match=message) as caught:
        load_problem(f"{path}:{function}" if function else str(path))
    assert "\n" not in str(caught.value)


def test_the_file_s_neighbours_are_found_while_it_builds(tmp_path):
    (tmp_path / "neighbour.py").write_text("WIDTH = 4")
    path = tmp_path / "json.py"  # named like a module of Python's
    path.write_text(MODEL.replace("    torch.manual", "    import neighbour\n    torch.manual"))
    before = list(sys.path), sys.modules["json"]
    load_problem(f"{path}:build")
    assert (list(sys.path), sys.modules["json"]) == before


def test_a_pickle_is_not_read(tmp_path):
    path = tmp_path / "end.pt"
    torch.save({"w": torch.zeros(2)}, path)
    with pytest.raises(InputError, match=r"not a safetensors file .*save_model"):
        load_weights(path)
    with pytest.raises(InputError, match="no such file"):
        load_weights(tmp_path / "none")


def test_weights_come_back(tmp_path):
    save_file({"w": torch.arange(3.0)}, tmp_path / "end.safetensors")
    found = load_weights(tmp_path / "end.safetensors")
    assert found.keys() == {"w"}
    assert found["w"].tolist() == [0, 1, 2]


def test_an_error_is_told_with_the_last_line_of_the_user_s_file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("def first(): second()\ndef second(): raise KeyError('x')\n")
    namespace = {}
    exec(compile(path.read_text(), str(path), "exec"), namespace)
    with pytest.raises(KeyError) as caught:
        namespace["first"]()
    assert where(caught.value, path) == "KeyError (line 2): 'x'"
    assert where(ValueError(), path) == "ValueError: no message"
