"""Renew what README and docs quote from the committed tables and captions: blocks, and the page of figures.

Example:
    python src/fill_texts.py --reference results/reference --benchmarks benchmarks/results \\
        --figures figures --texts README.md docs/claims.md --figures-page docs/figures.md
"""

from pathlib import Path

import stage.arguments

import yaml

from valleyscope.artifacts import write_atomically
from valleyscope.report.reference import figures_page, fill_blocks, text_blocks

CONFIG = Path(__file__).resolve().parents[1] / "configs/default.yaml"


def main(args):
    rmse = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["claims"]["rmse"]
    blocks = text_blocks(args.reference, args.benchmarks, args.figures, rmse)
    texts = {path: fill_blocks(path.read_text(encoding="utf-8"), blocks) for path in args.texts}
    for path, text in {**texts, args.figures_page: figures_page(args.figures)}.items():
        with write_atomically(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    parser = stage.arguments.parser(__doc__)
    parser.add_argument("--reference", type=Path, required=True, help="tables of the reference run")
    parser.add_argument("--benchmarks", type=Path, required=True, help="tables of the benchmark")
    parser.add_argument("--figures", type=Path, required=True, help="figures, their captions and numbers")
    parser.add_argument("--texts", type=Path, nargs="+", required=True, help="texts whose blocks are renewed")
    parser.add_argument("--figures-page", type=Path, required=True, help="Markdown to write: every figure")
    stage.arguments.run(main, parser)
