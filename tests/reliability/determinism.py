"""Two smoke runs from nothing, in different folders and with different numbers of cores: the same bytes.

    python tests/reliability/determinism.py            # about ten minutes; prints what was compared
    python tests/reliability/determinism.py --config configs/default.yaml

Left out is what holds seconds: timing tables, the claims read off them and the figures drawn from them.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TIMED_TABLES = {"timing", "replicas", "architecture_costs"}
TIMED_CLAIMS = {"A7", "A7x"}
TIMED_FIGURES = {"cost", "published", "architectures"}


def clone(folder: Path) -> Path:
    """The committed checkout, with nothing run in it."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    return folder


def run(folder: Path, config: str, *options: str) -> None:
    command = [sys.executable, "-m", "snakemake", "--quiet", "all", "--configfile", config, *options]
    subprocess.run(command, cwd=folder, check=True)


def untimed_claims(path: Path) -> list[dict]:
    with path.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["id"] not in TIMED_CLAIMS]


def files(folder: Path) -> dict[str, Path]:
    """Tables and figures of the run that must not depend on the machine's load, by name."""
    tables = {
        str(path.relative_to(folder)): path
        for path in folder.glob("results/**/*.csv")
        if "reference" not in path.parts
        and not any(path.stem.startswith(name) for name in TIMED_TABLES | {"cost_", "accuracy"})
        and path.parent.name != "tables"
    }
    changed = subprocess.run(
        ["git", "ls-files", "figures"], cwd=folder, capture_output=True, text=True, check=True
    )
    committed = set(changed.stdout.split())
    figures = {
        str(path.relative_to(folder)): path
        for path in folder.glob("figures/**/*.*")
        if path.suffix in (".pdf", ".svg", ".png", ".txt")
        and path.stem not in TIMED_FIGURES
        and str(path.relative_to(folder)) not in committed
    }
    return tables | figures


def differing(first: Path, second: Path) -> tuple[int, list[str]]:
    """How many files were compared, and those that differ or are missing on one side."""
    one, other = files(first), files(second)
    wrong = sorted(set(one) ^ set(other))
    for name in sorted(set(one) & set(other)):
        if name.endswith("claims.csv"):
            same = untimed_claims(one[name]) == untimed_claims(other[name])
        else:
            same = one[name].read_bytes() == other[name].read_bytes()
        if not same:
            wrong.append(name)
    return len(one), wrong


def write_counts(rows: list[tuple[str, int, int]], out: Path) -> None:
    """A row a kind of check: how many there were, how many went well."""
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([("kind", "injected", "survived"), *rows])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", default="configs/smoke.yaml", help="configuration of both runs")
    parser.add_argument("--out", type=Path, help="CSV of the counts to write")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        first, second = clone(Path(folder) / "one core"), clone(Path(folder) / "all")
        run(first, args.config, "--cores", "1")
        run(second, args.config, "--cores", "all")
        count, wrong = differing(first, second)
    for name in wrong:
        print(f"differs: {name}")
    if args.out:
        write_counts([("files of a run with one core and with all", count, count - len(wrong))], args.out)
    print(f"determinism: {count} files compared, {len(wrong)} differ")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
