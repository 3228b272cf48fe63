import os
from pathlib import Path

import pandas as pd

from valleyscope.reference import (
    BENCHMARK_FIGURE,
    FIGURES,
    claims_block,
    costs,
    costs_block,
    fill_blocks,
    readme_blocks,
)

ROOT = Path(__file__).resolve().parents[2]


def test_costs_add_up_the_jobs_of_a_rule(tmp_path):
    for rule, job, seconds, memory, end in (
        ("train_model", "0", 10.0, 100.0, 1010),
        ("train_model", "1", 12.0, "NA", 1014),
        ("plot_figure", "cost", 1.5, 50.0, 1017),
    ):
        path = tmp_path / rule / f"{job}.tsv"
        path.parent.mkdir(exist_ok=True)
        pd.DataFrame({"s": [seconds], "max_rss": [memory]}).to_csv(path, sep="\t", index=False)
        os.utime(path, (end, end))
    table = costs(tmp_path).set_index("rule")
    assert table.loc["train_model"].tolist() == [2, 22.0, 12.0, 100.0]
    assert table.loc["plot_figure"].tolist() == [1, 1.5, 1.5, 50.0]
    assert table.loc["(whole run)"].tolist() == [3, 15.5, 12.0, 100.0]  # not the pause from 1014 to 1015.5


def test_blocks_are_replaced_and_the_rest_is_kept():
    rows = [("a", 2, 3.4, 2.0, 9), ("(whole run)", 2, 2.1, 2.0, 9)]
    table = pd.DataFrame(rows, columns=["rule", "jobs", "seconds", "longest", "memory"])
    text = "x\n<!-- costs:begin -->\nold\n<!-- costs:end -->\n"
    text += "<!-- caption-cost:begin -->\n<!-- caption-cost:end -->\ny"
    blocks = {"costs": costs_block(table), "caption-cost": "It costs."}
    filled = fill_blocks(text, blocks)
    assert "old" not in filled
    assert "| `a` | 2 | 3 | 2 | 9 |\n| whole run, time in which a job ran | 2 | 2 | | 9 |" in filled
    assert "<!-- caption-cost:begin -->\nIt costs.\n<!-- caption-cost:end -->\ny" in filled
    assert fill_blocks(filled, blocks) == filled


def test_the_readme_says_what_the_reference_says():
    readme = (ROOT / "README.md").read_text()
    blocks = readme_blocks(ROOT / "results/reference", ROOT / "benchmarks/results", ROOT / "figures")
    assert fill_blocks(readme, blocks) == readme
    for block in blocks:
        assert f"<!-- {block}:begin -->" in readme
    for name in (*FIGURES, BENCHMARK_FIGURE):
        assert f"figures/{name}.png" in readme


def test_claims_are_quoted_with_interval_and_verdict_and_bars_are_escaped():
    row = {"id": "A1", "statement": "|a| falls", "metric": "γ", "value": 0.1234, "low": 0.1, "high": 0.2}
    row |= {"threshold": 0.1, "verdict": "partly", "control": "flat", "scale": "5 values"}
    block = claims_block(pd.DataFrame([row]))
    assert "| A1 | \\|a\\| falls | γ | 0.123 [0.1, 0.2] | 0.1 | **partly** | flat | 5 values |" in block
