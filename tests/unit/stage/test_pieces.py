"""Pieces of a long job: what a killed call left is taken up, and nothing else."""

import stage.pieces
from stage.pieces import Pieces

import pandas as pd
import pytest

from valleyscope.artifacts import read_json
from valleyscope.errors import InputError

META = {"sha256_of_settings_and_inputs": "of this call"}
VALUE = 0.1 + 0.2  # 17 digits


@pytest.fixture
def pieces(tmp_path):
    return Pieces.of(tmp_path / "table.csv", META)


def computed(calls: list):
    def compute():
        calls.append(1)
        return {"a": pd.DataFrame({"x": [VALUE, float("nan")], "name": ["p", "q"]})}

    return compute


def test_a_piece_is_computed_once_and_read_to_the_last_digit(pieces):
    calls: list = []
    for _ in range(2):
        table = pieces.tables("64", computed(calls))["a"]
        assert table["x"][0] == VALUE
        assert list(table["name"]) == ["p", "q"]
    assert len(calls) == 1
    pieces.tables("128", computed(calls))
    assert len(calls) == 2


def test_a_piece_of_other_settings_or_sources_is_computed_anew(pieces, tmp_path, monkeypatch):
    calls: list = []
    pieces.tables("64", computed(calls))
    Pieces.of(tmp_path / "table.csv", {"sha256_of_settings_and_inputs": "another"}).tables(
        "64", computed(calls)
    )
    assert len(calls) == 2
    before = stage.pieces.key(META)
    monkeypatch.setattr(stage.pieces, "file_sha256", lambda path: "edited")
    assert stage.pieces.key(META) != before


def test_a_piece_of_another_device_is_computed_anew(pieces, tmp_path):
    calls: list = []
    pieces.tables("64", computed(calls))
    Pieces.of(tmp_path / "table.csv", META | {"device": "cuda"}).tables("64", computed(calls))
    assert len(calls) == 2


def test_files_of_one_name_in_two_folders_have_two_places(pieces, tmp_path):
    assert pieces.place(tmp_path / "a/eigen.csv") != pieces.place(tmp_path / "b/eigen.csv")
    assert pieces.place(tmp_path / "a/eigen.csv") == pieces.place(tmp_path / "a/eigen.csv")


def test_an_interrupted_piece_counts_for_nothing(pieces):
    def stopped():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pieces.tables("64", stopped)
    calls: list = []
    pieces.tables("64", computed(calls))
    assert len(calls) == 1


def test_a_damaged_piece_is_refused_in_one_line(pieces):
    pieces.tables("64", computed([]))
    (pieces.folder / "64_a.csv").write_text("x,name\n1,p\n")
    with pytest.raises(InputError, match="checksum is wrong; delete it"):
        pieces.tables("64", computed([]))


def test_nothing_is_left_at_the_end(pieces):
    pieces.tables("64", computed([]))
    assert read_json(pieces.folder / "64.json")["tables"] == ["a"]
    pieces.remove()
    assert not pieces.folder.exists()
    pieces.remove()
