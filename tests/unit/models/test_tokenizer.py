import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiktoken.load import load_tiktoken_bpe

from valleyscope.errors import InputError
from valleyscope.models.tokenizer import (
    draw_sequences,
    encode_documents,
    encoding,
    load_tokenizer,
    save_tokenizer,
    train_tokenizer,
)

TEXT = "the cat sat on the mat, the hat of the cat. " * 20
RANKS = train_tokenizer([TEXT], 300)
TOKENIZER = encoding(RANKS)


@given(st.text())
def test_any_unicode_survives(text):
    assert TOKENIZER.decode(TOKENIZER.encode_ordinary(text)) == text


@given(st.text())
def test_it_survives_the_untrained_tokenizer_too(text):
    bytes_only = encoding({bytes([i]): i for i in range(256)})
    assert bytes_only.decode(bytes_only.encode_ordinary(text)) == text


def test_merges_are_learned():
    assert len(TOKENIZER.encode_ordinary(TEXT)) < len(TEXT.encode()) / 2
    assert TOKENIZER.n_vocab <= 300
    assert len(train_tokenizer(["ab"], 1000)) < 260  # a short text supports few merges


def test_rank_file_is_tiktokens_own_format(tmp_path):
    path = tmp_path / "t.tiktoken"
    save_tokenizer(RANKS, path, {})
    assert load_tiktoken_bpe(str(path)) == RANKS
    assert load_tokenizer(path).encode_ordinary(TEXT) == TOKENIZER.encode_ordinary(TEXT)


def test_a_damaged_rank_file_is_refused(tmp_path):
    path = tmp_path / "t.tiktoken"
    save_tokenizer(RANKS, path, {})
    content = path.read_bytes()
    for damaged in (content[:-10], content.replace(b"1", b"2", 1)):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="checksum is wrong"):
            load_tokenizer(path)


def test_documents_end_with_the_special_token():
    ids = encode_documents(TOKENIZER, ["the cat", "sat <|endoftext|>"])
    assert (ids == TOKENIZER.eot_token).sum() == 2  # the text's own mention is ordinary text
    assert ids[-1] == TOKENIZER.eot_token


def test_sequences_are_distinct_windows_in_seeded_order():
    tokens = torch.arange(103)
    drawn = draw_sequences(tokens, context=4, count=20, seed=1)
    assert drawn.shape == (20, 5)
    assert drawn.flatten().unique().numel() == 100
    assert (drawn.diff(dim=1) == 1).all()
    assert torch.equal(drawn[:7], draw_sequences(tokens, 4, 7, seed=1))
    assert not torch.equal(drawn, draw_sequences(tokens, 4, 20, seed=2))
    with pytest.raises(InputError, match="21 sequences of 4 tokens are wanted, the corpus has 20"):
        draw_sequences(tokens, 4, 21, seed=1)
