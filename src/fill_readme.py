"""Renew the README's blocks of numbers from the committed tables and captions.

Example:
    python src/fill_readme.py --reference results/reference --benchmarks benchmarks/results \\
        --figures figures --readme README.md
"""

from pathlib import Path

import _stage
from valleyscope.artifacts import write_atomically
from valleyscope.reference import fill_blocks, readme_blocks


def main(args):
    blocks = readme_blocks(args.reference, args.benchmarks, args.figures)
    text = fill_blocks(args.readme.read_text(encoding="utf-8"), blocks)
    with write_atomically(args.readme) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    parser = _stage.parser(__doc__)
    parser.add_argument("--reference", type=Path, required=True, help="tables of the reference run")
    parser.add_argument("--benchmarks", type=Path, required=True, help="tables of the benchmark")
    parser.add_argument("--figures", type=Path, required=True, help="figures and their captions")
    parser.add_argument("--readme", type=Path, required=True, help="text whose blocks are renewed")
    _stage.run(main, parser)
