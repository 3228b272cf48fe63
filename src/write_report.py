"""Write the report, one HTML page that needs nothing beside it.

Example:
    python src/write_report.py --claims results/claims.csv --tables results/slopes.csv results/terms.csv \\
        --figures '{"Paper A": ["figures/decay.svg"]}' --logs results/logs \\
        --settings '{"seeds": "0 to 4"}' --out results/report.html
"""

import json
from pathlib import Path

import stage.arguments

from valleyscope.artifacts import read_table, write_atomically
from valleyscope.report.reference import costs
from valleyscope.report.report import load_figure, provenance_of, render


def main(args):
    claims = read_table(args.claims, ["id", "verdict", "side", "figure", "tables", "control", "scale"])
    figures = [load_figure(Path(path), section) for section, paths in args.figures.items() for path in paths]
    page = render(claims, figures, costs(args.logs), provenance_of(args.tables), args.settings)
    with write_atomically(args.out) as temporary:
        temporary.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    parser = stage.arguments.parser(__doc__)
    parser.add_argument("--claims", type=Path, required=True, help="CSV of judge_claims")
    parser.add_argument("--tables", type=Path, nargs="+", required=True, help="CSVs whose provenance is told")
    parser.add_argument("--figures", type=json.loads, required=True, help="section -> SVG files, JSON")
    parser.add_argument("--logs", type=Path, required=True, help="folder of the jobs' logs")
    parser.add_argument("--settings", type=json.loads, required=True, help="lines of the methods, JSON")
    parser.add_argument("--out", type=Path, required=True, help="HTML to write")
    stage.arguments.run(main, parser)
