"""Make the finished default run the reference: copy its tables, add up its costs.

Example:
    python src/write_reference.py --results results --reference results/reference
"""

import shutil
from pathlib import Path

import stage.arguments

from valleyscope.artifacts import sidecar
from valleyscope.errors import InputError
from valleyscope.report.reference import costs


def main(args):
    tables = sorted(args.results.glob("*.csv"))
    if not tables:
        raise InputError(f"{args.results}: no tables; run `make` first")
    shutil.rmtree(args.reference, ignore_errors=True)
    args.reference.mkdir(parents=True)
    for table in tables:
        shutil.copyfile(table, args.reference / table.name)
        shutil.copyfile(sidecar(table), sidecar(args.reference / table.name))
    costs(args.results / "logs").to_csv(args.reference / "costs.csv", index=False)


if __name__ == "__main__":
    parser = stage.arguments.parser(__doc__)
    parser.add_argument("--results", type=Path, required=True, help="finished run")
    parser.add_argument("--reference", type=Path, required=True, help="where tables go")
    stage.arguments.run(main, parser)
