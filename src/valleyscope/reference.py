"""What the README quotes: blocks between markers, made from the committed reference results."""

import re
from pathlib import Path

import pandas as pd

from valleyscope.artifacts import read_table

FIGURES = ("criteria", "cost", "eigenvalues", "path_profile", "projected_sgd", "training")


def costs(benchmarks: Path) -> pd.DataFrame:
    """Seconds and memory by rule, from Snakemake's benchmark files RULE/JOB.tsv."""
    files = sorted(benchmarks.glob("*/*.tsv"))
    rows = pd.concat([pd.read_csv(path, sep="\t").assign(rule=path.parent.name) for path in files])
    grouped = rows.groupby("rule")
    seconds, memory = grouped["s"], pd.to_numeric(rows["max_rss"], errors="coerce").groupby(rows["rule"])
    return pd.DataFrame(
        {
            "jobs": grouped.size(),
            "seconds": seconds.sum().round(1),
            "longest": seconds.max().round(1),
            "memory": memory.max().round(),
        }
    ).reset_index()


def fill_blocks(text: str, reference: Path, captions: dict[str, str]) -> str:
    """Replace what stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->` for each known NAME."""
    blocks = {"costs": costs_block(read_table(reference / "costs.csv", ["rule", "jobs", "seconds"]))}
    blocks |= {f"caption-{name}": caption.strip() for name, caption in captions.items()}
    for name, block in blocks.items():
        pattern = rf"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)"
        text = re.sub(pattern, lambda m, b=block: m[1] + b + "\n" + m[2], text, flags=re.DOTALL)
    return text


def costs_block(table: pd.DataFrame) -> str:
    """A Markdown table of the costs, dearest rule first, and their sum."""
    lines = ["| rule | jobs | seconds, all jobs | longest job | memory, MB |", "|---|---|---|---|---|"]
    for row in table.sort_values("seconds", ascending=False).itertuples():
        lines.append(
            f"| `{row.rule}` | {row.jobs} | {row.seconds:.0f} | {row.longest:.0f} | {row.memory:.0f} |"
        )
    lines.append(f"| all | {table['jobs'].sum()} | {table['seconds'].sum():.0f} | | |")
    return "\n".join(lines)
