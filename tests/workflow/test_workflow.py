"""The workflow as users meet it: plans, refusals, and the jobs that Snakemake makes of the rules."""

import re
import runpy
import shlex
import sys
from functools import cache

import pytest
import yaml
from dry_run import ROOT, Job, jobs, snakemake

from dag import options
from valleyscope.figures.catalogue import FIGURES

CONFIGURATIONS = ["default", "smoke", "d6"]
DEFAULT, GPU, SLURM = (), ("--workflow-profile", "profiles/gpu"), ("--profile", "profiles/slurm")


@cache
def all_jobs(name: str, *profile: str) -> list[Job]:
    return jobs("--forceall", "--configfile", f"configs/{name}.yaml", *profile)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_configuration_plans_every_figure_table_and_text(name):
    made = {path for job in all_jobs(name) for path in job.files("output")}
    folders = yaml.safe_load((ROOT / f"configs/{name}.yaml").read_text())["output"]
    drawn = [figure for figure, row in FIGURES.items() if row.section != "benchmarks"]
    for figure in drawn:
        assert {f"{folders['figures']}/{figure}.{ext}" for ext in ("pdf", "svg", "png", "txt", "csv")} <= made
    shown = {table for figure in drawn for table in FIGURES[figure].tables}
    assert {f"{folders['results']}/{table}.csv" for table in (*shown, "claims")} <= made
    assert f"{folders['results']}/report.html" in made


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_command_is_understood_by_its_stage(name, monkeypatch):
    monkeypatch.setattr("stage.arguments.run", lambda main, parser, **_: parser.parse_args())
    for job in {job.rule: job for job in all_jobs(name)}.values():
        words = shlex.split(job.command.removesuffix(f" 2>&1 | tee {job.fields['log']}"))
        assert words[0] == "python"
        monkeypatch.setattr(sys, "argv", words[1:])
        runpy.run_path(str(ROOT / words[1]), run_name="__main__")


@pytest.mark.parametrize("profile", [DEFAULT, GPU], ids=["default", "gpu"])
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_job_has_log_memory_minutes_and_gpus(name, profile):
    for job in all_jobs(name, *profile):
        assert job.files("log")[0].endswith(".log"), job.rule
        assert not job.files("benchmark"), job.rule  # a job says itself what it took
        found = job.resources()
        assert int(found["mem_mb"]) > 0, job.rule
        assert int(found["runtime"]) > 0, job.rule
        assert int(found["gpu"]) == (profile == GPU and "--device " in job.command), job.rule


@pytest.mark.parametrize(
    ("wanted", "compiler"), [("True", sys.executable), ("True", "none"), ("False", sys.executable)]
)
def test_gradients_are_compiled_where_the_configuration_and_a_compiler_allow_it(
    wanted, compiler, monkeypatch
):
    monkeypatch.setenv("CXX", compiler)
    arguments = ("--forceall", "--configfile", "configs/smoke.yaml", "--config", f"compiled={wanted}")
    found = {job.rule for job in jobs(*arguments) if "--compiled results/smoke/programs" in job.command}
    allowed = wanted == "True" and compiler == sys.executable
    moving = {"train_language_model", "find_minimisers", "train_minimum", "relax_minima", "connect_minima"}
    moving |= {"run_projected_sgd", "measure_drift", "predict_drift", "train_families", "evaluate_averages"}
    assert found == (moving if allowed else set())


def test_timing_takes_all_cores_and_science_one():
    for job in all_jobs("smoke"):
        timing = job.rule in ("time_estimators", "time_replicas")
        assert job.threads() == (2 if timing else 1), job.rule
        assert "--threads" not in job.command or f"--threads {job.threads()} " in job.command


def test_a_cluster_is_asked_for_the_same():
    here, there = (
        {(job.rule, job.fields["output"]): job.resources() for job in all_jobs("d6", *profiles)}
        for profiles in (GPU, (*SLURM, *GPU))
    )
    assert {rule for rule, _ in here.keys() - there.keys()} == {"gather_table", "plot_figure"}  # in groups
    for name in ("mem_mb", "runtime", "gpu"):
        assert {job: found[name] for job, found in there.items()} == {job: here[job][name] for job in there}


