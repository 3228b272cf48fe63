"""Compare fresh claims with the committed reference, claim by claim; fails if one moved.

Example:
    python src/check_reference.py --claims results/claims.csv --reference results/reference/claims.csv
    python src/check_reference.py --claims other/claims.csv --reference results/reference/claims.csv \
        --out benchmarks/results/processors.csv
"""

import sys
from pathlib import Path

import stage.arguments

from valleyscope.artifacts import read_table, write_table
from valleyscope.report.comparison import compare_claims

NUMBERS = ["value", "value_reference", "shift"]
COLUMNS = ["id", "value", "low", "high", "verdict"]


def main(args):
    table = compare_claims(read_table(args.claims, COLUMNS), read_table(args.reference, COLUMNS))
    if args.out:
        write_table(
            table, args.out, stage.arguments.meta(args, args.claims, args.reference), may_be_empty=NUMBERS
        )
    for row in table.itertuples():
        print(f"{'ok   ' if row.agrees else 'MOVED'} {row.id:4s} {row.verdict}: {row.why}")
    moved = table.loc[~table["agrees"], "id"]
    print(f"{len(table) - len(moved)} of {len(table)} claims agree with the reference.")
    if len(moved):
        sys.exit(
            f"check_reference: error: {', '.join(moved)} moved beyond the tolerance; see the lines above"
        )


if __name__ == "__main__":
    parser = stage.arguments.parser(__doc__)
    parser.add_argument("--claims", type=Path, required=True, help="claims.csv of the fresh run")
    parser.add_argument("--reference", type=Path, required=True, help="claims.csv of the reference")
    parser.add_argument("--out", type=Path, help="CSV to write the comparison to")
    stage.arguments.run(main, parser)
