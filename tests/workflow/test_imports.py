"""Data walks one way, and so do imports: no room looks up, none runs in a circle."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[2] / "src"
# Each floor may import those before it, and modules of its own.
FLOORS = [
    ["errors", "estimate"],
    ["artifacts", "readings"],
    ["engine"],
    ["hessian", "eigen", "traces", "criteria", "paths", "models", "loading"],
    ["dynamics", "drift", "landscape", "connectivity"],
    ["probing", "tracing"],
    ["claims", "figures"],
    ["report"],
    ["__main__", "__init__"],
]
LEVEL = {room: level for level, floor in enumerate(FLOORS) for room in floor}
PLAIN = ["readings", "claims", "figures", "report"]  # read tables: no torch, directly or by what they import


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in (SRC / "valleyscope").rglob("*.py")}


def imports(path: Path) -> set[str]:
    """Modules of the package, and `torch`, that a file names in an import."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            named = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in MODULES else node.module for name in named}
    known = {name for name in found if name in MODULES and name != "valleyscope"}
    return known | {"torch" for name in found if name.split(".")[0] == "torch"}


IMPORTS = {name: imports(path) for name, path in MODULES.items()}


def reached(name: str) -> set[str]:
    """All that a module imports, directly or not."""
    seen, queue = set(), [name]
    while queue:
        for other in IMPORTS.get(queue.pop(), set()) - seen:
            seen.add(other)
            queue.append(other)
    return seen


def room(name: str) -> str:
    return name.split(".")[1] if "." in name else "__init__"


def test_no_module_imports_itself_in_a_circle():
    assert [name for name in MODULES if name in reached(name)] == []


def test_no_room_imports_one_above_it():
    upward = [
        (name, other)
        for name, others in IMPORTS.items()
        for other in others - {"torch"}
        if LEVEL[room(other)] > LEVEL[room(name)]
    ]
    assert upward == []


@pytest.mark.parametrize("plain", PLAIN)
def test_what_reads_tables_needs_no_torch(plain):
    assert [name for name in MODULES if room(name) == plain and "torch" in reached(name)] == []


def test_a_stage_that_joins_tables_loads_no_pandas():
    """Dozens of its jobs would each take three times as long."""
    code = "import sys; sys.argv = ['x']; import gather_table; print({'pandas', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=SRC, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
