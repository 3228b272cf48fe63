"""Stages as commands: help, and one line about what is wrong."""

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from valleyscope.artifacts import save_tensors
from valleyscope.models.model import ModelSettings, Transformer

ROOT = Path(__file__).resolve().parents[2]
STAGES = sorted(p.stem for p in (ROOT / "src").glob("*.py"))


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_help_with_an_example_and_refuses_bad_input_in_one_line(stage, monkeypatch, capsys):
    def exit_code(option):
        monkeypatch.setattr(sys, "argv", [f"src/{stage}.py", option])
        with pytest.raises(SystemExit) as stopped:
            runpy.run_path(str(ROOT / f"src/{stage}.py"), run_name="__main__")
        return stopped.value.code

    assert exit_code("--help") == 0
    assert f"python src/{stage}.py" in capsys.readouterr().out
    assert exit_code("--no-such-option") == 2
    said = capsys.readouterr().err
    assert said.startswith(f"{stage}: error: ")
    assert said.count("\n") == 1


def run_stage(stage, *arguments):
    command = [sys.executable, f"src/{stage}.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_a_stage_loads_without_looking_for_garbage_then_looks_and_says_what_it_took():
    code = "import gc, stage.arguments as s; before = gc.isenabled()\n"
    code += "s.run(lambda args: print(before, gc.isenabled()), s.parser('x'))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "src", capture_output=True, text=True, check=True
    )
    assert done.stdout == "False True\n"
    assert re.fullmatch(r"-c: took \d+\.\d\d s and \d+ MB\n", done.stderr)


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_loads_its_libraries_after_the_package_that_prepares_it(name):
    names = re.findall(r"^(?:import|from) (\w+)", (ROOT / f"src/{name}.py").read_text(), re.MULTILINE)
    assert not {"torch", "pandas", "numpy", "valleyscope"} & set(names[: names.index("stage")])


def test_a_missing_file_and_a_wrong_model_give_one_line(tmp_path):
    table = run_stage("gather_table", "--tables", tmp_path / "no.csv", "--out", tmp_path / "x.csv")
    assert table.returncode == 1
    assert table.stderr.startswith("gather_table: error: ")
    assert table.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
    arguments = ["--tokens", "t", "--sequences", 1, "--data-seed", 0, "--held-out-sequences", 1]
    arguments += ["--seed", 0, "--checkpoint", "c", "--curve", "c", "--training", "{}"]
    model = run_stage("train_model", "--model", '{"widht": 8}', *arguments)
    assert model.returncode == 2
    assert "argument --model: not a valid ModelSettings" in model.stderr
    assert "widht" in model.stderr
    assert model.stderr.count("\n") == 1


def test_a_checkpoint_of_another_size_is_refused_in_one_line(tmp_path):
    tokens = {split: torch.randint(16, (1000,), dtype=torch.int32) for split in ("train", "held_out")}
    save_tensors(tokens, tmp_path / "tokens.safetensors", {})
    size = {"vocab_size": 16, "context": 8, "depth": 1, "width": 8, "heads": 2, "kv_heads": 2}
    save_tensors(Transformer(ModelSettings(**size)).state_dict(), tmp_path / "model.safetensors", {})
    arguments = ["--tokens", tmp_path / "tokens.safetensors", "--sequences", 16, "--data-seed", 0]
    arguments += ["--held-out-sequences", 4, "--checkpoint", tmp_path / "model.safetensors"]
    arguments += ["--at", '[{"regime": "x", "k": 4, "count": 2}]', "--tolerance", 1e-2]
    arguments += ["--out", tmp_path / "o", "--table", tmp_path / "t"]
    wider = run_stage("find_eigenpairs", *arguments, "--model", json.dumps({**size, "width": 16}))
    assert wider.returncode == 1
    assert wider.stderr.count("\n") == 1
    assert "embedding.weight has shape (16, 8), --model makes it (16, 16)" in wider.stderr
    if not torch.cuda.is_available():
        gpu = run_stage("find_eigenpairs", *arguments, "--model", json.dumps(size), "--device", "cuda")
        assert gpu.stderr == "find_eigenpairs: error: device cuda: torch sees no GPU; set device: cpu\n"


def test_grids_that_do_not_fit_give_one_line(tmp_path):
    size = {"vocab_size": 16, "context": 8, "depth": 1, "width": 8, "heads": 2, "kv_heads": 2}
    tokens = {split: torch.randint(16, (1000,), dtype=torch.int32) for split in ("train", "held_out")}
    save_tensors(tokens, tmp_path / "tokens.safetensors", {})
    training = {"epochs": 1, "batch": 4, "learning_rate": 1e-3, "warmup": 0, "weight_decay": 0.0}
    training = json.dumps({**training, "record_every": 1})
    problem = ["--tokens", tmp_path / "tokens.safetensors", "--sequences", 16, "--data-seed", 0]
    problem += ["--held-out-sequences", 4, "--model", json.dumps(size), "--training", training]
    uneven = run_stage(
        "train_model", *problem, "--seed", 0, "--snapshot-at", 4, 8, "--snapshots", tmp_path / "a",
        "--checkpoint", tmp_path / "c", "--curve", tmp_path / "d",
    )  # fmt: skip
    assert uneven.stderr.startswith("train_model: error: --snapshot-at and --snapshots differ in length")
    solver = {"ridge": 0.1, "steps": 1, "learning_rate": 1e-3, "newton_steps": 0, "products": 1}
    solver = json.dumps({**solver, "stationarity": 1.0})
    leak = run_stage(
        "find_minimisers", *problem, "--centre-from", 8, "--solver", solver, "--k", 8,
        "--checkpoints", tmp_path / "w", "--table", tmp_path / "t",
    )  # fmt: skip
    assert leak.stderr == "find_minimisers: error: --centre-from 8 must lie beyond k + 1 = 9\n"
    assert not (tmp_path / "w").exists()
