"""Join the tables of seeds, sizes or pairs into one; its provenance is what they share.

Their text is copied: no digit changes.

Example:
    python src/gather_table.py --tables parts/a.csv parts/b.csv --out table.csv
"""

from pathlib import Path

import stage.arguments

from valleyscope.artifacts import join_tables, provenance, read_json, sidecar


def main(args):
    settings = [read_json(sidecar(path))["settings"] for path in args.tables]
    common = {key: value for key, value in settings[0].items() if all(s.get(key) == value for s in settings)}
    join_tables(args.tables, args.out, provenance(common, args.tables, args.threads))


if __name__ == "__main__":
    parser = stage.arguments.parser(__doc__)
    parser.add_argument("--tables", type=Path, nargs="+", required=True, help="CSVs, in order")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    stage.arguments.run(main, parser)
