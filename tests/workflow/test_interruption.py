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
from valleyscope.engine.weights import flat_weights
from valleyscope.models.model import ModelSettings, Transformer

ROOT = Path(__file__).resolve().parents[2]
MODEL = {"vocab_size": 16, "context": 8, "depth": 1, "width": 8, "heads": 2, "kv_heads": 2}
TRAINING = {"epochs": 100_000, "batch": 4, "learning_rate": 1e-3, "warmup": 2, "weight_decay": 0.0}


def command_of(stage, folder):
    """A stage on a tiny learning problem."""
    stream = torch.Generator().manual_seed(0)
    splits = ("train", "held_out")
    tokens = {split: torch.randint(16, (1000,), dtype=torch.int32, generator=stream) for split in splits}
    save_tensors(tokens, folder / "tokens.safetensors", {})
    command = [sys.executable, f"src/{stage}.py", "--tokens", folder / "tokens.safetensors"]
    command += ["--sequences", 16, "--data-seed", 0, "--held-out-sequences", 4, "--seed", 0]
    return [*command, "--model", json.dumps(MODEL)]


def started(command):
    # A shell starts background jobs with SIGINT ignored, which a stage would inherit.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(list(map(str, command)), cwd=ROOT, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_interrupted_training_leaves_no_output(tmp_path, name):
    out = tmp_path / "out"
    command = command_of("train_model", tmp_path)
    command += ["--training", json.dumps({**TRAINING, "record_every": 1})]
    command += ["--checkpoint", out / "model.safetensors", "--curve", out / "curve.csv"]
    stage = started(command)
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


def save_path(folder):
    """A path of three points, as a file."""
    size = len(flat_weights(Transformer(ModelSettings(**MODEL))))
    pivots = 0.1 * torch.randn(3, size, generator=torch.Generator().manual_seed(0))
    save_tensors({"pivots": pivots}, folder / "path.safetensors", {})
    return folder / "path.safetensors"


def sgd_of_two_runs(folder, out):
    sgd = {"learning_rate": 0.01, "batch": 2, "steps": 200, "period": 10}
    runs = [{"run": name, "starts": [0.3, 0.7], "replicas": 2, "sgd": sgd} for name in ("first", "second")]
    command = [*command_of("run_projected_sgd", folder), "--path", save_path(folder), "--variant", "adamw"]
    command += ["--kind", "autoneb", "--pair", "0-1", "--runs", json.dumps(runs)]
    return [*command, "--out", out / "first.csv", out / "second.csv"]


def profiles_of_two_paths(folder, out):
    path = save_path(folder)
    profile = {"probes": 2, "label_probes": 2, "noise_draws": 2, "eigenpairs": 2, "tolerance": 0.1}
    command = [*command_of("profile_path", folder), "--pair", "0-1", "--paths", path, path]
    command += ["--curves", "adamw_first", "adamw_second", "--points", 5, "--dense-points", 5]
    command += ["--profile", json.dumps(profile), "--judged", "adamw_second", "--candidates", 2]
    command += ["--dims", 1, "--sigmas", 1e-2, "--criteria", out / "criteria.csv"]
    for table in ("curvature", "eigenvalues", "groups", "losses"):
        command += [f"--{table}", out / f"first_{table}.csv", out / f"second_{table}.csv"]
    return command


def drift_of_two_runs(folder, out):
    run = {"learning_rate": 0.01, "batch": 2, "steps": 20, "replicas": 4}
    command = [*command_of("measure_drift", folder), "--path", save_path(folder), "--variant", "adamw"]
    command += ["--kind", "autoneb", "--pair", "0-1", "--positions", 2, "--followed", 2]
    return [*command, "--grid", json.dumps([run, run | {"batch": 4}]), "--out", out / "drift.csv"]


@pytest.mark.parametrize(
    ("job", "first", "second"),
    [
        (sgd_of_two_runs, "first", "second"),
        (profiles_of_two_paths, "first", "second"),
        (drift_of_two_runs, "1 of 2", "2 of 2"),
    ],
)
def test_a_killed_job_goes_on_with_the_piece_that_it_was_at(tmp_path, job, first, second):
    """To the same bytes as one that was left alone. Snakemake has removed the killed one's outputs."""
    alone = started(job(tmp_path, tmp_path / "alone"))
    _, said = alone.communicate(timeout=120)
    assert alone.returncode == 0, said
    command = job(tmp_path, tmp_path / "out")
    killed = started(command)
    while second not in killed.stderr.readline():
        assert killed.poll() is None
    killed.kill()
    killed.communicate(timeout=60)
    for path in filter(Path.is_file, (tmp_path / "out").iterdir()):
        path.unlink()
    again = started(command)
    _, said = again.communicate(timeout=120)
    assert again.returncode == 0, said
    assert second in said
    assert first not in said
    tables = {path.name: path.read_bytes() for path in (tmp_path / "alone").glob("*.csv")}
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.csv")} == tables
    assert all(path.is_file() for path in (tmp_path / "out").iterdir())  # no piece is left
