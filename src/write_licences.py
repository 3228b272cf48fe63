"""List the licences of the packages that a run needs, as their own metadata state them.

Example:
    python src/write_licences.py --requirements envs/requirements.txt --out docs/licences.md
"""

import re
from importlib.metadata import files, metadata
from pathlib import Path

import stage.arguments

from valleyscope.artifacts import write_atomically


def licence(package: str) -> str:
    """The licence of an installed package: its SPDX expression, else its classifiers, else its own words.

    Where the metadata say nothing, the first line of the licence that comes with it.
    """
    about = metadata(package)
    classifiers = [c.split(" :: ")[-1] for c in about.get_all("Classifier", []) if c.startswith("License ::")]
    words = (about["License"] or "").strip().splitlines()
    texts = [file for file in files(package) or [] if file.name.upper().startswith("LICEN")]
    words += [line.strip() for file in texts for line in file.read_text().splitlines() if line.strip()]
    return about["License-Expression"] or ", ".join(classifiers) or (words[0] if words else "not stated")


def table(requirements: Path) -> str:
    """Markdown: a row a pinned package."""
    pins = re.findall(r"^([\w.-]+)==(\S+)", requirements.read_text(encoding="utf-8"), re.MULTILINE)
    rows = [
        f"| {name} | {version} | {licence(name)} |"
        for name, version in sorted(pins, key=lambda pin: pin[0].casefold())
    ]
    return "\n".join(
        [
            "# Licences of what a run needs\n",
            "Made by `make texts` from the packages' own metadata; pins stand in `envs/requirements.txt`.\n",
            "| package | version | licence |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def main(args):
    with write_atomically(args.out) as temporary:
        temporary.write_text(table(args.requirements), encoding="utf-8")


if __name__ == "__main__":
    parser = stage.arguments.parser(__doc__)
    parser.add_argument("--requirements", type=Path, required=True, help="pins")
    parser.add_argument("--out", type=Path, required=True, help="Markdown to write")
    stage.arguments.run(main, parser)
