"""How criteria fall with k, and how many sequences that makes until one more hardly matters."""

import numpy as np
import pandas as pd

KEYS = ["regime", "next", "criterion", "dim", "sigma", "estimator"]
POWERS = {"delta1": 1, "delta2": 2, "delta2_D": 2}  # Δ ~ k^−p is the claimed rate


def fit_power_law(k, values, power: int) -> tuple[float, float]:
    """Slope γ and intercept of log[(k+1)^power · Δ] on log(k+1), by least squares; γ = 0 is Δ ~ (k+1)^−power.

    `values` Δ > 0 and `k` (P,), P ≥ 2.
    """
    x = np.log(np.asarray(k, np.float64) + 1)
    y = np.log(np.asarray(values, np.float64)) + power * x
    slope, intercept = np.polyfit(x, y, 1)
    return float(slope), float(intercept)


def sequences_until(slope: float, intercept: float, power: int, epsilon: float) -> float:
    """k ≥ 1 after which the fitted Δ^{1/power} is below epsilon (nats); nan if the fit does not fall.

    From Δ = exp(intercept) (k+1)^(slope − power) at Δ^{1/power} = ε.
    """
    if slope >= power:
        return float("nan")
    return max(1.0, float(np.exp((power * np.log(epsilon) - intercept) / (slope - power)) - 1))


def fit_slopes(criteria: pd.DataFrame) -> pd.DataFrame:
    """One fit for each seed and each of KEYS: results/README.md, slopes.csv. Estimates ≤ 0 are left out."""
    rows = []
    chosen = criteria[criteria["estimator"].isin(["exact", "gaussian_moment", "direct"])]
    for keys, cell in chosen[chosen["estimate"] > 0].groupby([*KEYS, "seed"]):
        power = POWERS[keys[2]]
        if cell["k"].nunique() >= 2:
            slope, intercept = fit_power_law(cell["k"], cell["estimate"], power)
            row = dict(zip([*KEYS, "seed"], keys, strict=True))
            rows.append(row | {"slope": slope, "intercept": intercept, "points": len(cell)})
    return pd.DataFrame(rows)


def slopes_of_points(points: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """The same for columns of points.csv that already are (k+1)² Δ, with an expected next sample."""
    rows = []
    for (regime, seed), cell in points.groupby(["regime", "seed"]):
        for column in columns:
            slope, intercept = fit_power_law(cell["k"], cell[column], 0)
            row = {"regime": regime, "next": "expected", "criterion": column, "dim": 0, "sigma": 0.0}
            row |= {"estimator": "exact", "seed": seed, "slope": slope, "intercept": intercept}
            rows.append(row | {"points": len(cell)})
    return pd.DataFrame(rows)


def sequences_table(slopes: pd.DataFrame, sizes: dict[str, list[int]], epsilons: list[float]) -> pd.DataFrame:
    """`sequences_until` of every closed form and of Δ₁ by ε: results/README.md, sequences.csv.

    `sizes`: the measured k of each regime, which says what is extrapolated.
    """
    rows = []
    kept = slopes["criterion"].isin(POWERS) & slopes["estimator"].isin(["exact", "gaussian_moment"])
    for fit in slopes[kept & slopes["regime"].isin(sizes)].itertuples():
        for epsilon in epsilons:
            k = sequences_until(fit.slope, fit.intercept, POWERS[fit.criterion], epsilon)
            row = {name: getattr(fit, name) for name in ("regime", "next", "criterion", "dim", "sigma")}
            row |= {"epsilon": epsilon, "seed": fit.seed, "k": k}
            grid = sizes[fit.regime]
            rows.append(row | {"extrapolated": not min(grid) <= k <= max(grid)})
    return pd.DataFrame(rows)
