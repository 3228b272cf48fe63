"""What Paper A's tables say: σ* and the σ it validates, the ratio and its parts, slopes, the middle σ.

Claims and figures read these numbers here, so that they cannot differ. Seeds are the independent repeats.
A table's `regime` names its weights: "trajectory" (w_k of the run), "minimisers" (w*_k), "trained" (the end
of the run), "random" (drawn).
"""

import numpy as np
import pandas as pd

from valleyscope.readings.intervals import geometric_mean

REGIMES = {"trajectory": "on the trajectory", "minimisers": "at minimisers"}  # in which k grows
MEASURED_AT = {"trajectory": "trained", "minimisers": "minimisers"}  # regime -> that in which its σ* is known
TERMS = ["value", "slope", "curvature", "cross"]  # of the closed form
CELL = ["regime", "seed", "k", "sigma"]


# ---------------------------------------------------------------- grids and rows


def regimes_of(table: pd.DataFrame) -> list[str]:
    """Those in the table, in the order of REGIMES."""
    return [regime for regime in REGIMES if (table["regime"] == regime).any()]


def at_largest_k(table: pd.DataFrame) -> pd.DataFrame:
    """The rows at the largest k that each regime has."""
    return table[table["k"] == table.groupby("regime")["k"].transform("max")]


def middle(values: pd.Series) -> float:
    """The middle value of a grid; of an even number of values the upper one."""
    grid = sorted(values.dropna().unique())
    return grid[len(grid) // 2]


def nearest(values: pd.Series, wanted: float) -> float:
    """The value of a grid nearest to the wanted one, by ratio."""
    grid = np.sort(values.unique())
    return grid[np.abs(np.log(grid / wanted)).argmin()]


def per_seed(table: pd.DataFrame, column: str, reduce: str = "mean") -> pd.Series:
    """One number a seed."""
    return table.groupby("seed")[column].agg(reduce)


# ---------------------------------------------------------------- σ*, the limit of the quadratic model


def sigma_star(
    validity: pd.DataFrame,
    regime: str,
    dim: int | None = None,
    *,
    quantity: str = "increment",
    precision: str = "float64",
    column: str = "sigma_star",
) -> pd.Series:
    """σ* (or `sigma_floor`, where the stretch below the limit starts) by seed; NaN where there is none.

    dim None: full space. A D that was not measured takes the σ* of the next larger one, which promises less.
    """
    measured = validity["dim"].unique()
    wanted = max(measured) if dim is None else min((d for d in measured if d >= dim), default=dim)
    rows = validity[
        (validity["regime"] == regime)
        & (validity["dim"] == wanted)
        & (validity["quantity"] == quantity)
        & (validity["precision"] == precision)
    ]
    return rows.set_index("seed")[column].sort_index()


def holds_up_to(star: pd.Series) -> float:
    """Geometric mean over seeds; NaN if a seed has no σ*, as that of the others would promise too much."""
    return geometric_mean(star) if len(star) and star.notna().all() else np.nan


def valid_sigmas(sigmas: pd.Series, star: pd.Series) -> list[float]:
    """The σ of a grid (0 left out) up to σ*, ascending; none if a seed has no σ*."""
    limit = holds_up_to(star)
    return [float(s) for s in sorted(sigmas.unique()) if 0 < s <= limit]


# ---------------------------------------------------------------- the ratio and its parts


def moments(terms: pd.DataFrame) -> pd.Series:
    """The closed form of Δ₂ or Δ₂^(D), nats²: the sum of its four terms."""
    return terms[TERMS].sum(axis=1)


def ratios(terms: pd.DataFrame, next_: str = "single") -> pd.DataFrame:
    """Δ₂^(D)/Δ₂ within a seed, closed forms: the rows of subspaces with `ratio` and `shared`.

    shared: a²/Δ₂, the ratio of a probe of no directions. Both are NaN where either closed form is not above
    0: the traces in full space are estimates.
    """
    rows = terms[terms["next"] == next_].assign(moment=moments)
    whole = rows[rows["criterion"] == "delta2"].set_index(CELL)["moment"].rename("whole")
    part = rows[rows["criterion"] == "delta2_D"].join(whole, on=CELL)
    valid = (part["whole"] > 0) & (part["moment"] > 0)
    return part.assign(
        ratio=(part["moment"] / part["whole"]).where(valid),
        shared=(part["value"] / part["whole"]).where(valid),
    )


def off_one(rows: pd.DataFrame, column: str = "ratio") -> pd.Series:
    """Each seed's largest |value − 1| over the rows; NaN where a row has none, which could be the largest."""
    off = (rows[column] - 1).abs()
    return off.groupby(rows["seed"]).agg(lambda values: values.max(skipna=False))


def spread_ratio(rows: pd.DataFrame) -> pd.Series:
    """Var_z δ / Var_w δ of each seed, geometric mean over the rows; NaN where a row's is not above 0."""
    logs = np.log(rows["spread_ratio"].where(rows["spread_ratio"] > 0))
    return np.exp(logs.groupby(rows["seed"]).agg(lambda values: values.mean(skipna=False)))


# ---------------------------------------------------------------- subspaces


def slope_shares(subspaces: pd.DataFrame) -> pd.DataFrame:
    """‖UᵀΔg‖²/‖Δg‖² by (regime, seed, k, dim), a column a subspace, and `chance`, D/N.

    It has no σ: the table repeats it for each.
    """
    keys = ["regime", "seed", "k", "dim"]
    once = subspaces.drop_duplicates([*keys, "subspace"])
    wide = once.pivot(index=keys, columns="subspace", values="gradient_share")
    return wide.assign(chance=once.groupby(keys)["chance"].first())


def against_top(index_sets: pd.DataFrame) -> pd.DataFrame:
    """Shares of the random index sets whose quadratic term is `above` and `below` the top-D's.

    A row a (regime, seed, k, dim); a draw of the top-D itself is neither.
    """
    keys = ["regime", "seed", "k", "dim"]
    top = index_sets[index_sets["draw"] == 0].set_index(keys)["quadratic"].rename("top")
    random = index_sets[index_sets["draw"] > 0].join(top, on=keys, how="inner")
    random = random.assign(
        above=random["quadratic"] > random["top"], below=random["quadratic"] < random["top"]
    )
    return random.groupby(keys, sort=False)[["above", "below"]].mean().reset_index()


# ---------------------------------------------------------------- slopes


def slope(
    slopes: pd.DataFrame,
    regime: str,
    next_: str,
    criterion: str,
    *,
    dim: int | None = None,
    sigma: float | None = None,
) -> pd.Series:
    """γ by seed of a criterion that falls as (k+1)^(γ−p), p the claimed power; closed form if there is one.

    dim and sigma choose a cell where the criterion has several.
    """
    rows = slopes_of(slopes, regime, next_, criterion)
    if dim is not None:
        rows = rows[rows["dim"] == dim]
    if sigma is not None:
        rows = rows[np.isclose(rows["sigma"], sigma)]
    return rows.set_index("seed")["slope"]


def slopes_of(slopes: pd.DataFrame, regime: str, next_: str, criterion: str) -> pd.DataFrame:
    """The rows of a criterion: of the closed form in REGIMES, of direct Monte Carlo at fixed weights."""
    rows = slopes[
        (slopes["regime"] == regime) & (slopes["next"] == next_) & (slopes["criterion"] == criterion)
    ]
    return rows[rows["estimator"].isin(["gaussian_moment", "exact"])] if regime in REGIMES else rows
