"""Tests mirror the library: every module has a file of tests in the folder of its room."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
LIBRARY = TESTS.parent / "src/valleyscope"
NAMES = {"__main__": "command"}  # of modules whose tests are named otherwise
MODULES = [path.relative_to(LIBRARY) for path in sorted(LIBRARY.rglob("*.py")) if path.name != "__init__.py"]


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_has_its_file_of_tests(module):
    name = f"test_{NAMES.get(module.stem, module.stem)}.py"
    wanted = [TESTS / tree / module.parent / name for tree in ("unit", "oracle")]
    assert any(path.is_file() for path in wanted), f"{module}: none of {', '.join(map(str, wanted))}"
