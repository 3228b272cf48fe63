"""Make the finished default run the reference: copy its tables, add up its costs, renew the README.

Example:
    python src/write_reference.py --results results --figures figures \\
        --reference results/reference --readme README.md
"""

import shutil
from pathlib import Path

import _stage
from valleyscope.artifacts import sidecar, write_atomically
from valleyscope.errors import InputError
from valleyscope.reference import FIGURES, costs, fill_blocks


def main(args):
    tables = sorted(args.results.glob("*.csv"))
    if not tables:
        raise InputError(f"{args.results}: no tables; run `make` first")
    shutil.rmtree(args.reference, ignore_errors=True)
    args.reference.mkdir(parents=True)
    for table in tables:
        shutil.copyfile(table, args.reference / table.name)
        shutil.copyfile(sidecar(table), sidecar(args.reference / table.name))
    costs(args.results / "benchmarks").to_csv(args.reference / "costs.csv", index=False)
    captions = {name: (args.figures / f"{name}.txt").read_text(encoding="utf-8") for name in FIGURES}
    text = fill_blocks(args.readme.read_text(encoding="utf-8"), args.reference, captions)
    with write_atomically(args.readme) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    parser = _stage.parser(__doc__)
    parser.add_argument("--results", type=Path, required=True, help="finished run")
    parser.add_argument("--figures", type=Path, required=True, help="its figures and captions")
    parser.add_argument("--reference", type=Path, required=True, help="where tables go")
    parser.add_argument("--readme", type=Path, required=True, help="text whose blocks are renewed")
    _stage.run(main, parser)
