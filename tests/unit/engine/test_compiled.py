import pytest

from valleyscope.engine.compiled import compiler, require_compiler
from valleyscope.errors import InputError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The only folder in which programs are looked for."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    return tmp_path


def program(path):
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def test_a_compiler_is_found_by_any_of_its_names(folder):
    assert compiler() is None
    with pytest.raises(InputError, match=r"needs a C\+\+ compiler \(g\+\+ or clang\)"):
        require_compiler()
    for name in ("c++", "clang++", "g++"):
        assert compiler() != str(folder / name)
        expected = program(folder / name)
        assert compiler() == expected
        require_compiler()


def test_the_one_that_cxx_names_is_taken_or_missed(folder, monkeypatch):
    program(folder / "g++")
    mine = program(folder / "mine")
    monkeypatch.setenv("CXX", "mine")
    assert compiler() == mine
    monkeypatch.setenv("CXX", "gone")
    assert compiler() is None
