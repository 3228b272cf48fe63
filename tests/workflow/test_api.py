"""The API reference in docs is what the docstrings say."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "src"))

from write_api import PUBLIC, reference  # noqa: E402


def test_the_reference_is_up_to_date():
    assert (ROOT / "docs/api.md").read_text(encoding="utf-8") == reference(), "run `make texts`"


def test_everything_exported_is_in_it():
    import valleyscope

    assert {"probe", "trace_path"} == set(valleyscope._FUNCTIONS)
    assert all(name in PUBLIC[module] for name, module in valleyscope._FUNCTIONS.items())


def test_no_address_of_memory_is_in_it():
    assert " at 0x" not in reference()
