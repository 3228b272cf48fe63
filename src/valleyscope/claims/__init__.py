"""Verdicts on the ledger's claims, computed from tables and from thresholds fixed before the run."""

import pandas as pd

from valleyscope.claims import connectivity, landscape
from valleyscope.claims.verdicts import Tables

CLAIMS = [*landscape.CLAIMS, *connectivity.CLAIMS]


def judge_claims(tables: Tables, limits: dict[str, float]) -> pd.DataFrame:
    """A row a claim: results/README.md, claims.csv."""
    return pd.DataFrame([claim.row(tables, limits) for claim in CLAIMS])
