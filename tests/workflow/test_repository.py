"""Pins, licences and citation of the repository."""

import json
import re
from importlib.metadata import distribution
from pathlib import Path

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


def pins(name):
    lines = (ROOT / "envs" / name).read_text().splitlines()
    return [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()]


def test_pins_are_exact_and_the_conda_file_holds_the_same():
    for name in ("requirements.txt", "slurm.txt", "dev.txt", "peers.txt"):
        assert all("==" in pin or pin.startswith("-r ") for pin in pins(name))
    environment = yaml.safe_load((ROOT / "envs/environment.yaml").read_text())
    assert {"pip": pins("requirements.txt")} in environment["dependencies"]


def test_every_pin_has_its_licence_listed():
    text = (ROOT / "docs/licences.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\w.-]+) \| (\d\S*) \| (.+) \|$", text, re.MULTILINE)
    assert sorted(f"{name}=={version}" for name, version, _ in rows) == sorted(pins("requirements.txt"))
    assert not [row for row in rows if row[2] == "not stated"]


def test_citation_names_version_and_both_papers():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert {"title", "message", "authors", "version", "license"} <= set(citation)
    identifiers = [r["identifiers"][0]["value"] for r in citation["references"]]
    assert identifiers == ["arXiv:2604.14870", "arXiv:2512.06297"]


def test_citation_is_valid_by_the_formats_own_schema():
    files = [f for f in distribution("cffconvert").files if f.match("schemas/1.2.0/schema.json")]
    schema = json.loads(files[0].locate().read_text())
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    citation = json.loads(json.dumps(citation, default=str))  # dates as text
    jsonschema.Draft7Validator(schema).validate(citation)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(schema).validate(citation | {"version": [1]})
