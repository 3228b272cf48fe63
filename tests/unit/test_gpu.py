"""benchmarks/measure_gpu.py on a CPU and a tiny model: rows, what is left out, what stops and what fails."""

import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path

import pandas as pd
import pytest
import torch

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import measure_gpu  # noqa: E402
import peers  # noqa: E402

from valleyscope.errors import InputError  # noqa: E402

THEIRS = {"curvlinops", "PyHessian", "hessian-eigenthings", "SciPy"}


@pytest.fixture(autouse=True)
def mode():
    yield
    torch.set_deterministic_debug_mode("default")


def measured(out, *only, **options):
    """The table of a quick run of some sections."""
    chosen = {"device": "cpu", "quick": True, "minutes": 5.0, "tokens": None, "threads": 1} | options
    measure_gpu.main(Namespace(out=out, only=list(only), **chosen))
    return pd.read_csv(out / "gpu.csv")


def without_peers(monkeypatch):
    for module in peers.MODULES.values():
        monkeypatch.setitem(sys.modules, module, None)


def test_products_and_eigenpairs_of_every_library_that_is_installed(tmp_path):
    pytest.importorskip("curvlinops", reason="not installed; make test installs the peers")
    table = measured(tmp_path, "products", "eigenpairs")
    plan = measure_gpu.QUICK
    products = table[table["section"] == "products"]
    assert set(products["library"]) == {"torch", "valleyscope", *THEIRS} - {"SciPy"}
    assert (products.groupby(["library", "method"])["round"].nunique() == plan.rounds).all()
    assert (products.loc[products["method"] == "gradient", "gradients"] == 1).all()
    solved = table[table["section"] == "eigenpairs"].set_index("library")
    assert set(solved.index) == {"valleyscope", *THEIRS} - {"curvlinops"}
    assert (solved["pairs"] == plan.pairs).all()
    assert (solved.drop("PyHessian")["residual"] <= measure_gpu.TOLERANCE).all()
    assert (solved["products"] > plan.pairs).all()
    assert (table["parameters"] == 4096).all()
    assert table["peak_bytes"].isna().all()  # there is no such count on a CPU


def test_without_them_their_rows_are_left_out_and_a_line_says_so(tmp_path, monkeypatch, capsys):
    without_peers(monkeypatch)
    table = measured(tmp_path, "products", "eigenpairs")
    assert set(table["library"]) == {"torch", "valleyscope"}
    told = capsys.readouterr().out
    assert all(told.count(f"{name}: left out (") == 1 for name in peers.MODULES)


def test_a_library_that_computes_something_else_is_left_out(tmp_path, monkeypatch, capsys):
    without_peers(monkeypatch)
    monkeypatch.setattr(peers, "missing", dict)
    monkeypatch.setattr(peers, "PRODUCTS", {"other": lambda model, batch: lambda v: 1.001 * v})
    table = measured(tmp_path, "products")
    assert "other" not in set(table["library"])
    assert (
        "products, other: left out (InputError: the product of other differs from ours"
        in capsys.readouterr().out
    )


def test_replicas_and_stages(tmp_path, monkeypatch):
    without_peers(monkeypatch)
    table, plan = measured(tmp_path, "replicas", "stages"), measure_gpu.QUICK
    replicas = table[table["section"] == "replicas"]
    assert set(replicas["replicas"]) == set(plan.replicas)
    assert (replicas["parameters"] == 57_344).all()
    assert (replicas.groupby(["replicas", "method"]).size() == plan.repeats).all()
    stages = table[table["section"] == "stages"].groupby("method").first()
    assert stages.loc["II coefficients", "products"] == plan.dim
    assert stages.loc["I subspace", "products"] > plan.dim
    assert (stages[["sequences", "pairs", "samples"]] == [plan.k, plan.dim, plan.samples]).all(axis=None)
    direct, closed = (stages.loc[f"III {way}", "seconds"] for way in ("direct Monte Carlo", "closed form"))
    assert closed < direct


def test_compiled_rows_are_beside_a_gradient_and_the_compilation_counts_by_itself(monkeypatch):
    original = measure_gpu.Problem.hessian
    monkeypatch.setattr(
        measure_gpu.Problem, "hessian", lambda self, compiled=False, **options: original(self, **options)
    )
    plan = measure_gpu.QUICK
    rows = pd.DataFrame(
        measure_gpu.compiled(measure_gpu.trained(plan.sizes["tiny"], plan, None, "cpu"))
    ).set_index("method")
    assert list(rows.index.value_counts()[["compiled", "compilation"]]) == [plan.rounds, 1]
    assert set(rows.index) == {"compiled", "compilation", "Lanczos, compiled"}
    assert (rows.loc[["compiled"], "gradients"] > 0).all()


def test_what_takes_too_long_or_fails_leaves_the_other_rows(tmp_path, monkeypatch, capsys):
    row = {"section": "products", "library": "x", "method": "y", "round": 1, "seconds": 1.0}

    def slow():
        yield row
        try:
            time.sleep(30)
        except Exception:  # as a library may
            yield row

    def broken():
        yield row
        raise RuntimeError("out of\nmemory")

    chosen = {"slow": (0.2, slow), "broken": (5, broken), "last": (5, lambda: [row])}
    monkeypatch.setattr(measure_gpu, "sections", lambda *_: chosen)
    with pytest.raises(InputError, match="failed: broken"):
        measured(tmp_path)
    assert len(pd.read_csv(tmp_path / "gpu.csv")) == 3
    told = capsys.readouterr().out
    assert "slow: stopped after 0 s" in told
    assert "broken: failed (RuntimeError: out of\\nmemory)" in told


def test_no_section_starts_when_the_minutes_are_used_up(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(measure_gpu, "sections", lambda *_: {"late": (5, lambda: [])})
    measure_gpu.main(
        Namespace(out=tmp_path, only=[], device="cpu", quick=True, minutes=0.1, tokens=None, threads=1)
    )
    assert "late: left out, the 0.1 minutes are used up" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("told", "code", "counts"), [
    ("21 passed in 9.1s", 0, (21, 0)), ("2 failed, 18 passed, 1 error in 9.1s", 1, (18, 3))
])  # fmt: skip
def test_oracle_tests_are_counted_and_must_pass(told, code, counts, monkeypatch):
    commands = []

    def run(command, **_):
        commands.append(command)
        return subprocess.CompletedProcess(command, code, stdout=f"...\n{told}\n", stderr="")

    monkeypatch.setattr(measure_gpu.subprocess, "run", run)
    rows = measure_gpu.oracle_tests("cuda")
    found = next(rows)
    assert (found["passed"], found["failed"]) == counts
    assert commands[0][-3:] == ["tests/oracle/test_on_device.py", "--device", "cuda"]
    if code:
        with pytest.raises(InputError, match="did not all pass"):
            next(rows)


def test_a_markov_chain_is_seeded_and_can_be_learned():
    tokens = measure_gpu.markov_chain(50, 400, 64, seed=3)
    assert torch.equal(tokens, measure_gpu.markov_chain(50, 400, 64, seed=3))
    assert tokens.min() >= 0
    assert tokens.max() < 50
    counts = torch.zeros(50, 50)
    counts.index_put_((tokens[:, :-1], tokens[:, 1:]), torch.ones(()), accumulate=True)
    four = counts.topk(4, dim=1).values.sum() / counts.sum()
    assert 0.88 < four < 0.96  # nine in ten, and what else falls there
