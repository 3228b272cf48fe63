"""Tables ready to paste into a paper: LaTeX with booktabs."""

import pandas as pd

from valleyscope.readings.cost import table3
from valleyscope.report.report import claimed, measured

# Signs that pdfLaTeX has no glyph for, after escaping.
SIGNS = {
    "…": r"\dots{}",
    "≈": r"$\approx$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "±": r"$\pm$",
    "−": r"$-$",
    "∣": r"$|$",
    "‖": r"$\|$",
    "Δ": r"$\Delta$",
    "Σ": r"$\Sigma$",
    "σ": r"$\sigma$",
    "γ": r"$\gamma$",
    "λ": r"$\lambda$",
    "η": r"$\eta$",
    "δ": r"$\delta$",
    "ℓ": r"$\ell$",
    "ρ": r"$\rho$",
    "ᵀ": r"$^\top$",
    "⁻": r"$^-$",
    "⁴": r"$^4$",
    "²": r"$^2$",
    "₀": r"$_0$",
    "₁": r"$_1$",
    "₂": r"$_2$",
    "½": r"$\frac12$",
    "√": r"$\surd$",
    "★": r"$\star$",
}
ESTIMATORS = {
    "direct": "direct Monte Carlo, batched",
    "direct_unbatched": "direct Monte Carlo, one point at a time",
    "quadratic": "quadratic Monte Carlo",
    "gaussian_moment": "closed form",
}


def claims_table(claims: pd.DataFrame) -> pd.DataFrame:
    """Columns: Claim, Statement, Measured, Claimed, Verdict, all text."""
    rows = [(r.id, r.statement, measured(r), claimed(r), r.verdict) for r in claims.itertuples()]
    return pd.DataFrame(
        rows, columns=["Claim", "Statement", "Measured [95 % interval]", "Claimed", "Verdict"]
    )


def cost_table(timing: pd.DataFrame, errors: pd.DataFrame, rmse: float) -> pd.DataFrame:
    """Table 3 of Paper A as text: seconds by stage, and both ratios to the closed form."""
    rows = []
    for row in table3(timing, errors, rmse).itertuples():
        stages = [getattr(row, f"stage_{i}") for i in (1, 2, 3)]
        rows.append(
            [row.procedure, ESTIMATORS[row.estimator]]
            + ["–" if pd.isna(seconds) else f"{seconds:.3g}" for seconds in stages]
            + [f"{row.end_to_end:.3g}", f"{row.evaluation_ratio:.3g}", f"{row.end_to_end_ratio:.3g}"]
        )
    names = ["Procedure", "Estimator", "I, s", "II, s", "III, s", "Sum, s", "III, ratio", "Sum, ratio"]
    return pd.DataFrame(rows, columns=names)


def to_latex(table: pd.DataFrame) -> str:
    """A booktabs tabular; text is escaped and Greek letters and signs become mathematics."""
    styled = table.style.hide(axis="index").format(escape="latex").format_index(escape="latex", axis=1)
    text = styled.to_latex(hrules=True, column_format="l" * len(table.columns))
    for sign, command in SIGNS.items():
        text = text.replace(sign, command)
    return text.replace("–", "--")
