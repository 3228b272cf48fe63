"""Verdicts on the ledger's claims, computed from tables and from thresholds fixed before the run."""

import pandas as pd

from valleyscope.claims import connectivity, landscape
from valleyscope.claims.verdicts import Tables, claims_of

CLAIMS = [*claims_of(landscape), *claims_of(connectivity)]


def judge_claims(tables: Tables, limits: dict) -> pd.DataFrame:
    """A row a claim: results/README.md, claims.csv.

    `limits`: the thresholds and windows of the configuration, its `readings` and `claims` together.
    """
    return pd.DataFrame([claim.row(tables, limits) for claim in CLAIMS])
