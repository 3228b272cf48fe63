"""Concatenate the tables of seeds, sizes or pairs into one; its provenance is what they share.

Example:
    python src/gather_table.py --tables parts/a.csv parts/b.csv --out table.csv
"""

from pathlib import Path

import pandas as pd

import stage.arguments
from valleyscope.artifacts import provenance, read_json, read_table, sidecar, write_table


def main(args):
    tables = [read_table(path, []) for path in args.tables]
    settings = [read_json(sidecar(path))["settings"] for path in args.tables]
    common = {key: value for key, value in settings[0].items() if all(s.get(key) == value for s in settings)}
    meta = provenance(common, args.tables, args.threads)
    empty = set().union(*(table.columns[table.isna().any()] for table in tables))
    write_table(pd.concat(tables, ignore_index=True), args.out, meta, may_be_empty=empty)


if __name__ == "__main__":
    parser = stage.arguments.parser(__doc__)
    parser.add_argument("--tables", type=Path, nargs="+", required=True, help="CSVs, in order")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    stage.arguments.run(main, parser)
