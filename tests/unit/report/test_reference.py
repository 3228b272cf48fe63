import os
import re
from pathlib import Path

import pandas as pd
from estimator_tables import DEFAULT, cost_tables
from figure_check import LIMITS

from valleyscope.report.reference import (
    FIGURES,
    claims_block,
    costs,
    costs_block,
    figure_files,
    figures_page,
    fill_blocks,
    grid_block,
    ledger_block,
    processors_block,
    reliability_block,
    replicas_block,
    rounding_block,
    table3_block,
    text_blocks,
    verdicts_block,
)

ROOT = Path(__file__).resolve().parents[3]


def test_costs_add_up_what_the_jobs_of_a_rule_say(tmp_path):
    for rule, job, said, end in (
        ("train_model", "0", "train_model: took 10.00 s and 100 MB", 1010),
        ("train_model", "1", "x: took 3.00 s and 900 MB\ntrain_model: took 12.00 s and 80 MB", 1014),
        ("plot_figure", "cost", "plot_figure: took 1.50 s and 50 MB", 1017),
        ("plot_figure", "failed", "plot_figure: error: no table", 1019),
    ):
        path = tmp_path / rule / f"{job}.log"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"loss 3.2\n{said}\n")
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


PAGE = ROOT / "docs/figures.md"
TEXTS = [
    ROOT / "README.md",
    *(ROOT / f"docs/{name}.md" for name in ("claims", "curvature", "probing", "checks")),
    *(ROOT / f"docs/{name}.md" for name in ("scale", "reproducibility", "running")),
]


def test_readme_and_docs_say_what_the_reference_says():
    blocks = text_blocks(
        ROOT / "results/reference", ROOT / "benchmarks/results", ROOT / "figures", LIMITS["rmse"]
    )
    together = ""
    for path in TEXTS:
        text = path.read_text()
        assert fill_blocks(text, blocks) == text, path.name
        together += text
    for block in blocks:  # captions stand on the page of figures; some are quoted in the README
        assert block.startswith("caption-") or f"<!-- {block}:begin -->" in together
    assert PAGE.read_text() == figures_page(ROOT / "figures")


def drawn(folder, numbers):
    """A folder with a caption and a table of numbers for every figure, those of `numbers` by name."""
    for name in FIGURES:
        (folder / f"{name}.txt").write_text(f"What {name} shows.\n")
        pd.DataFrame(numbers.get(name, []), columns=["quantity", "value"]).to_csv(
            folder / f"{name}.csv", index=False
        )
    return folder


def test_the_page_of_figures_has_each_under_its_paper_with_caption_and_numbers(tmp_path):
    numbers = {"ratio": [("σ*", "0.10"), ("∣a∣ | b", "none, [1, 2]")], "decay": [("γ", "0.10")]}
    page = figures_page(drawn(tmp_path, numbers))
    sections = re.split(r"^## ", page, flags=re.MULTILINE)[1:]
    assert [section.splitlines()[0] for section in sections] == [
        "Paper A",
        "Paper B",
        "Text and models",
        "Engine",
    ]
    for name, figure in FIGURES.items():
        section = next(text for text in sections if text.startswith(figure.paper))
        picture = f"### {figure.title}\n\n![{figure.title}](../figures/{name}.png)\n\nWhat {name} shows.\n"
        assert picture in section
    folded = "| quantity | value |\n|---|---|\n| σ* | 0.10 |\n| ∣a∣ \\| b | none, [1, 2] |\n\n</details>"
    assert folded in page.split("What ratio shows.")[1].split("###")[0]
    assert "| γ | 0.10 |" in page  # as it was written, not as a number
    assert page.count("<details>") == 2  # nothing to fold out where a caption says all


def test_every_figure_is_listed_with_its_tables_and_its_module():
    table = figure_files()
    for name, figure in FIGURES.items():
        row = next(line for line in table.splitlines() if line.startswith(f"| [`{name}`]"))
        assert figure.title in row
        assert all(f"`{name}`" in row for name in figure.tables)
    modules = re.findall(r"\(\.\./(src/[^)]+)\)", table)
    assert len(modules) == len(FIGURES)
    assert all((ROOT / path).is_file() for path in modules)


def test_table_3_names_the_accuracy_it_gives_a_time_to():
    lines = table3_block(*cost_tables(**DEFAULT), rmse=0.02).splitlines()
    assert lines[0].endswith("| products | s to 2 % |")
    assert lines[2].startswith(
        "| corrected | direct Monte Carlo, batched | 2 ± 0.04 | – | 0.2 ± 0.004 | 20,000 |"
    )
    assert lines[2].endswith("| 60 | 2.05 |")


def test_counts_and_rounding_are_quoted_with_command_and_worst_number():
    tests = pd.DataFrame({"kind": ["oracle tests"], "injected": [1200], "survived": [1199]})
    assert reliability_block({"tests": tests}).endswith("| oracle tests | 1,200 | 1,199 | `make test` |")
    rows = [("smoke", "two threads", "train", 0.0, 0.0), ("smoke", "two threads", "train", 0.5, 2e-7)]
    rows += [("smoke", "other instructions", "train", 0.0, 0.0)]
    table = pd.DataFrame(rows, columns=["run", "condition", "stage", "differing", "largest"])
    assert rounding_block(table).endswith("| smoke | `train` | 2.0e-07 | none |")


