"""How much results change with the number of threads: a job of each stage of a finished run, done again.

    python tests/reliability/threads.py --folder . --threads 2 --out benchmarks/results/threads.csv

Science jobs use one thread, so that results do not depend on --cores; this says what another number would do.
Of each stage the shortest job is done again with --threads; its tables are compared with those of the run and
put back. A row a stage and table: columns compared, how many of their numbers differ, and the largest
difference over the largest number of its column.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from faults import Job, finished

TIMED = ("time_estimators", "time_replicas")


def compared(before: pd.DataFrame, after: pd.DataFrame) -> dict[str, object]:
    """Numbers of two tables of one shape; columns of seconds and counts of products left out."""
    if before.shape != after.shape:
        return {"columns": 0, "differing": 1.0, "largest": float("nan"), "column": "the number of rows"}
    names = [n for n in before.select_dtypes("number") if n not in ("seconds", "gradients", "products")]
    sizes, changed, total = {}, 0, 0
    for name in names:
        one, other = (t[name].to_numpy(np.float64) for t in (before, after))
        scale = np.nanmax(np.abs(one), initial=0.0)
        moved = np.nan_to_num(np.abs(one - other))
        sizes[name] = moved.max() / scale if scale else 0.0
        changed += int((moved > 0).sum())
        total += len(one)
    worst = max(sizes, key=sizes.get)
    return {"columns": len(names), "differing": changed / total, "largest": sizes[worst], "column": worst}


def again(folder: Path, job: Job, threads: int) -> list[dict]:
    """Do the job with more threads: a row a table; its outputs are put back."""
    before = {name: (folder / name).read_bytes() for name in job.outputs if (folder / name).is_file()}
    tables = [name for name in before if name.endswith(".csv")]
    old = {name: pd.read_csv(folder / name) for name in tables}
    command = job.command.replace("--threads 1 ", f"--threads {threads} ").split(" 2>&1 | tee ")[0]
    try:
        done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"threads: error: {job.stage}: {done.stderr.strip()[-300:]}")
        return [
            {"stage": job.stage, "table": Path(name).name, **compared(old[name], pd.read_csv(folder / name))}
            for name in tables
        ]
    finally:
        for name, content in before.items():
            (folder / name).write_bytes(content)


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
    for stage, job in sorted(shortest.items()):
        if stage not in TIMED:
            rows += again(args.folder, job, args.threads)
            print(rows[-1] if rows else stage, flush=True)
    if args.out:
        pd.DataFrame(rows).to_csv(args.out, index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
