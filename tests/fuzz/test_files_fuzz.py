"""Files that are damaged, cut short or something else: refused in one line, or read as what they are."""

import json
import pickle

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from valleyscope.artifacts import (
    file_sha256,
    load_tensors,
    read_json,
    read_table,
    save_tensors,
    sidecar,
    write_table,
)
from valleyscope.errors import InputError
from valleyscope.models.corpus import decode, read_text
from valleyscope.models.tokenizer import load_tokenizer, save_tokenizer

BYTES = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=60).map(str.encode),
    st.sampled_from(
        [b"", b"\xff\xfe", b"\x00" * 9, b"[]", b"null", b"{}", b'"x"', b"1", b"a,b\n1,2,3\n", b"\n\n"]
    ),
    st.integers(0, 5).map(lambda value: pickle.dumps({"w": value})),
)


def refused_or_read(call):
    """What the call returns, or None if it is refused in one line."""
    told = ""
    try:
        return call()
    except InputError as error:
        told = str(error)
    assert len(told.splitlines()) == 1, told
    return None


def damaged(data, draw):
    """The bytes cut short, with one flipped bit, or replaced."""
    kind = draw(st.sampled_from(["cut", "flip", "replace"]))
    if kind == "cut":
        return data[: draw(st.integers(0, len(data) - 1))]
    if kind == "flip":
        at = draw(st.integers(0, len(data) - 1))
        return data[:at] + bytes([data[at] ^ (1 << draw(st.integers(0, 7)))]) + data[at + 1 :]
    return draw(BYTES.filter(lambda new: new != data))


@given(st.data())
def test_a_damaged_checkpoint_is_never_used(tmp_path, data):
    path = tmp_path / "w.safetensors"
    save_tensors({"w": torch.arange(6.0)}, path, {"seed": 1})
    path.write_bytes(damaged(path.read_bytes(), data.draw))
    assert refused_or_read(lambda: load_tensors(path, ["w"])) is None


@given(BYTES)
def test_no_content_under_a_right_checksum_is_run_or_crashes(tmp_path, content):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    sidecar(path).write_text(json.dumps({"sha256": file_sha256(path)}))
    assert refused_or_read(lambda: load_tensors(path, ["w"])) is None


@given(BYTES)
def test_a_damaged_description_is_refused(tmp_path, content):
    path = tmp_path / "w.safetensors"
    save_tensors({"w": torch.arange(6.0)}, path, {})
    sidecar(path).write_bytes(content)
    assert refused_or_read(lambda: load_tensors(path, ["w"])) is None
    found = refused_or_read(lambda: read_json(sidecar(path)))
    assert found is None or isinstance(found, dict)


@given(st.data())
def test_a_damaged_table_is_never_used(tmp_path, data):
    path = tmp_path / "t.csv"
    write_table(pd.DataFrame({"seed": [0, 1], "value": [0.5, 1e-9]}), path, {})
    path.write_bytes(damaged(path.read_bytes(), data.draw))
    assert refused_or_read(lambda: read_table(path, ["seed", "value"])) is None


@given(BYTES)
def test_any_table_without_a_checksum_is_refused_or_a_table(tmp_path, content):
    path = tmp_path / "of_another_s.csv"
    path.write_bytes(content)
    found = refused_or_read(lambda: read_table(path, ["a"]))
    assert found is None or "a" in found


@given(st.data())
def test_a_damaged_rank_file_is_never_used(tmp_path, data):
    path = tmp_path / "tokenizer.tiktoken"
    save_tokenizer({bytes([i]): i for i in range(256)}, path, {})
    path.write_bytes(damaged(path.read_bytes(), data.draw))
    assert refused_or_read(lambda: load_tokenizer(path)) is None


@given(BYTES)
def test_any_rank_file_under_a_right_checksum_is_refused_or_an_encoding(tmp_path, content):
    path = tmp_path / "tokenizer.tiktoken"
    path.write_bytes(content)
    path.with_suffix(".json").write_text(json.dumps({"sha256": file_sha256(path)}))
    refused_or_read(lambda: load_tokenizer(path))


@given(st.one_of(BYTES, st.text(max_size=300).map(lambda text: text.encode("utf-16"))), st.floats(0.01, 0.99))
def test_any_local_text_is_refused_or_cut_in_two(tmp_path, content, held_out):
    path = tmp_path / "mine.txt"
    path.write_bytes(content)
    documents = refused_or_read(lambda: read_text(path, held_out))
    if documents is not None:
        assert [d.split for d in documents] == ["train", "held_out"]
        assert "".join(d.text for d in documents) == content.decode()


def test_huge_lines_and_one_token_are_texts():
    assert decode(b"x" * 10**6, "line") == "x" * 10**6
    assert decode(b"x", "token") == "x"
    with pytest.raises(InputError, match="not UTF-8 at byte 1"):
        decode(b"x\xff", "mixed")
