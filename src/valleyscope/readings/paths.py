"""How high a path rises between its ends: losses and curvatures in its middle, at its ends and beside them.

Every function of a quantity takes a table of one path a pair of ends (columns pair, position from 0 to 1, and
the quantity) and gives one number a pair, because pairs are the independent repeats. A ratio is NaN where the
mean of the two ends is not above 0. `window`: positions of the middle, ends included.
"""

import numpy as np
import pandas as pd

from valleyscope.readings.intervals import geometric_mean

FINDERS = {"straight": "straight line", "bezier": "Bézier", "polygon": "polygon", "autoneb": "AutoNEB"}
VARIANTS = {"adamw": "AdamW", "sgd": "SGD"}  # optimisers that found the ends
SCALE_FREE = "Σ ‖W_g‖² Tr H_g"
ROUNDING = 1e-9  # of positions


# ---------------------------------------------------------------- which path


def rows_of(table: pd.DataFrame, kind: str = "autoneb", variant: str = "adamw") -> pd.DataFrame:
    """One path finder between minima of one optimiser."""
    return table[(table["kind"] == kind) & (table["variant"] == variant)]


def kinds_of(table: pd.DataFrame, variant: str = "adamw") -> list[str]:
    """The path finders in the table, in the order of FINDERS."""
    return [kind for kind in FINDERS if len(rows_of(table, kind, variant))]


def variants_of(table: pd.DataFrame, kind: str = "autoneb") -> list[str]:
    """The optimisers whose minima a path finder joined, in the order of VARIANTS."""
    return [variant for variant in VARIANTS if len(rows_of(table, kind, variant))]


# ---------------------------------------------------------------- ends, middle, barrier


def ends(table: pd.DataFrame, quantity: str) -> pd.Series:
    """Mean of the quantity at the first and the last position, by pair."""
    return _ordered(table).groupby("pair")[quantity].agg(lambda values: values.iloc[[0, -1]].mean())


def over_ends(table: pd.DataFrame, quantity: str) -> pd.Series:
    """The quantity at each row over its pair's mean at the ends; index as in the table."""
    at_ends = ends(table, quantity)
    return table[quantity] / table["pair"].map(at_ends.where(at_ends > 0))


def middle(table: pd.DataFrame, quantity: str, window: tuple[float, float]) -> pd.Series:
    """Mean of the quantity over positions in the window, by pair."""
    low, high = window
    inside = table["position"].between(low - ROUNDING, high + ROUNDING)
    return table[quantity].where(inside).groupby(table["pair"]).mean()


def middle_over_ends(table: pd.DataFrame, quantity: str, window: tuple[float, float]) -> pd.Series:
    """Mean over positions in the window over the mean of both ends, by pair."""
    at_ends = ends(table, quantity)
    return middle(table, quantity, window) / at_ends.where(at_ends > 0)


def dip_over_ends(table: pd.DataFrame, quantity: str) -> pd.Series:
    """The quantity where it is lowest on the paths of the other pairs, over the mean of both ends, by pair.

    The lowest value of a noisy profile lies below its ends also where there is no dip, so the place is chosen
    without the pair whose value is read off. A place is a distance from the nearer end, and its value the
    mean of both sides: which end is called 0 is arbitrary. NaN for a single pair.
    """
    depth = np.minimum(table["position"], 1 - table["position"]).round(9)
    inner = table.assign(relative=over_ends(table, quantity), depth=depth)[depth > 0]
    by_depth = inner.pivot_table(index="depth", columns="pair", values="relative").dropna(axis="columns")
    pairs = pd.Index(table["pair"].unique(), name="pair").sort_values()
    if by_depth.shape[1] < 2:
        return pd.Series(np.nan, pairs, name=quantity)
    lowest = {pair: by_depth.drop(columns=pair).mean(axis="columns").idxmin() for pair in by_depth}
    dips = pd.Series({pair: by_depth.loc[place, pair] for pair, place in lowest.items()}, dtype=float)
    return dips.reindex(pairs).rename(quantity)


def barrier(losses: pd.DataFrame, quantity: str = "train_loss") -> pd.Series:
    """Highest loss on the path over that of its higher end, by pair; 1 if no point is above the ends.

    NaN where the higher end's loss is not above 0.
    """

    def ratio(values: pd.Series) -> float:
        higher = max(values.iloc[0], values.iloc[-1])
        return values.max() / higher if higher > 0 else np.nan

    return _ordered(losses).groupby("pair")[quantity].agg(ratio)


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    if table.duplicated(["pair", "position"]).any():
        raise ValueError("a pair has two rows at a position: select one kind of path first")
    return table.sort_values("position")


def low_in_loss(losses: pd.DataFrame, limit: float, kind: str = "autoneb", variant: str = "adamw") -> bool:
    """Whether a finder's paths are about as low in loss as their ends; False if there are none."""
    high = barrier(rows_of(losses, kind, variant))
    return bool(len(high) and high.notna().all() and geometric_mean(high) <= limit)


# ---------------------------------------------------------------- curvature


def scaled(groups: pd.DataFrame) -> pd.DataFrame:
    """With ‖W_g‖² Tr H_g (`scaled`), which the norm of a scale-invariant layer cannot change."""
    return groups.assign(scaled=groups["norm"] ** 2 * groups["trace"])


def scaled_trace(groups: pd.DataFrame) -> pd.DataFrame:
    """Σ_g ‖W_g‖² Tr H_g by pair and position (`scaled`)."""
    return scaled(groups).groupby(["pair", "position"], as_index=False)["scaled"].sum()


def rises(
    curvature: pd.DataFrame,
    eigenvalues: pd.DataFrame,
    groups: pd.DataFrame,
    window: tuple[float, float],
    kind: str = "autoneb",
    variant: str = "adamw",
) -> dict[str, pd.Series]:
    """Middle over ends, by pair, of every measure of curvature, by its name.

    Tables: path_curvature, path_eigenvalues, path_groups.
    """
    bent, leading = rows_of(curvature, kind, variant), rows_of(eigenvalues, kind, variant)
    top = leading.groupby(["pair", "position"], as_index=False)["eigenvalue"].sum()
    scaled = scaled_trace(rows_of(groups, kind, variant))
    return {
        "Tr H": middle_over_ends(bent, "trace", window),
        "λ_max": middle_over_ends(bent, "lambda_max", window),
        f"sum of the {leading['rank'].max()} largest eigenvalues": middle_over_ends(
            top, "eigenvalue", window
        ),
        SCALE_FREE: middle_over_ends(scaled, "scaled", window),
    }
