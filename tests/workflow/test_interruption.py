"""A stage that is stopped midway leaves nothing that a later run would take for finished."""

import json
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from valleyscope.artifacts import file_sha256, save_tensors
from valleyscope.models.model import ModelSettings, Transformer

ROOT = Path(__file__).resolve().parents[2]
MODEL = {"vocab_size": 16, "context": 8, "depth": 1, "width": 8, "heads": 2, "kv_heads": 2}
TRAINING = {"epochs": 100_000, "batch": 4, "learning_rate": 1e-3, "warmup": 2, "weight_decay": 0.0}


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_interrupted_training_leaves_no_output(tmp_path, name):
    tokens = {split: torch.randint(16, (1000,), dtype=torch.int32) for split in ("train", "held_out")}
    save_tensors(tokens, tmp_path / "tokens.safetensors", {})
    out = tmp_path / "out"
    command = [sys.executable, "src/train_model.py", "--tokens", tmp_path / "tokens.safetensors"]
    command += ["--sequences", 16, "--data-seed", 0, "--held-out-sequences", 4, "--seed", 0]
    command += ["--model", json.dumps(MODEL), "--training", json.dumps({**TRAINING, "record_every": 1})]
    command += ["--checkpoint", out / "model.safetensors", "--curve", out / "curve.csv"]
    # A shell starts background jobs with SIGINT ignored, which a stage would inherit.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    stage = subprocess.Popen(list(map(str, command)), cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert "train seed 0" in stage.stderr.readline()  # it is training
    stage.send_signal(getattr(signal, name))
    _, said = stage.communicate(timeout=60)
    assert stage.returncode != 0
    assert "Traceback" not in said
    assert not out.exists() or list(out.iterdir()) == []


def test_a_killed_stage_goes_on_at_the_point_where_it_was(tmp_path):
    """And ends with the bytes of a call that was left alone."""
    tokens = {split: torch.randint(16, (5000,), dtype=torch.int32) for split in ("train", "held_out")}
    save_tensors(tokens, tmp_path / "tokens.safetensors", {})
    save_tensors(Transformer(ModelSettings(**MODEL), 0).state_dict(), tmp_path / "model.safetensors", {})
    points = [{"regime": "x", "k": 2, "count": 2}, {"regime": "x", "k": 500, "count": 30}]
    out = tmp_path / "out"
    files = [out / "2.safetensors", out / "500.safetensors", out / "eigenvalues.csv"]
    command = [sys.executable, "src/find_eigenpairs.py", "--tokens", tmp_path / "tokens.safetensors"]
    command += ["--sequences", 512, "--data-seed", 0, "--held-out-sequences", 4]
    command += ["--model", json.dumps(MODEL), "--at", json.dumps(points), "--tolerance", 1e-4]
    command += ["--checkpoint", *[tmp_path / "model.safetensors"] * 2]
    command = [*map(str, command), "--out", *map(str, files[:2]), "--table", str(files[2])]
    subprocess.run(command, cwd=ROOT, check=True)
    whole = list(map(file_sha256, files))
    shutil.rmtree(out)

    first, second = (out / f"pieces_eigenvalues.csv/x_{point['k']}.json" for point in points)
    stage = subprocess.Popen(command, cwd=ROOT)
    while not first.exists() and stage.poll() is None:
        time.sleep(0.001)
    stage.kill()
    assert stage.wait() == -signal.SIGKILL
    assert not any(path.exists() for path in (*files, second))  # within the second point
    made = first.stat().st_mtime_ns
    again = subprocess.Popen(command, cwd=ROOT)
    while not second.exists() and again.poll() is None:
        with suppress(FileNotFoundError):  # at the very end
            assert first.stat().st_mtime_ns == made
        time.sleep(0.001)
    assert again.wait() == 0
    assert list(map(file_sha256, files)) == whole
    assert not first.parent.exists()
