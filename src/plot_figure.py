"""Draw one figure of the catalogue in three formats, with its caption and a table of its numbers.

Example:
    python src/plot_figure.py --figure path_profile --tables results/path_losses.csv \\
        results/path_curvature.csv results/paths.csv --limits '{"comparable": 1.5, "middle": [0.4, 0.6]}' \\
        --out figures/path_profile.pdf
"""

import gc
import json
from importlib import import_module
from pathlib import Path

import stage.arguments

from valleyscope.artifacts import read_table
from valleyscope.errors import InputError
from valleyscope.figures.catalogue import FIGURES, module_of


def main(args):
    figure = FIGURES[args.figure]
    if len(args.tables) != len(figure.tables):
        raise InputError(f"--figure {args.figure} takes the tables {', '.join(figure.tables)}, in this order")
    missing = [name for name in figure.limits if name not in args.limits]
    if missing:
        raise InputError(f"--figure {args.figure} shows {missing[0]}; give it in --limits")
    gc.disable()  # a process of seconds: its memory goes as it ends, and a fifth of its time went into looking
    from valleyscope.figures.style import save_figure  # matplotlib takes its time: not for --help

    tables = [read_table(path, columns) for path, columns in zip(args.tables, figure.columns(), strict=True)]
    draw = import_module(module_of(args.figure)).draw
    save_figure(draw(*tables, **{name: args.limits[name] for name in figure.limits}), args.out)


if __name__ == "__main__":
    parser = stage.arguments.parser(__doc__)
    parser.add_argument("--figure", choices=FIGURES, required=True, metavar="NAME", help="of the catalogue")
    parser.add_argument(
        "--tables", type=Path, nargs="+", required=True, help="CSVs, in the catalogue's order"
    )
    parser.add_argument("--limits", type=json.loads, default={}, help="thresholds that it shows, JSON")
    parser.add_argument("--out", type=Path, required=True, help="STEM.pdf; svg, png, txt and csv beside it")
    stage.arguments.run(main, parser)
