"""The Snakefile as users meet it: plans, refusals, exact dependencies."""

import json
import re
import runpy
import shlex
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import jsonschema
import pytest
import torch
import yaml

import dag.options
from valleyscope.artifacts import save_tensors
from valleyscope.errors import InputError
from valleyscope.models.model import ModelSettings, Transformer

ROOT = Path(__file__).resolve().parents[2]
STAGES = sorted(p.stem for p in (ROOT / "src").glob("*.py") if not p.stem.startswith("_"))


def snakemake(*arguments):
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("name", ["default", "smoke", "d6"])
def test_every_configuration_makes_a_plan(name):
    done = snakemake("-n", "--forceall", "--quiet", "all", "--configfile", f"configs/{name}.yaml")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ({"landscape": {"sigmas": [-1]}}, "config: landscape.sigmas[0]: -1 is not allowed; it must be > 0"),
        ({"landscap": {}}, "config: landscap: unknown key; did you mean landscape?"),
        (
            {"landscape": {"trajectory": {"k": [10**6]}}},
            "config: landscape.trajectory.k: 1000000 is not allowed; k + 1 must be at most",
        ),
        ({"landscape": {"focus": {"eigenpairs": 10**6}}}, "below the model's N = 57344 parameters"),
    ],
)
def test_a_wrong_configuration_stops_with_one_line_before_any_job(override, expected, tmp_path):
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(override))
    done = snakemake("-n", "--configfile", str(tmp_path / "wrong.yaml"))
    output = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    said = [line for line in output if not re.match(r"Using workflow|Config file", line)]
    assert done.returncode != 0
    assert len(said) == 1, said
    assert expected in said[0]


def test_sources_of_a_stage_are_its_imports_and_nothing_else():
    plot = dag.options.sources("plot_cost")
    assert plot[0] == "src/plot_cost.py"
    assert "src/valleyscope/figures/landscape/cost.py" in plot
    assert "src/valleyscope/figures/style.py" in plot
    assert not any("criteria" in path or "hessian" in path for path in plot)
    assert "src/valleyscope/paths.py" in dag.options.sources("connect_minima")
    assert "src/valleyscope/paths.py" not in dag.options.sources("find_eigenpairs")
    assert "src/valleyscope/models/corpus.py" not in dag.options.sources("train_model")


def test_every_source_file_is_used_by_some_stage_or_the_benchmark():
    used = {path for stage in STAGES for path in dag.options.sources(stage)}
    # Operators offered to users that no figure needs yet are measured with the others.
    benchmark = dag.options._imports(ROOT / "benchmarks/measure_engine.py")
    used |= {str(path.relative_to(ROOT)) for path in benchmark}
    used |= set(dag.options.sources("valleyscope/__main__"))  # the command
    there = {str(p.relative_to(ROOT)) for p in (ROOT / "src").rglob("*.py")}
    of_the_snakefile = {f"src/dag/{name}.py" for name in ("__init__", "options", "plan", "configuration")}
    assert there - used == of_the_snakefile


def parsed(words):
    """Options of a command line by their names."""
    words = shlex.split(words)
    assert all(name.startswith("--") for name in words[::2])
    return dict(zip(words[::2], words[1::2], strict=True))


def architecture_config(settings, kind):
    return {
        "data": {"vocab_size": 300},
        "architectures": {
            "context": 9,
            "held_out": 7,
            "models": {"other": {}, "chosen": {"kind": kind, "settings": settings}},
        },
    }


@pytest.mark.parametrize(
    ("kind", "task", "added"),
    [
        ("transformer", "text", {"vocab_size": 300, "context": 9}),
        ("recurrent", "text", {"vocab_size": 300}),
        ("mlp", "digits", {}),
        ("cnn", "digits", {}),
    ],
)
def test_an_architecture_s_options_are_quoted_and_complete_its_settings(kind, task, added):
    settings = {"width": 4, "depth": 2}
    config = architecture_config(settings, kind)
    assert dag.options.task({"kind": kind}) == task
    found = parsed(dag.options.architecture(config, "chosen", samples=33))
    assert json.loads(found.pop("--settings")) == settings | added
    assert found == {"--kind": kind, "--context": "9", "--samples": "33", "--held-out": "7"}
    assert settings == {"width": 4, "depth": 2}  # the configuration itself is not completed