def test_memory_of_a_rule_stands_in_one_line_of_a_profile(tmp_path):
    profile = yaml.safe_load((ROOT / "profiles/default/config.yaml").read_text())
    profile["set-resources"]["map_geometry"] = {"mem_mb": 1234}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(profile))
    changed = all_jobs("smoke", "--workflow-profile", str(tmp_path))
    before, after = (
        {(job.rule, job.fields["output"]): job.resources()["mem_mb"] for job in found}
        for found in (all_jobs("smoke"), changed)
    )
    assert before.keys() == after.keys()
    differing = [(rule, after[rule, out]) for rule, out in after if after[rule, out] != before[rule, out]]
    assert differing == [("map_geometry", "1234")]


@pytest.mark.parametrize("profile", ["default", "gpu"])
def test_profiles_name_only_rules_that_there_are(profile):
    named = yaml.safe_load((ROOT / f"profiles/{profile}/config.yaml").read_text())["set-resources"]
    assert set(named) <= {job.rule for job in all_jobs("smoke")}


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
    done = snakemake("-n", "--cores", "2", "--configfile", str(tmp_path / "wrong.yaml"))
    output = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    said = [line for line in output if not re.match(r"Using workflow|Config file", line)]
    assert done.returncode != 0
    assert len(said) == 1, said
    assert expected in said[0]


def test_windows_and_thresholds_share_no_name():
    default = yaml.safe_load((ROOT / "configs/default.yaml").read_text())
    assert not set(default["readings"]) & set(default["claims"])


def test_a_run_prints_its_plan_first_and_a_second_has_nothing_to_do(tmp_path):
    """Text and tokenizer, from a local text."""
    for name in ("src", "configs"):
        (tmp_path / name).symlink_to(ROOT / name)
    text = "the quick brown fox jumps over the lazy dog, again and again. " * 3000
    (tmp_path / "text.txt").write_text(text)
    small = {"data": {"text": "text.txt", "vocab_size": 260, "held_out_sequences": 8}}
    small["architectures"] = {"held_out": 8}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(small))
    place = ("results/corpus/tokenizer.tiktoken", "--snakefile", ROOT / "Snakefile", "--directory", tmp_path)
    place += ("--configfile", tmp_path / "small.yaml")
    done = snakemake(*place, "--cores", "1", folder=tmp_path)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert said.index("Plan: 2 jobs on 1 cores") < said.index("rule fetch_corpus")
    for rule in ("fetch_corpus", "train_tokenizer"):
        said = (tmp_path / f"results/logs/{rule}/all.log").read_text().splitlines()[-1]
        seconds, memory = re.fullmatch(rf"{rule}: took ([\d.]+) s and (\d+) MB", said).groups()
        assert 0 < float(seconds) < 600
        assert 10 < int(memory) < 10_000
    assert jobs(*place, folder=tmp_path) == []


def test_every_source_file_is_used_by_a_stage_the_command_the_benchmark_or_the_rules(tmp_path):
    used = {path for stage in (ROOT / "src").glob("*.py") for path in options.sources(stage.stem)}
    used |= {path for figure in FIGURES for path in options.sources_of_figure(figure)}
    used |= set(options.sources("valleyscope/__main__"))  # the command
    # Operators offered to users that no figure needs yet are measured with the others.
    roots = options._imports(ROOT / "benchmarks/measure_engine.py")
    rules = "\n".join(path.read_text() for path in (ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")))
    imports = re.findall(r"^(?:from \S+ import (?:\([^)]*\)|.*)|import .*)$", rules, re.MULTILINE)
    (tmp_path / "rules.py").write_text("\n".join(imports))
    roots += options._imports(tmp_path / "rules.py")
    used |= set(options._reached(roots))
    there = {str(path.relative_to(ROOT)) for path in (ROOT / "src").rglob("*.py")}
    assert there - used == set()
