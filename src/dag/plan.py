"""What the Snakefile prints before and after a run: plan and likely cost, verdicts and report."""

import csv
from collections import Counter
from pathlib import Path


def plan(jobs: list[str], cores: int, costs: Path | None) -> str:
    """Rules to run, dearest first, and about how long: `jobs` has the rule of each job to be run.

    `costs`: reference/costs.csv of the same configuration (rule, jobs, seconds); None: no estimate.
    """
    each = {}
    if costs is not None and costs.is_file():
        with costs.open(encoding="utf-8", newline="") as file:
            each = {row["rule"]: float(row["seconds"]) / int(row["jobs"]) for row in csv.DictReader(file)}
    counts = Counter(jobs)
    minutes = {rule: count * each.get(rule, 0.0) / 60 for rule, count in counts.items()}
    lines = [f"Plan: {len(jobs)} jobs on {cores} cores."]
    if each:
        lines[0] = (
            lines[0][:-1] + f", about {sum(minutes.values()) / cores:.0f} minutes on the reference machine."
        )
    for rule in sorted(counts, key=lambda rule: (-minutes[rule], rule)):
        cost = f"{minutes[rule]:6.1f} core-minutes" if rule in each else ""
        lines.append(f"  {rule:24s}{counts[rule]:4d}  {cost}".rstrip())
    return "\n".join(lines)


def outcome(claims: Path, report: Path) -> str:
    """Verdict counts and where the report is."""
    with claims.open(encoding="utf-8", newline="") as file:
        counts = Counter(row["verdict"] for row in csv.DictReader(file))
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
    return f"{counts.total()} claims: {told}.\nReport: {report}"
