"""Checks of a finished smoke run (`make smoke` first): whole, tidy, and the same when it is made again."""

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from dry_run import ROOT, planned, snakemake

from valleyscope.report import reference

sys.path.insert(0, str(Path(__file__).parents[1] / "reliability"))

import faults

pytestmark = pytest.mark.smoke

RESULTS, FIGURES = ROOT / "results/smoke", ROOT / "figures/smoke"
SMOKE = ("--configfile", "configs/smoke.yaml")
TABLES = sorted(RESULTS.glob("*.csv"))


@pytest.fixture
def checkout(tmp_path):
    """A copy of the finished run, so that a test may edit it."""
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in names.stdout.split():
        if not name.startswith(("figures/", "results/reference/")):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / name)
    for folder in ("results/smoke", "figures/smoke", ".snakemake/metadata"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def test_a_second_run_has_nothing_to_do():
    assert planned(*SMOKE) == {}


def test_a_copy_has_nothing_to_do_either(checkout):
    assert planned(*SMOKE, folder=checkout) == {}


def contents(folder):
    return {path: path.read_bytes() for path in sorted((folder / "results/smoke").glob("*.csv"))}


def test_a_job_that_is_killed_is_made_again_to_the_same_bytes(checkout, rng):
    before, record = contents(checkout), faults.Record()
    usual = {"map_geometry": faults.longest(checkout)["map_geometry"]}
    faults.kill(checkout, record, random.Random(rng.initial_seed()), usual)
    assert record.injected == 1
    assert record.lost == []
    assert contents(checkout) == before


def test_damaged_files_are_refused_by_name(checkout, rng):
    record = faults.Record()
    faults.damage(checkout, record, random.Random(rng.initial_seed()), ways=("flipped bit",))
    assert record.injected == len(faults.DAMAGED)
    assert record.lost == []


@pytest.mark.parametrize("path", TABLES, ids=lambda p: p.stem)
def test_tables_are_finite_documented_and_have_provenance(path):
    table = pd.read_csv(path)
    assert len(table) > 0
    documented = (ROOT / "results/README.md").read_text().split("## ")
    section = next(part for part in documented if path.name in part.splitlines()[0].split(", "))
    for column in table.columns:
        assert f"`{column}`" in section, column
        empty = {
            ("criteria", "standard_error"),
            ("criteria", "variance"),
            ("terms", "published_bound"),
            ("terms", "sharper_bound"),
            ("fixed_weights", "standard_error"),
            ("validity", "sigma_star"),
            ("validity", "sigma_floor"),
            ("sequences", "k"),
            ("lemma5", "rank_correlation"),
            ("claims", "value"),
            ("claims", "low"),
            ("claims", "high"),
            ("timing", "estimator"),
            ("projected_sgd", "loss"),
            ("projected_sgd", "step_size"),
            ("paths", "loss"),
            ("averages", "branch"),
            ("drift_slopes", "slope"),
            ("drift_slopes", "slope_se"),
            ("drift_slopes", "chi2_dof"),
            ("drift_exponents", "exponent"),
            ("drift_exponents", "exponent_se"),
            ("drift_exponents", "predicted"),
        }
        if (path.stem, column) not in empty:
            assert table[column].notna().all(), column
    meta = json.loads(path.with_name(path.name + ".json").read_text())
    assert {"commit", "versions", "threads", "machine"} <= set(meta)
    assert meta["settings"] or path.stem.startswith("drift_")  # nothing but their tables
    assert meta["inputs"]


def test_every_figure_has_three_formats_and_a_caption():
    stems = {p.stem for p in FIGURES.glob("*.png")}
    assert {name for name, figure in reference.FIGURES.items() if figure.section != "benchmarks"} == stems
    for stem in stems:
        for suffix in ("pdf", "svg", "png"):
            assert 0 < (FIGURES / f"{stem}.{suffix}").stat().st_size <= 300_000
        assert (FIGURES / f"{stem}.txt").read_text().strip()
        assert list(pd.read_csv(FIGURES / f"{stem}.csv")) == ["quantity", "value"]


def test_no_temporary_file_is_left():
    assert {p.name for p in RESULTS.rglob(".*")} <= {".snakemake_timestamp"}


def test_the_report_holds_every_figure_and_table(tmp_path):
    report = tmp_path / "report.html"
    assert snakemake("--cores", "1", *SMOKE, "--report", str(report)).returncode == 0
    html = report.read_text()
    for name in (
        [f"{p.stem}.png" for p in FIGURES.glob("*.png")] + [p.name for p in TABLES] + ["manifest.csv"]
    ):
        assert name in html, name
    for caption in FIGURES.glob("*.txt"):
        assert json.dumps(caption.read_text()[:40])[1:-1] in html, caption.name
    for category in ("Text and models", "Paper A", "Paper B", "Claims"):
        assert category in html


def test_the_corpus_is_as_large_as_the_configuration_says():
    default = yaml.safe_load((ROOT / "configs/default.yaml").read_text())
    assert pd.read_csv(RESULTS / "corpus/manifest.csv")["bytes"].sum() == default["data"]["bytes"]
