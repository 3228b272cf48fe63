import pickle

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
    loaded = artifacts.load_tensors(path)
    assert all(torch.equal(loaded[name], tensors[name]) for name in tensors)
    assert artifacts.read_json(artifacts.sidecar(path))["seed"] == 3
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="checksum is wrong"):
        artifacts.load_tensors(path)


def test_a_pickle_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    artifacts.save_tensors({"a": torch.zeros(1)}, path, {})
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(InputError, match="checksum is wrong"):
        artifacts.load_tensors(path)


def test_tables_keep_every_digit(tmp_path):
    path = tmp_path / "t.csv"
    table = pd.DataFrame({"x": [0.1 + 0.2, 1e-300, -1 / 3], "name": ["a", "b", "c"]})
    artifacts.write_table(table, path, {})
    pd.testing.assert_frame_equal(artifacts.read_table(path, ["x"]), table, check_exact=True)


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


def test_provenance_knows_settings_commit_and_versions():
    meta = artifacts.provenance({"k": 8}, threads=1)
    assert meta["settings_sha256"] == artifacts.digest({"k": 8}) != artifacts.digest({"k": 9})
    assert meta["versions"]["torch"] == torch.__version__
    assert meta["commit"] == "unknown" or len(meta["commit"].rstrip("+")) == 40
