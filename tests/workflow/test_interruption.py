"""A stage that is stopped midway leaves nothing that a later run would take for finished."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from valleyscope.artifacts import save_tensors

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
