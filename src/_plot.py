"""What every plotting stage shares: tables in, three formats and a caption out."""

from collections.abc import Callable
from pathlib import Path

import stage.arguments
from valleyscope.artifacts import read_table
from valleyscope.figures.style import save_figure


def run(draw: Callable, columns: list[list[str]], description: str, *thresholds: str) -> None:
    """Parse `--tables … --out STEM.pdf`, check each table's columns, draw, save.

    `thresholds`: numbers of the configuration that the figure shows, options here and keywords of `draw`.
    """
    parser = stage.arguments.parser(description)
    parser.add_argument("--tables", type=Path, nargs=len(columns), required=True, help="CSVs")
    parser.add_argument("--out", type=Path, required=True, help="STEM.pdf; svg, png, txt beside it")
    for name in thresholds:
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, required=True, help="as configured")

    def main(args):
        tables = [read_table(p, c) for p, c in zip(args.tables, columns, strict=True)]
        save_figure(*draw(*tables, **{name: getattr(args, name) for name in thresholds}), args.out)

    stage.arguments.run(main, parser)
