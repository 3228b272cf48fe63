"""How many tests of each kind passed, and how many inputs the fuzzers tried, from pytest's JUnit file.

python -m pytest --junitxml junit.xml
python tests/reliability/count_tests.py --junit junit.xml --out benchmarks/results/tests.csv
"""

import argparse
import base64
import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from determinism import write_counts


def counted(junit: Path) -> list[tuple[str, int, int]]:
    """What was tried, how often, how often it went well; by folder of tests/, without skipped tests."""
    tried, well = Counter(), Counter()
    root = ElementTree.parse(junit).getroot()
    for case in root.iter("testcase"):
        kind = f"{case.get('classname').split('.')[1]} tests"
        if case.find("skipped") is None:
            tried[kind] += 1
            well[kind] += case.find("failure") is None and case.find("error") is None
    for entry in root.iter("property"):  # Hypothesis leaves its statistics here
        found = re.match(r"hypothesis-statistics-tests/(\w+)/", entry.get("name"))
        if found:
            kind = f"inputs of {found[1]} tests"
            text = base64.b64decode(entry.get("value")).decode()
            passing, failing = (
                sum(map(int, numbers))
                for numbers in zip(*re.findall(r"(\d+) passing, (\d+) failing", text), strict=True)
            )
            tried[kind] += passing + failing
            well[kind] += passing
    return [(kind, tried[kind], well[kind]) for kind in sorted(tried)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--junit", type=Path, nargs="+", required=True, help="what pytest --junitxml wrote")
    parser.add_argument("--out", type=Path, required=True, help="CSV to write")
    args = parser.parse_args()
    found = {row[0]: row for path in args.junit for row in counted(path)}  # a kind's last file counts
    write_counts([found[kind] for kind in sorted(found)], args.out)


if __name__ == "__main__":
    main()
