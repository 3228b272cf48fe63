"""What the workflow prints before and after a run."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "src"))
from dag.plan import outcome, plan


@pytest.fixture
def costs(tmp_path):
    path = tmp_path / "costs.csv"
    path.write_text("rule,jobs,seconds\nslow,2,240\nquick,10,60\n")
    return path


def test_the_plan_counts_jobs_and_tells_the_dearest_first(costs):
    lines = plan(["quick"] * 5 + ["slow"] * 3 + ["new"], 2, costs).splitlines()
    assert lines[0] == "Plan: 9 jobs on 2 cores, about 3 minutes on the reference machine."  # (6 + 0.5) / 2
    assert [line.split() for line in lines[1:]] == [
        ["slow", "3", "6.0", "core-minutes"],
        ["quick", "5", "0.5", "core-minutes"],
        ["new", "1"],
    ]


@pytest.mark.parametrize("known", [None, Path("nowhere.csv")])
def test_without_known_costs_the_plan_has_no_estimate(known):
    assert plan(["a", "b", "a"], 1, known).splitlines() == [
        "Plan: 3 jobs on 1 cores.",
        f"  {'a':24s}   2",
        f"  {'b':24s}   1",
    ]


def test_the_outcome_counts_verdicts_and_names_the_report(tmp_path):
    path = tmp_path / "claims.csv"
    path.write_text("id,verdict\nA1,partly\nA2,reproduced\nB1,partly\nB2,undecided\n")
    told = outcome(path, Path("results/report.html"))
    assert told == "4 claims: 2 partly, 1 reproduced, 1 undecided.\nReport: results/report.html"
