"""Learn a byte-level BPE on the training documents; write a tiktoken rank file and its JSON.

Example:
    python src/train_tokenizer.py --folder corpus/documents --manifest corpus/manifest.csv \\
        --vocab-size 512 --out corpus/tokenizer.tiktoken
"""

from pathlib import Path

import stage.arguments

from valleyscope.models.corpus import read_corpus
from valleyscope.models.tokenizer import save_tokenizer, train_tokenizer


def main(args):
    texts = read_corpus(args.folder, args.manifest)["train"]
    save_tokenizer(
        train_tokenizer(texts, args.vocab_size), args.out, stage.arguments.meta(args, args.manifest)
    )


if __name__ == "__main__":
    parser = stage.arguments.parser(__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="documents")
    parser.add_argument("--manifest", type=Path, required=True, help="their manifest")
    parser.add_argument("--vocab-size", type=int, required=True, help="tokens, end of text included")
    parser.add_argument("--out", type=Path, required=True, help="rank file")
    stage.arguments.run(main, parser)
