"""Write the tables of the paper in LaTeX (booktabs) and CSV: claims, and Table 3 of Paper A.

Example:
    python src/write_latex.py --claims results/claims.csv --timing results/timing.csv \\
        --errors results/accuracy.csv --rmse 0.01 --out results/tables
"""

from pathlib import Path

import stage.arguments

from valleyscope.artifacts import read_table, write_atomically
from valleyscope.report.latex import claims_table, cost_table, to_latex


def main(args):
    claims = read_table(args.claims, ["id", "statement", "value", "low", "high", "side", "verdict"])
    timing = read_table(args.timing, ["procedure", "stage", "estimator", "seconds"])
    errors = read_table(args.errors, ["sigma", "direct", "difference"])
    costs = cost_table(timing, errors, args.rmse)
    for name, table in (("claims", claims_table(claims)), ("table3", costs)):
        for suffix, text in ((".csv", table.to_csv(index=False)), (".tex", to_latex(table))):
            with write_atomically(args.out / f"{name}{suffix}") as temporary:
                temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    parser = stage.arguments.parser(__doc__)
    parser.add_argument("--claims", type=Path, required=True, help="CSV of judge_claims")
    parser.add_argument("--timing", type=Path, required=True, help="CSV of time_estimators")
    parser.add_argument("--errors", type=Path, required=True, help="CSV of time_estimators: accuracy.csv")
    parser.add_argument(
        "--rmse", type=float, required=True, help="relative error that estimators are timed to"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    stage.arguments.run(main, parser)
