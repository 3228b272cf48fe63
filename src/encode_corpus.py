"""Encode both splits of the corpus into tokens.

Example:
    python src/encode_corpus.py --folder corpus/documents --manifest corpus/manifest.csv \\
        --tokenizer corpus/tokenizer.tiktoken --out corpus/tokens.safetensors
"""

from pathlib import Path

import stage.arguments

from valleyscope.artifacts import save_tensors
from valleyscope.models.corpus import read_corpus
from valleyscope.models.tokenizer import encode_documents, load_tokenizer


def main(args):
    tokenizer = load_tokenizer(args.tokenizer)
    texts = read_corpus(args.folder, args.manifest)
    tokens = {split: encode_documents(tokenizer, texts[split]) for split in texts}
    counts = {split: len(ids) for split, ids in tokens.items()}
    save_tensors(
        tokens, args.out, {**stage.arguments.meta(args, args.manifest, args.tokenizer), "tokens": counts}
    )


if __name__ == "__main__":
    parser = stage.arguments.parser(__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="documents")
    parser.add_argument("--manifest", type=Path, required=True, help="their manifest")
    parser.add_argument("--tokenizer", type=Path, required=True, help="rank file")
    parser.add_argument("--out", type=Path, required=True, help="safetensors: train, held_out")
    stage.arguments.run(main, parser)
