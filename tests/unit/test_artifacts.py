import os
import pickle
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from valleyscope import artifacts
from valleyscope.errors import InputError


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), artifacts.write_atomically(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_tensors_come_back_and_a_flipped_bit_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    tensors = {"a": torch.randn(3, 4), "b": torch.arange(5)}
    artifacts.save_tensors(tensors, path, {"seed": 3})
    loaded = artifacts.load_tensors(path, ["a", "b"])
    assert all(torch.equal(loaded[name], tensors[name]) for name in tensors)
    assert artifacts.read_json(artifacts.sidecar(path))["seed"] == 3
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="checksum is wrong"):
        artifacts.load_tensors(path, ["a"])


def test_a_pickle_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    artifacts.save_tensors({"a": torch.zeros(1)}, path, {})
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(InputError, match="checksum is wrong"):
        artifacts.load_tensors(path, ["a"])


def test_a_missing_tensor_is_named(tmp_path):
    artifacts.save_tensors({"a": torch.zeros(1)}, tmp_path / "w.safetensors", {})
    with pytest.raises(InputError, match="no tensor 'pivots'"):
        artifacts.load_tensors(tmp_path / "w.safetensors", ["pivots"])


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan, None])
def test_what_is_not_a_number_is_never_written_and_named_with_its_row(tmp_path, bad):
    table = pd.DataFrame({"step": [10, 20], "loss": [1.0, bad]})
    with pytest.raises(FloatingPointError, match=r"t\.csv: loss is (-?inf|nan) at step = 20"):
        artifacts.write_table(table, tmp_path / "t.csv", {})
    assert list(tmp_path.iterdir()) == []


def test_a_column_may_be_empty_where_that_is_said_but_never_infinite(tmp_path):
    table = pd.DataFrame({"step": [10, 20], "loss": [1.0, np.nan]})
    artifacts.write_table(table, tmp_path / "t.csv", {}, may_be_empty=["loss"])
    with pytest.raises(FloatingPointError, match="loss is inf"):
        artifacts.write_table(table.fillna(np.inf), tmp_path / "t.csv", {}, may_be_empty=["loss"])
    pd.testing.assert_frame_equal(artifacts.read_table(tmp_path / "t.csv", []), table)


def test_a_tensor_that_is_not_finite_is_never_written_and_named(tmp_path):
    tensors = {"a": torch.zeros(2), "b": torch.tensor([0.0, np.nan])}
    with pytest.raises(FloatingPointError, match=r"w\.safetensors: b is not finite"):
        artifacts.save_tensors(tensors, tmp_path / "w.safetensors", {})
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_file_of_a_killed_process_goes_with_the_next_write(tmp_path):
    path = tmp_path / "t[1].csv"
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead, alive, other = (
        tmp_path / f".{name}.{pid}.abc.csv"
        for name, pid in (("t[1].csv", ended.pid), ("t[1].csv", os.getpid()), ("other.csv", ended.pid))
    )
    for left in (dead, alive, other):
        left.touch()
    artifacts.write_table(pd.DataFrame({"x": [1.0]}), path, {})
    assert set(tmp_path.iterdir()) == {path, artifacts.sidecar(path), alive, other}


def test_tables_keep_every_digit(tmp_path):
    path = tmp_path / "t.csv"
    table = pd.DataFrame({"x": [0.1 + 0.2, 1e-300, -1 / 3], "name": ["a", "b", "c"]})
    artifacts.write_table(table, path, {})
    pd.testing.assert_frame_equal(artifacts.read_table(path, ["x"]), table, check_exact=True)


def test_joined_tables_keep_the_text_of_their_parts(tmp_path):
    """Also where a parser would write it otherwise: a count beside an empty cell, a digit too many."""
    parts = [tmp_path / "a.csv", tmp_path / "b.csv"]
    parts[0].write_text("branch,x\n4,0.1\n")
    parts[1].write_text("branch,x\n,0.30000000000000004\n")
    artifacts.join_tables(parts, tmp_path / "t.csv", {"seed": 3})
    assert (tmp_path / "t.csv").read_text() == "branch,x\n4,0.1\n,0.30000000000000004\n"
    expected = pd.concat([artifacts.read_table(path, []) for path in parts], ignore_index=True)
    pd.testing.assert_frame_equal(artifacts.read_table(tmp_path / "t.csv", ["x"]), expected, check_exact=True)
    meta = artifacts.read_json(artifacts.sidecar(tmp_path / "t.csv"))
    assert meta == {"seed": 3, "sha256": artifacts.file_sha256(tmp_path / "t.csv")}


@pytest.mark.parametrize("second", ["", "x,branch\n1,2\n", "branch,x,y\n1,2,3\n", "branch,\n1,2\n"])
def test_tables_of_other_columns_are_not_joined(tmp_path, second):
    parts = [tmp_path / "a.csv", tmp_path / "b.csv"]
    parts[0].write_text("branch,x\n4,0.1\n")
    parts[1].write_text(second)
    with pytest.raises(InputError, match=r"b\.csv: empty, or its columns are not those of .*a\.csv"):
        artifacts.join_tables(parts, tmp_path / "t.csv", {})
    assert not (tmp_path / "t.csv").exists()


@pytest.mark.parametrize("content", [b"", b'a,b\n1,2,3,4\n"', b"\xff\xfe\x00"])
def test_damaged_tables_are_named(tmp_path, content):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"t\.csv"):
        artifacts.read_table(path, ["a", "z"])


def test_a_missing_column_is_named(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="column 'z' is missing"):
        artifacts.read_table(path, ["a", "z"])


def test_damaged_json_is_named(tmp_path):
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(InputError, match=r"x\.json: not valid JSON"):
        artifacts.read_json(tmp_path / "x.json")


def test_an_input_that_was_not_read_is_verified_all_the_same(tmp_path):
    path = tmp_path / "weights.safetensors"
    artifacts.save_tensors({"a": torch.zeros(4)}, path, {})
    artifacts.provenance({}, [path], threads=1)
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    with pytest.raises(InputError, match=r"weights\.safetensors: changed since it was written"):
        artifacts.provenance({}, [path], threads=1)


def test_a_commit_has_a_plus_where_sources_differ_from_it(tmp_path, monkeypatch):
    module = tmp_path / "src/valleyscope/artifacts.py"
    module.parent.mkdir(parents=True)
    module.write_text("one")
    monkeypatch.setattr(artifacts, "__file__", str(module))
    commit = artifacts.commit.__wrapped__  # without its cache
    assert commit() == "unknown"
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
        named = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *named, *command], cwd=tmp_path, check=True)
    assert re.fullmatch("[0-9a-f]{40}", commit())
    module.write_text("two")
    assert re.fullmatch(r"[0-9a-f]{40}\+", commit())


def test_provenance_differs_with_settings_and_with_inputs(tmp_path):
    (tmp_path / "data").write_text("one")
    first = artifacts.provenance({"k": 8}, [tmp_path / "data"], threads=1)
    other = artifacts.provenance({"k": 9}, [tmp_path / "data"], threads=1)
    (tmp_path / "data").write_text("two")
    changed = artifacts.provenance({"k": 8}, [tmp_path / "data"], threads=1)
    digests = {meta["sha256_of_settings_and_inputs"] for meta in (first, other, changed)}
    assert len(digests) == 3
    assert first["versions"]["torch"] == torch.__version__
    assert first["commit"] == "unknown" or len(first["commit"].rstrip("+")) == 40


def test_versions_are_told_of_what_is_installed():
    assert list(artifacts.versions(["torch", "no-such-package"])) == ["torch"]
