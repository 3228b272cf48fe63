"""The command for people with their own model: it works at the first try, and every error is one line."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from valleyscope.__main__ import main
from valleyscope.loading import load_problem

ROOT = Path(__file__).parents[2]
MODEL = """
import torch
from torch import nn

def losses(model, batch):
    x, y = batch
    return nn.functional.cross_entropy(model(x), y, reduction="none")

def build(seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    return model, losses, (torch.randn(12, 3), torch.arange(12) % 2)
"""
# Ten lines each, as a stranger would write them: a tuple, a dict and a plain tensor as the batch.
STRANGERS = {
    "tuple": """
import torch
from valleyscope import probe
net = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
def squared(model, batch):
    x, y = batch
    return (model(x).squeeze(1) - y) ** 2
x = torch.randn(40, 5)
result = probe(net, squared, (x, x.sum(1)), k=32, dims=[1, 2], sigmas=[1e-3, 1e-2])
print(result.pointwise, result.gradient_share, result.sigma_star)
""",
    "dict": """
import torch
from valleyscope import probe
from torch import nn
net = nn.Sequential(nn.Conv1d(1, 4, 3), nn.BatchNorm1d(4), nn.Flatten(), nn.LazyLinear(3))
def losses(model, batch):
    return nn.functional.cross_entropy(model(batch["wave"]), batch["kind"], reduction="none")
data = {"wave": torch.randn(30, 1, 10), "kind": torch.randint(3, (30,))}
losses(net, data)
result = probe(net.eval(), losses, data, k=16, dims=[1, 4], sigmas=[1e-3])
print(result.table.to_string())
""",
    "tensor": """
import torch
from torch.utils.data import DataLoader
from valleyscope import probe
layer = torch.nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
def reconstruction(model, x):
    return (model(x) - x).square().mean(dim=(1, 2))
loader = DataLoader(torch.randn(20, 4, 8), batch_size=6)
result = probe(layer, reconstruction, loader, k=12, dims=[2], sigmas=[1e-3], samples=8)
print(result.terms.to_string(), result.costs.to_string())
""",
}


@pytest.mark.parametrize("name", STRANGERS)
def test_a_stranger_s_ten_lines_work_at_the_first_try(name, tmp_path):
    script = tmp_path / "mine.py"
    script.write_text(STRANGERS[name])
    assert len(STRANGERS[name].strip().splitlines()) <= 10
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(MODEL)
    return path


def test_probe_writes_json_tables_figures_and_a_page(model, tmp_path, capsys):
    out = tmp_path / "out"
    main(
        [
            "probe",
            f"{model}:build",
            "--k",
            "8",
            "--dims",
            "1,2",
            "--sigmas",
            "1e-3,1e-2",
            "--samples",
            "4",
            "--out",
            str(out),
        ]
    )
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((out / "summary.json").read_text())
    assert printed["size"] == 26
    names = {path.name for path in out.iterdir()}
    assert {
        "table.csv",
        "terms.csv",
        "costs.csv",
        "figure.pdf",
        "figure.svg",
        "figure.png",
        "index.html",
    } <= names
    page = (out / "index.html").read_text()
    assert "<title>Probe of" in page
    assert "data:image/svg+xml;base64," in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_path_writes_the_same_kinds_of_file(model, tmp_path, capsys):
    from safetensors.torch import save_file

    ends = []
    for seed in (0, 1):
        net, _, _ = load_problem(f"{model}:build")
        for p in net.parameters():
            p.data += 0.3 * seed
        ends.append(tmp_path / f"end{seed}.safetensors")
        save_file(net.state_dict(), ends[-1])
    out = tmp_path / "out"
    arguments = ["--positions", "3", "--drift-positions", "2", "--replicas", "3", "--out", str(out)]
    main(["path", f"{model}:build", "--ends", *map(str, ends), *arguments])
    printed = json.loads(capsys.readouterr().out)
    assert printed["barrier"] > 0
    assert {"losses.csv", "curvature.csv", "drift.csv", "path.safetensors", "index.html"} <= {
        p.name for p in out.iterdir()
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["probe"], r"required: --k"),
        (["probe", "nothing.py:build", "--k", "8", "--out", "x"], r"error: nothing.py: no such Python file"),
        (["probe", "x.py:b", "--k", "8", "--dims", "1;2", "--out", "x"], r"'1;2' is not a list of numbers"),
        (["probe", "x.py:b", "--k", "0", "--out", "x"], r"'0' is not an integer of at least 1"),
        (["probe", "x.py:b", "--k", "8", "--seed", "-1", "--out", "x"], r"at least 0"),
        (["walk"], r"invalid choice"),
        (["path", "x.py:b", "--ends", "a", "--out", "x"], r"--ends: expected 2 arguments"),
    ],
)
def test_a_wrong_call_ends_in_one_line(tmp_path, arguments, message, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    told = capsys.readouterr().err + (caught.value.code if isinstance(caught.value.code, str) else "")
    assert caught.value.code not in (0, None)
    assert re.search(message, told), told
    assert len(told.strip().splitlines()) == 1


def test_an_error_of_the_user_s_loss_is_one_line_unless_asked(tmp_path, capsys):
    path = tmp_path / "broken.py"
    path.write_text(MODEL.replace("x, y = batch", "x, y = batch; undefined"))
    arguments = ["probe", f"{path}:build", "--k", "8", "--dims", "1", "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit, match=r"NameError \(line 6\): name 'undefined' is not defined; --debug"):
        main(arguments)
    with pytest.raises(NameError):
        main([*arguments, "--debug"])


def test_help_shows_examples(capsys):
    for arguments in (["--help"], ["probe", "--help"], ["path", "--help"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 0
        assert "python -m valleyscope" in capsys.readouterr().out.replace("usage: python -m valleyscope", "")
