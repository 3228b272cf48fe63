"""Verdicts on both papers' claims from the tables and the thresholds and windows of the configuration.

Example:
    python src/judge_claims.py --tables results/slopes.csv results/terms.csv … \\
        --limits '{"rate": 0.1, "middle": [0.4, 0.6], …}' --out results/claims.csv
"""

import json
from pathlib import Path

import stage.arguments

from valleyscope.artifacts import read_table, write_table
from valleyscope.claims import judge_claims


def main(args):
    tables = {path.stem: read_table(path, []) for path in args.tables}
    claims, meta = judge_claims(tables, args.limits), stage.arguments.meta(args, *args.tables)
    # Where not testable; without any cell there is no threshold either.
    write_table(claims, args.out, meta, may_be_empty=["value", "low", "high", "threshold"])


if __name__ == "__main__":
    parser = stage.arguments.parser(__doc__)
    parser.add_argument("--tables", type=Path, nargs="+", required=True, help="CSVs, known by their names")
    parser.add_argument(
        "--limits", type=json.loads, required=True, help="readings and claims of the configuration, JSON"
    )
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    stage.arguments.run(main, parser)
