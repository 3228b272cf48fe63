import pandas as pd
import pytest

from valleyscope.report.gpu import gpu_block

SMALL, LARGE = 163_840, 49_250_304


def row(section, method, parameters=LARGE, library="valleyscope", **values):
    return {"section": section, "library": library, "method": method, "parameters": parameters, **values}


def table():
    rows = []
    for turn in (1, 2, 3):
        for size in (SMALL, LARGE):
            unit = 0.004 if size == SMALL else 0.02
            one = {"parameters": size, "round": turn}
            rows.append(
                row(
                    "products",
                    "gradient",
                    library="torch",
                    seconds=unit,
                    gradients=1.0,
                    peak_bytes=2e9,
                    **one,
                )
            )
            cost = {"seconds": 2 * turn * unit, "gradients": 2.0 * turn, "peak_bytes": 7.1e9}
            rows.append(row("products", "graph kept", **one, **cost))
    rows.append(row("products", "compilation", seconds=61.0, round=1))
    for size, steps, took in ((SMALL, 60, 0.5), (LARGE, 80, 7.0)):
        cost = {"seconds": took, "products": steps, "residual": 3e-4, "pairs": 16, "round": 1}
        rows.append(row("eigenpairs", f"Lanczos, {steps} steps", size, "hessian-eigenthings", **cost))
    for count in (1, 512):
        for method, took in (("batched", 0.01), ("loop", 0.005 * count)):
            one = {"replicas": count, "seconds": took, "round": 1, "parameters": 57_344}
            rows.append(row("replicas", method, **one))
    sizes = {"pairs": 45, "sequences": 8, "tokens": 512, "samples": 64, "round": 1}
    for method, took in (("I subspace", 17.53), ("II coefficients", 1.777), ("III closed form", 1.22e-4)):
        cost = {"seconds": took, "products": 210, "peak_bytes": 4.1e10}
        rows.append(row("stages", method, **sizes, **cost))
    rows.append(row("tests", "oracle tests on the device", None, passed=20, failed=1, seconds=9.0, round=1))
    return pd.DataFrame(rows).assign(card="A card", torch="2.11.0")


@pytest.fixture
def block(tmp_path):
    table().to_csv(tmp_path / "gpu.csv", index=False)
    return gpu_block(tmp_path / "gpu.csv")


def test_while_nothing_is_measured_one_line_says_how(tmp_path):
    assert gpu_block(tmp_path / "gpu.csv") == (
        "Not yet measured: `make gpu` does it on a machine with a GPU, in at most 8 minutes."
    )


def test_card_and_a_column_for_each_size(block):
    lines = block.splitlines()
    assert lines[0].startswith("A card, torch 2.11.0, float32 without TF32: medians.")
    assert "| | N = 163,840 | N = 49,250,304 |" in lines
    assert "| gradient | 4 ms, 2 GB | 20 ms, 2 GB |" in lines
    twice = "4.00, 7.1 GB"
    assert f"| product, valleyscope, graph kept | {twice} | {twice} |" in lines
    assert "| product, valleyscope, compilation | – | 61 s |" in lines
    steps = "| eigenpairs, hessian-eigenthings, Lanczos | 0.5 s, 60, 3e-04 | 7 s, 80, 3e-04 |"
    assert steps in lines  # the number of steps, which differs, stands among the products


def test_replicas_stages_and_tests_have_a_line_each(block):
    *_, replicas, _, stages, _, tests = block.splitlines()
    assert replicas.endswith("N = 57,344: 1: 100 (200); 512: 51,200 (200).")
    assert "N = 49,250,304, D = 45, k = 8, S = 64, sequences of 512 tokens: " in stages
    assert "I subspace 17.5 s, II coefficients 1.78 s, III closed form 122 µs; " in stages
    assert stages.endswith("stage I takes 210 products and 41 GB.")
    assert tests == "Oracle tests with model and data on the GPU: 20 of 21 pass."


def test_a_table_that_was_cut_short_is_shown_as_far_as_it_goes(tmp_path):
    found = table()
    found[found["section"].isin(["products", "stages"])].to_csv(tmp_path / "gpu.csv", index=False)
    block = gpu_block(tmp_path / "gpu.csv")
    assert "Stages of" in block
    assert "Steps of SGD" not in block
    assert "Oracle" not in block
