"""Tables in LaTeX."""

import pandas as pd
from estimator_tables import DEFAULT, cost_tables

from valleyscope.report.latex import claims_table, cost_table, to_latex

CLAIM = {"id": "A1", "statement": "Δ₂^(D) is O(k⁻²), 100 % & more", "verdict": "partly", "side": "below"}
CLAIM |= {"value": 0.1234, "low": 0.1, "high": 0.2, "threshold": 0.5}


def test_a_claim_becomes_a_line_of_text():
    table = claims_table(pd.DataFrame([CLAIM]))
    assert table.iloc[0].tolist() == [
        "A1",
        CLAIM["statement"],
        "0.123 [0.1, 0.2]",
        "≤ 0.5",
        "partly",
    ]


def test_table_3_becomes_a_line_an_estimator():
    table = cost_table(*cost_tables(**DEFAULT), rmse=0.01)
    assert table.iloc[0].tolist() == [
        "corrected", "direct Monte Carlo, batched", "2", "–", "0.2", "2.2", "2e+04", "1.07",
    ]  # fmt: skip


def test_booktabs_escapes_text_and_spells_signs_as_mathematics():
    text = to_latex(claims_table(pd.DataFrame([CLAIM])))
    for part in (r"\toprule", r"\midrule", r"\bottomrule", r"\begin{tabular}{lllll}", r"100 \% \& more"):
        assert part in text
    assert r"$\Delta$$_2$\textasciicircum (D) is O(k$^-$$^2$)" in text
    assert r"$\leq$ 0.5" in text
    assert text.isascii()


def test_every_sign_of_the_ledger_has_a_command():
    from valleyscope.claims import CLAIMS

    rows = [CLAIM | {"id": c.id, "statement": f"{c.statement} {c.metric}"} for c in CLAIMS]
    text = to_latex(claims_table(pd.DataFrame(rows)))
    assert text.isascii(), sorted({sign for sign in text if not sign.isascii()})
