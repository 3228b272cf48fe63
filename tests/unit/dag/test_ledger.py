"""What is read off the source of the claims is what the claims say themselves."""

import subprocess
import sys
from pathlib import Path

from dag import ledger
from valleyscope.claims import CLAIMS


def test_tables_and_limits_are_those_of_the_claims_in_the_order_of_the_ledger():
    tables, limits = (
        [name for claim in CLAIMS for name in getattr(claim, kind)] for kind in ("tables", "limits")
    )
    assert ledger.judged_tables() == list(dict.fromkeys(tables))
    assert ledger.judged_limits() == list(dict.fromkeys(limits))


def test_a_function_without_the_decorator_and_its_nested_ones_need_nothing(tmp_path, monkeypatch):
    (tmp_path / "__init__.py").write_text("from x import b, a\nCLAIMS = [*claims_of(b), *claims_of(a)]\n")
    (tmp_path / "a.py").write_text("def helper(t, *, u): ...\n@claim('A1')\ndef a1(one, two, *, low): ...\n")
    (tmp_path / "b.py").write_text(
        "@claim('B1')\ndef b1(two, *, high):\n    def inside(x, *, y): ...\n"
        "@other('B2')\ndef b2(three, *, low): ...\n@claim\ndef b3(four): ...\n"
    )
    (tmp_path / "verdicts.py").write_text("@claim('no')\ndef no(never): ...\n")
    monkeypatch.setattr(ledger, "CLAIMS", tmp_path)
    assert ledger.judged_tables() == ["two", "one"]
    assert ledger.judged_limits() == ["high", "low"]


def test_neither_pandas_nor_the_library_is_imported():
    asked = (
        "import sys; from dag.ledger import *; print(len(judged_tables() + judged_limits()), *sys.modules)"
    )
    src = Path(ledger.__file__).parents[1]
    told = subprocess.run([sys.executable, "-c", asked], cwd=src, capture_output=True, text=True, check=True)
    number, *modules = told.stdout.split()
    assert int(number) == len(ledger.judged_tables() + ledger.judged_limits())
    assert not {"pandas", "valleyscope"} & set(modules)
