"""Concatenate the tables of seeds, sizes or pairs into one.

Example:
    python src/gather_table.py --tables parts/a.csv parts/b.csv --out table.csv
"""

from pathlib import Path

import pandas as pd

import _stage
from valleyscope.artifacts import read_table, write_table


def main(args):
    tables = [read_table(path, []) for path in args.tables]
    write_table(pd.concat(tables, ignore_index=True), args.out, _stage.meta(args))


if __name__ == "__main__":
    parser = _stage.parser(__doc__)
    parser.add_argument("--tables", type=Path, nargs="+", required=True, help="CSVs, in order")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    _stage.run(main, parser)