def test_the_order_of_an_architecture_s_keys_changes_no_option():
    first, second = (
        architecture_config(settings, "mlp")
        for settings in ({"width": 4, "depth": 2}, {"depth": 2, "width": 4})
    )
    assert dag.options.architecture(first, "chosen", 1) == dag.options.architecture(second, "chosen", 1)


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


def pins(name):
    lines = (ROOT / "envs" / name).read_text().splitlines()
    return [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()]


def test_pins_are_exact_and_the_conda_file_holds_the_same():
    for name in ("requirements.txt", "slurm.txt", "dev.txt", "peers.txt"):
        assert all("==" in pin or pin.startswith("-r ") for pin in pins(name))
    environment = yaml.safe_load((ROOT / "envs/environment.yaml").read_text())
    assert {"pip": pins("requirements.txt")} in environment["dependencies"]


def test_every_pin_has_its_licence_listed():
    text = (ROOT / "docs/licences.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\w.-]+) \| (\d\S*) \| (.+) \|$", text, re.MULTILINE)
    assert sorted(f"{name}=={version}" for name, version, _ in rows) == sorted(pins("requirements.txt"))
    assert not [row for row in rows if row[2] == "not stated"]


def test_every_job_asks_for_memory_minutes_and_gpus():
    snakefile = (ROOT / "Snakefile").read_text(encoding="utf-8")
    rules = re.split(r"^rule (\w+):$", snakefile, flags=re.MULTILINE)[1:]
    for name, body in zip(rules[::2], rules[1::2], strict=True):
        assert name == "all" or re.search(r"    resources:\n        \*\*(TORCH|NUMPY|READERS),\n", body), name


def test_d6_asks_a_cluster_for_gpus():
    done = snakemake(
        "-n",
        "--configfile",
        "configs/d6.yaml",
        "--until",
        "train_language_model",
        "--executor",
        "slurm",
        "--jobs",
        "9",
    )
    assert done.returncode == 0, done.stderr
    asked = re.findall(r"resources: .*", done.stdout + done.stderr)
    assert len([line for line in asked if "gpu=1" in line and "mem_mb=64000" in line]) == 5
    assert len([line for line in asked if "gpu=0" in line]) == 3  # text and tokenizer


def test_a_folder_that_cannot_be_written_is_refused_in_one_line(monkeypatch, tmp_path):
    dag.options.require_writable({"results": str(tmp_path / "a/b")})
    asked = []
    monkeypatch.setattr("os.access", lambda path, mode: asked.append(path))
    with pytest.raises(InputError, match=r"output\.results: .*a/b cannot be written"):
        dag.options.require_writable({"results": str(tmp_path / "a/b")})
    assert asked == [tmp_path]


def test_citation_names_version_and_both_papers():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert {"title", "message", "authors", "version", "license"} <= set(citation)
    identifiers = [r["identifiers"][0]["value"] for r in citation["references"]]
    assert identifiers == ["arXiv:2604.14870", "arXiv:2512.06297"]


def test_citation_is_valid_by_the_formats_own_schema():
    files = [f for f in distribution("cffconvert").files if f.match("schemas/1.2.0/schema.json")]
    schema = json.loads(files[0].locate().read_text())
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    citation = json.loads(json.dumps(citation, default=str))  # dates as text
    jsonschema.Draft7Validator(schema).validate(citation)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(schema).validate(citation | {"version": [1]})


def test_a_checkpoint_of_another_size_is_refused_in_one_line(tmp_path):
    tokens = {split: torch.randint(16, (1000,), dtype=torch.int32) for split in ("train", "held_out")}
    save_tensors(tokens, tmp_path / "tokens.safetensors", {})
    size = {"vocab_size": 16, "context": 8, "depth": 1, "width": 8, "heads": 2, "kv_heads": 2}
    save_tensors(Transformer(ModelSettings(**size)).state_dict(), tmp_path / "model.safetensors", {})
    arguments = ["--tokens", tmp_path / "tokens.safetensors", "--sequences", 16, "--data-seed", 0]
    arguments += ["--held-out-sequences", 4, "--checkpoint", tmp_path / "model.safetensors", "--k", 4]
    arguments += ["--regime", "x", "--count", 2, "--tolerance", 1e-2]
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
