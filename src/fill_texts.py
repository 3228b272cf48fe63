"""Renew the blocks of numbers in README and docs from the committed tables and captions.

Example:
    python src/fill_texts.py --reference results/reference --benchmarks benchmarks/results \\
        --figures figures --texts README.md docs/figures.md docs/claims.md
"""

from pathlib import Path

import yaml

import stage.arguments
from valleyscope.artifacts import write_atomically
from valleyscope.report.reference import fill_blocks, text_blocks

CONFIG = Path(__file__).resolve().parents[1] / "configs/default.yaml"


def main(args):
    accuracy = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["claims"]["accuracy"]
    blocks = text_blocks(args.reference, args.benchmarks, args.figures, accuracy)
    for path in args.texts:
        text = fill_blocks(path.read_text(encoding="utf-8"), blocks)
        with write_atomically(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    parser = stage.arguments.parser(__doc__)
    parser.add_argument("--reference", type=Path, required=True, help="tables of the reference run")
    parser.add_argument("--benchmarks", type=Path, required=True, help="tables of the benchmark")
    parser.add_argument("--figures", type=Path, required=True, help="figures and their captions")
    parser.add_argument("--texts", type=Path, nargs="+", required=True, help="texts whose blocks are renewed")
    stage.arguments.run(main, parser)
