"""What an edit makes Snakemake do again: that which depends on it and nothing else.

Looked at on a copy whose outputs are empty files that `snakemake --touch` has put on record as made.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from dry_run import ROOT, jobs, planned, snakemake

from valleyscope.figures.catalogue import FIGURES

SMOKE = ("--configfile", "configs/smoke.yaml")
REPORT = {"write_report": 1}
CLAIMS = {"judge_claims": 1, "write_latex": 1, **REPORT}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A copy of the sources in which every job of the smoke run counts as done."""
    folder = tmp_path_factory.mktemp("finished")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.split():
        if not name.startswith(("figures/", "results/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    for path in [path for job in jobs("--forceall", *SMOKE) for path in job.files("output")]:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("verdict\n")
    documents = folder / "results/smoke/corpus/documents"
    documents.unlink()
    documents.mkdir()
    done = snakemake("--touch", "--forceall", "--cores", "2", *SMOKE, folder=folder)
    assert done.returncode == 0, done.stderr
    assert planned(*SMOKE, folder=folder) == {}
    return folder


@pytest.fixture
def checkout(finished):
    """The same, mended afterwards."""
    kept = {path: path.read_bytes() for path in (finished / "src").rglob("*.py")}
    kept |= {path: path.read_bytes() for path in finished.glob("configs/*")}
    kept |= {path: path.read_bytes() for path in finished.glob("profiles/*/*")}
    yield finished
    for path in (finished / "src").rglob("*.py"):
        if path not in kept:
            path.unlink()
    for path, content in kept.items():
        if not path.is_file() or path.read_bytes() != content:
            path.write_bytes(content)


def append(path: Path, text: str = "\n# edited\n") -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (
            "dynamics",
            {
                "run_projected_sgd": 2,
                "evaluate_averages": 2,
                "gather_table": 2,
                "plot_figure": 4,
                **CLAIMS,
            },
        ),
        (
            "connectivity/branching",
            {
                "train_families": 2,
                "compare_children": 2,
                "evaluate_averages": 2,
                "gather_table": 3,
                "plot_figure": 2,
                **CLAIMS,
            },
        ),
        (
            "engine/timing",
            {
                "time_estimators": 1,
                "time_replicas": 1,
                "study_architecture": 9,
                "gather_table": 3,
                "plot_figure": 3,
                **CLAIMS,
            },
        ),
        (
            "landscape/increments",
            {
                "compare_estimators": 2,
                "compare_procedures": 2,
                "compare_subspaces": 2,
                "estimate_criteria": 4,
                "estimate_fixed_weights": 2,
                "map_geometry": 1,
                "measure_expansion": 2,
                "measure_spectrum": 2,
                "time_estimators": 1,
                "study_architecture": 9,
                "gather_table": 24,
                "plot_figure": 21,
                "fit_decay": 1,
                "profile_path": 2,
                **CLAIMS,
            },
        ),
        (
            "connectivity/finders",
            {
                "relax_minima": 4,
                "connect_minima": 10,
                "profile_path": 2,
                "measure_path_spectrum": 2,
                "run_projected_sgd": 2,
                "measure_drift": 2,
                "predict_drift": 2,
                "evaluate_averages": 2,
                "fit_drift": 1,
                "connect_architecture": 2,
                "gather_table": 14,
                "plot_figure": 11,
                **CLAIMS,
            },
        ),
    ],
)
def test_an_edited_module_reruns_the_rules_that_use_it(checkout, module, expected):
    append(checkout / f"src/valleyscope/{module}.py")
    assert planned(*SMOKE, folder=checkout) == expected


@pytest.mark.parametrize("figure", ["landscape/captured", "training"])
def test_an_edited_figure_reruns_that_figure_alone(checkout, figure):
    append(checkout / f"src/valleyscope/figures/{figure}.py")
    found = jobs(*SMOKE, folder=checkout)
    assert [job.rule for job in found] == ["plot_figure", "write_report"]
    assert f"--figure {Path(figure).name} " in found[0].command


def test_an_edited_row_of_the_catalogue_reruns_that_figure_alone(checkout):
    """And what reads titles."""
    catalogue = checkout / "src/valleyscope/figures/catalogue.py"
    text, count = re.subn('"What subspaces see"', '"What a subspace sees"', catalogue.read_text())
    assert count == 1
    catalogue.write_text(text)
    drawn = [job for job in jobs(*SMOKE, folder=checkout) if job.rule == "plot_figure"]
    assert len(drawn) == 1
    assert "--figure captured " in drawn[0].command


def test_a_new_figure_is_drawn_alone(checkout):
    catalogue = checkout / "src/valleyscope/figures/catalogue.py"
    append(catalogue, '\nFIGURES["fresh"] = Figure("landscape", "Fresh", {"geometry": "seed"})\n')
    (checkout / "src/valleyscope/figures/landscape/fresh.py").write_text('"""Fresh."""\n')
    drawn = [job for job in jobs(*SMOKE, folder=checkout) if job.rule == "plot_figure"]
    assert len(drawn) == 1
    assert "--figure fresh " in drawn[0].command


def change(checkout: Path, section: str, values: dict) -> None:
    smoke = yaml.safe_load((checkout / "configs/smoke.yaml").read_text())
    smoke.setdefault(section, {}).update(values)
    (checkout / "configs/smoke.yaml").write_text(yaml.safe_dump(smoke))


def test_a_changed_value_reruns_what_depends_on_it_and_nothing_else(checkout):
    smoke = yaml.safe_load((checkout / "configs/smoke.yaml").read_text())
    spectrum = smoke["connectivity"]["spectrum"]
    change(checkout, "connectivity", {"spectrum": spectrum | {"probes": spectrum["probes"] + 1}})
    pairs = len(smoke["connectivity"]["pairs"])
    expected = {"measure_path_spectrum": pairs, "gather_table": 1, "plot_figure": 1, **REPORT}
    assert planned(*SMOKE, folder=checkout) == expected


@pytest.mark.parametrize(("section", "name", "value"), [("claims", "rise", 1.5), ("claims", "low_loss", 1.3)])
def test_a_changed_threshold_reruns_claims_report_and_the_figures_that_show_it(
    checkout, section, name, value
):
    change(checkout, section, {name: value})
    found = jobs(*SMOKE, folder=checkout)
    drawn = {re.search(r"--figure (\w+) ", job.command)[1] for job in found if job.rule == "plot_figure"}
    assert drawn == {figure for figure, row in FIGURES.items() if name in row.limits}
    assert {job.rule for job in found} - {"plot_figure"} == set(CLAIMS)


def test_an_edited_profile_reruns_nothing(checkout):
    path = checkout / "profiles/default/config.yaml"
    profile = yaml.safe_load(path.read_text())
    profile["default-resources"]["mem_mb"] += 1
    path.write_text(yaml.safe_dump(profile))
    assert planned(*SMOKE, folder=checkout) == {}
