"""How much results change with rounding: a job of each stage of a finished run, done again.

    python tests/reliability/rounding.py --run smoke . --out benchmarks/results/rounding.csv

Science jobs use one thread, and two machines with the same kind of processor give the same bytes. This says
what another number of threads would do, and another kind of processor: torch and MKL can be told to use the
instructions that every processor has. Of each stage the shortest job is done again in a copy of the run, and
its tables are compared with those of the run. A row a run, condition, stage and table: columns compared, the
share of their numbers that differ, and the largest difference over the largest number of its column.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from faults import Job, finished

CONDITIONS = {
    "two threads": ("--threads 2 ", {}),
    "other instructions": ("--threads 1 ", {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE"}),
}


def compared(before: pd.DataFrame, after: pd.DataFrame) -> dict[str, object]:
    """Numbers of two tables of one shape; columns of seconds and counts of products left out."""
    numeric = before.select_dtypes("number")
    names = [n for n in numeric if not n.endswith("seconds") and n not in ("gradients", "products")]
    one, other = (t[names].to_numpy(np.float64) for t in (before, after))
    if one.shape != other.shape:
        return {"columns": 0, "differing": 1.0, "largest": np.nan, "column": "(rows)"}
    most = np.nanmax(np.abs(one), 0, initial=np.finfo(float).tiny)
    moved = np.where(np.isnan(one) & np.isnan(other), 0.0, np.abs(one - other))  # nan: empty on both sides
    moved = np.where(np.isnan(moved), most, moved)  # or on one: another number altogether
    sizes = moved.max(0) / most
    worst = int(np.argmax(sizes))
    share = float((moved != 0).mean())
    return {"columns": len(names), "differing": share, "largest": sizes[worst], "column": names[worst]}


def again(folder: Path, job: Job, condition: str) -> list[dict]:
    """Do the job under the condition: a row a table. What the run had written is put back."""
    threads, environment = CONDITIONS[condition]
    written = [folder / name for name in job.outputs] + [folder / f"{name}.json" for name in job.outputs]
    before = {path: path.read_bytes() for path in written if path.is_file()}
    tables = {path: pd.read_csv(path) for path in before if path.suffix == ".csv"}
    command = job.command.replace("--threads 1 ", threads).split(" 2>&1 | tee ")[0]
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, text=True, env=os.environ | environment
    )
    if done.returncode:
        sys.exit(f"rounding: error: {job.stage}: {done.stderr.strip()[-300:]}")
    rows = [
        {"condition": condition, "stage": job.stage, "table": path.name, **compared(table, pd.read_csv(path))}
        for path, table in tables.items()
    ]
    for path, content in before.items():
        path.write_bytes(content)
    return rows


def shortest(jobs: list[Job]) -> list[Job]:
    """Of each stage that writes tables with one thread, the job that took least."""
    found: dict[str, Job] = {}
    for job in jobs:
        known = found.get(job.stage)
        if "--threads 1 " in job.command and (known is None or job.seconds < known.seconds):
            found[job.stage] = job
    return [job for _, job in sorted(found.items())]


def rows_of(name: str, folder: Path) -> list[dict]:
    """Every stage of one run, under every condition."""
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / "copy"
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(".venv", ".git"))
        for job in shortest(finished(copy)):
            for condition in CONDITIONS:
                rows += [{"run": name, **row} for row in again(copy, job, condition)]
                print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--run",
        nargs=2,
        action="append",
        required=True,
        metavar=("NAME", "FOLDER"),
        help="name of the rows, and checkout with a finished run; may be given again",
    )
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    args = parser.parse_args()
    rows = [row for name, folder in args.run for row in rows_of(name, Path(folder))]
    pd.DataFrame(rows).to_csv(args.out, index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
