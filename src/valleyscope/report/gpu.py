"""What README shows of gpu.csv, the table of `make gpu`."""

import re
from pathlib import Path

import pandas as pd

from valleyscope.artifacts import read_table

NOT_YET = "Not yet measured: `make gpu` does it on a machine with a GPU, in at most 8 minutes."
NAMES = {
    "products": "product",
    "eigenpairs": "eigenpairs",
}  # sections whose rows stand in a column for each N
COLUMNS = ["section", "library", "method", "parameters", "round", "seconds", "gradients", "card", "torch"]


def gpu_block(path: Path) -> str:
    """A Markdown table of products and eigenpairs by N, then a line on replicas, stages and tests each."""
    if not path.exists():
        return NOT_YET
    table = read_table(path, COLUMNS)
    told = f"{table['card'].iloc[0]}, torch {table['torch'].iloc[0]}, float32 without TF32"
    lines = [
        f"{told}: medians. Products in gradients, peak memory with set-up; eigenpairs: seconds, "
        "products, worst residual over λ₁.\n",
        *_by_size(table[table["section"].isin(NAMES)]),
    ]
    for section, tell in {"replicas": _replicas, "stages": _stages, "tests": _tests}.items():
        rows = table[table["section"] == section]
        if len(rows):
            lines += ["", tell(rows)]
    return "\n".join(lines)


def _by_size(table: pd.DataFrame) -> list[str]:
    """Lines of the table, a row a library and way, a column an N."""
    sizes = sorted(table["parameters"].dropna().astype(int).unique())
    cells: dict[str, dict[int, str]] = {}
    for (section, library, method, size), rows in table.groupby(
        ["section", "library", "method", "parameters"], sort=False
    ):
        method = re.sub(r", \d+ steps$", "", method)  # it differs by N
        label = "gradient" if method == "gradient" else f"{NAMES[section]}, {library}, {method}"
        cells.setdefault(label, {})[int(size)] = _cell(section, method, rows)
    lines = ["| | " + " | ".join(f"N = {size:,}" for size in sizes) + " |", "|---" * (1 + len(sizes)) + "|"]
    for label, row in cells.items():
        lines.append("| " + " | ".join([label, *(row.get(size, "–") for size in sizes)]) + " |")
    return lines


def _cell(section: str, method: str, rows: pd.DataFrame) -> str:
    """One library and way at one N."""
    if section == "eigenpairs":
        found = rows[["seconds", "products"]].median()
        return f"{found['seconds']:.2g} s, {found['products']:.0f}, {rows['residual'].max():.0e}"
    if method in ("gradient", "compilation"):
        shown = _seconds(rows["seconds"].median())
    else:
        shown = f"{rows['gradients'].median():.2f}"
    peak = rows["peak_bytes"].max()
    return shown if pd.isna(peak) else f"{shown}, {peak / 1e9:.2g} GB"


def _seconds(taken: float) -> str:
    for unit, scale in {"s": 1.0, "ms": 1e3}.items():
        if taken * scale >= 1:
            return f"{taken * scale:.3g} {unit}"
    return f"{taken * 1e6:.3g} µs"


def _replicas(table: pd.DataFrame) -> str:
    """Steps a second of all replicas together."""
    rate = (
        (table["replicas"] / table["seconds"])
        .groupby([table["replicas"], table["method"]])
        .median()
        .unstack()
    )
    each = [f"{int(count)}: {row['batched']:,.0f} ({row['loop']:,.0f})" for count, row in rate.iterrows()]
    size = int(table["parameters"].iloc[0])
    return f"Steps of SGD a second by replicas, batched (in a loop), N = {size:,}: {'; '.join(each)}."


def _stages(table: pd.DataFrame) -> str:
    """Median seconds of each stage of Δ₂^(D), with products and memory of the first."""
    row, medians = table.iloc[0], table.groupby("method", sort=False)["seconds"].median()
    each = ", ".join(f"{method} {_seconds(taken)}" for method, taken in medians.items())
    first = table[table["method"] == row["method"]]
    memory = "" if pd.isna(row["peak_bytes"]) else f" and {first['peak_bytes'].max() / 1e9:.2g} GB"
    sizes = {"D": "pairs", "k": "sequences", "S": "samples"}
    told = ", ".join(f"{name} = {int(row[column])}" for name, column in sizes.items())
    where = f"N = {int(row['parameters']):,}, {told}, sequences of {int(row['tokens'])} tokens"
    return (
        f"Stages of Δ₂^(D), {where}: {each}; stage I takes {first['products'].median():.0f} products{memory}."
    )


def _tests(table: pd.DataFrame) -> str:
    passed, failed = table.iloc[-1][["passed", "failed"]].astype(int)
    return f"Oracle tests with model and data on the GPU: {passed} of {passed + failed} pass."