def test_links_of_readme_and_docs_lead_to_files():
    for path in [
        *TEXTS,
        PAGE,
        *(ROOT / name for name in ("docs/limits.md", "docs/running.md", "CONTRIBUTING.md")),
    ]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
            assert "://" in target or (path.parent / target).exists(), (path.name, target)


def claims_of(*rows):
    common = {"source": "somewhere", "metric": "γ", "threshold": 0.1, "side": "below", "control": "flat"}
    common |= {"scale": "5 values", "figure": "decay", "tables": "slopes terms"}
    return pd.DataFrame([common | row for row in rows])


MEASURED = {"value": 0.1234, "low": 0.1, "high": 0.2}
NOTHING = dict.fromkeys(MEASURED, float("nan"))


def test_claims_are_quoted_with_interval_verdict_and_figure_and_bars_are_escaped():
    claims = claims_of({"id": "A1", "statement": "|a| falls", "verdict": "partly", **MEASURED})
    block = claims_block(claims)
    row = "| A1 | \\|a\\| falls | 0.123 [0.1, 0.2] | ≤ 0.1 | [**partly**](figures/decay.png) |"
    assert row in block
    ledger = ledger_block(claims)
    assert "## A1: |a| falls\n\n**partly** (somewhere)." in ledger
    assert "Measured: γ: 0.123 [0.1, 0.2]; claimed: ≤ 0.1." in ledger
    assert "Control: flat." in ledger
    assert "[decay](../figures/decay.png), `slopes.csv`, `terms.csv`." in ledger


def test_a_claim_without_an_interval_says_so_and_sides_are_told():
    rows = [
        {"id": "B1", "statement": "x", "verdict": "not testable here", "side": side, **NOTHING}
        for side in ("within", "above")
    ]
    block = claims_block(claims_of(*rows))
    assert "| no interval | ± 0.1 |" in block
    assert "| no interval | > 0.1 |" in block
    none = {"id": "B3x", "statement": "x", "verdict": "not testable here", **NOTHING}
    assert "| no interval | no cell |" in claims_block(claims_of(none | {"threshold": float("nan")}))


def test_another_processors_verdicts_are_told_where_they_differ():
    table = pd.DataFrame(
        [("A1", "partly", "partly", 0.3, True), ("B1", "partly", "reproduced", 0.7, True)],
        columns=["id", "verdict", "verdict_reference", "shift", "agrees"],
    )
    block = processors_block(table)
    assert block.startswith("2 of 2 claims agree")
    assert "Other verdicts: B1 (partly; reference: reproduced)." in block
    assert block.endswith("that of B1: by 0.7 of the intervals.")
    assert "Other verdicts: none." in processors_block(table[:1])


def test_verdicts_are_listed_by_paper():
    rows = [
        ("A1", "partly", 1),
        ("A2", "reproduced", 2),
        ("A3", "partly", 2),
        ("B1", "not reproduced", 0),
        ("B2", "undecided", 1),
        ("C1", "undecided", 0),
    ]
    block = verdicts_block(
        claims_of(*({"id": i, "verdict": v, "held": h, "statement": "", **MEASURED} for i, v, h in rows))
    )
    assert block.splitlines() == [
        "- Paper A: partly A1, A3; reproduced A2.",
        "- Paper B: not reproduced B1; undecided B2.",
        "- Both: undecided C1.",
    ]


def test_the_grid_of_costs_has_a_row_a_size_and_length():
    row = {"parameters": 57_344, "tokens": 16, "gigaflops": 20.0, "gigaflops_possible": 80.0}
    table = pd.DataFrame(
        [
            row | {"operation": "gradient", "sequences": 1, "nanoseconds": 2.5},
            row | {"operation": "gradient", "sequences": 8, "nanoseconds": 0.5, "gigaflops": 40.0},
            row | {"operation": "product", "sequences": 1, "nanoseconds": 5.0, "tokens": 32},
        ]
    )
    lines = grid_block(table).splitlines()
    assert lines[0].startswith("80 GFLOP/s possible")
    assert (
        lines[2] == "| N | tokens | gradient, 1 | gradient, 8 | product, 1 | of what is possible, at best |"
    )
    assert lines[4:] == ["| 57,344 | 16 | 2.50 | 0.50 | – | 50% |", "| 57,344 | 32 | – | – | 5.00 | 25% |"]


def test_the_grid_says_what_the_larger_choice_costs():
    row = {"operation": "gradient", "sequences": 8, "gigaflops": 20.0, "gigaflops_possible": 80.0}
    small = row | {"parameters": 57_344, "tokens": 16, "nanoseconds": 0.4}
    large = row | {"parameters": 163_840, "tokens": 32, "nanoseconds": 0.1}
    told = grid_block(pd.DataFrame([small, large])).splitlines()[-1]
    assert told.endswith("5.7 times the work, a gradient of 8 sequences takes 1.4 times as long.")


def test_replicas_stand_beside_each_other_by_way():
    row = {"replicas": 8, "gradient_seconds": 4e-3}
    table = pd.DataFrame(
        [
            row | {"way": "eager", "replica_gradients": 0.5, "first_seconds": 0.1},
            row | {"way": "compiled", "replica_gradients": 0.25, "first_seconds": 20.0},
        ]
    )
    assert replicas_block(table).splitlines()[2:] == ["| 8 | 2.00 | 1.00 | 20.0 |"]
