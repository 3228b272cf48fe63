"""How much results change with the number of threads: a job of each stage of a finished run, done again.

    python tests/reliability/threads.py --folder . --threads 2 --out benchmarks/results/threads.csv

Science jobs use one thread, so that results do not depend on --cores; this says what another number would do.
Of each stage the shortest job is done again with --threads, in a copy of the run; its tables are compared
with those of the run. A row a stage and table: columns compared, the share of their numbers that differ, and
the largest difference over the largest number of its column.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from faults import Job, finished


def compared(before: pd.DataFrame, after: pd.DataFrame) -> dict[str, object]:
    """Numbers of two tables of one shape; columns of seconds and counts of products left out."""
    numeric = before.select_dtypes("number")
    names = [n for n in numeric if not n.endswith("seconds") and n not in ("gradients", "products")]
    one, other = (t[names].to_numpy(np.float64) for t in (before, after))
    if one.shape != other.shape:
        return {"columns": 0, "differing": 1.0, "largest": np.nan, "column": "(rows)"}
    moved = np.where(np.isnan(one) & np.isnan(other), 0.0, np.abs(one - other))  # nan: empty on one side
    sizes = moved.max(0) / np.maximum(np.nanmax(np.abs(one), 0, initial=0.0), np.finfo(float).tiny)
    worst = int(np.argmax(sizes))
    share = float((moved != 0).mean())
    return {"columns": len(names), "differing": share, "largest": sizes[worst], "column": names[worst]}


def again(folder: Path, job: Job, threads: int) -> list[dict]:
    """Do the job with more threads: a row a table with numbers."""
    tables = [name for name in job.outputs if name.endswith(".csv")]
    old = {name: pd.read_csv(folder / name) for name in tables}
    command = job.command.replace("--threads 1 ", f"--threads {threads} ").split(" 2>&1 | tee ")[0]
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"threads: error: {job.stage}: {done.stderr.strip()[-300:]}")
    return [
        {"stage": job.stage, "table": Path(name).name, **compared(old[name], pd.read_csv(folder / name))}
        for name in tables
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True, help="checkout with a finished run")
    parser.add_argument("--threads", type=int, default=2, help="threads of the jobs done again")
    parser.add_argument("--out", type=Path, help="CSV to write")
    args = parser.parse_args()
    shortest: dict[str, Job] = {}
    for job in finished(args.folder):
        known = shortest.get(job.stage)
        if "--threads 1 " in job.command and (known is None or job.seconds < known.seconds):
            shortest[job.stage] = job
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / "copy"
        shutil.copytree(args.folder, copy, ignore=shutil.ignore_patterns(".venv", ".git"))
        for _, job in sorted(shortest.items()):
            rows += again(copy, job, args.threads)
            print(rows[-1], flush=True)
    if args.out:
        pd.DataFrame(rows).to_csv(args.out, index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
