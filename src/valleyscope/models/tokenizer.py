"""Byte-level BPE: merges learned by rustbpe, encoded and decoded by tiktoken.

On disk: a text rank file in tiktoken's own format (base64 token, space, rank; one a line) and a JSON
with the split pattern, the special tokens and the rank file's checksum.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from pathlib import Path

import tiktoken
import torch
from torch import Tensor

from valleyscope.artifacts import read_json, write_atomically, write_json
from valleyscope.errors import InputError

END_OF_TEXT = "<|endoftext|>"
# GPT-4's split pattern with numbers of at most two digits, as in nanochat.
PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*"
    r"|\s*[\r\n]|\s+(?!\S)|\s+"
)


def encoding(ranks: dict[bytes, int]) -> tiktoken.Encoding:
    """A tiktoken encoding over `ranks` with one special token, end of text, after them."""
    return tiktoken.Encoding(
        "valleyscope",
        pat_str=PATTERN,
        mergeable_ranks=ranks,
        special_tokens={END_OF_TEXT: len(ranks)},
    )


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> dict[bytes, int]:
    """Ranks of a byte-level BPE with at most `vocab_size` tokens, the special one included.

    A short text may support fewer merges; the 256 single bytes are always there.
    """
    import rustbpe  # here, so that encoded text can be read without it

    trainer = rustbpe.Tokenizer()
    trainer.train_from_iterator(iter(texts), vocab_size=vocab_size - 1, pattern=PATTERN)
    return {bytes(token): rank for token, rank in trainer.get_mergeable_ranks()}


def save_tokenizer(ranks: dict[bytes, int], path: Path, meta: dict) -> None:
    """Write the rank file to `path` and its JSON to `path` with suffix .json."""
    lines = [
        f"{base64.b64encode(token).decode()} {rank}\n"
        for token, rank in sorted(ranks.items(), key=lambda item: item[1])
    ]
    content = "".join(lines).encode("ascii")
    with write_atomically(path) as temporary:
        temporary.write_bytes(content)
    description = {
        "pattern": PATTERN,
        "special_tokens": {END_OF_TEXT: len(ranks)},
        "vocab_size": len(ranks) + 1,
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    write_json({**meta, **description}, path.with_suffix(".json"))


def load_tokenizer(path: Path) -> tiktoken.Encoding:
    """Read what `save_tokenizer` wrote; InputError if the rank file is damaged."""
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != read_json(path.with_suffix(".json")).get("sha256"):
        raise InputError(f"{path}: damaged, its checksum is wrong; delete it and rerun")
    try:
        pairs = [line.split() for line in content.splitlines()]
        ranks = {base64.b64decode(token, validate=True): int(rank) for token, rank in pairs}
    except (ValueError, binascii.Error):
        raise InputError(f"{path}: a line is not 'base64 rank'; delete it and rerun") from None
    if sorted(ranks.values()) != list(range(len(ranks))):
        raise InputError(f"{path}: ranks are not 0 … {len(ranks) - 1}; delete it and rerun")
    if not all(bytes([byte]) in ranks for byte in range(256)):
        raise InputError(f"{path}: lacks some of the 256 single bytes; delete it and rerun")
    return encoding(ranks)


def encode_documents(tokenizer: tiktoken.Encoding, texts: list[str]) -> Tensor:
    """All texts as one int32 tensor of tokens, end of text after each."""
    tokens = []
    for ids in tokenizer.encode_ordinary_batch(texts, num_threads=1):
        tokens += ids
        tokens.append(tokenizer.eot_token)
    return torch.tensor(tokens, dtype=torch.int32)


def draw_sequences(tokens: Tensor, context: int, count: int, seed: int) -> Tensor:
    """`count` distinct windows of context + 1 tokens in an order drawn from `seed`: (count, T + 1).

    Windows do not overlap; the order is the identity of "the first k sequences".
    """
    windows = len(tokens) // (context + 1)
    if count > windows:
        raise InputError(
            f"{count} sequences of {context} tokens are wanted, the corpus has {windows}; "
            "lower `sequences` or use a longer text"
        )
    order = torch.randperm(windows, generator=torch.Generator().manual_seed(seed))[:count]
    return tokens[: windows * (context + 1)].view(windows, context + 1)[order].long()
