"""Measured drift against predicted drift: errors-in-variables slopes, velocities, exponents.

Pairs of minima are the independent repeats, so every number here is one of a pair.
"""

import numpy as np
import pandas as pd

from valleyscope.errors import InputError

SETTING = ["learning_rate", "batch", "steps"]
NORMAL = 1.96  # standard errors to either side that hold 95 %: of many replicas or draws


def moment_slope(x, x_error, y, y_error) -> tuple[float, float, float]:
    """Slope b of y = b x with errors in both, its standard error, and χ² per degree of freedom.

    The method of moments (Fuller 1987, section 1.2, through the origin): with weights w = 1/σ_y²,

        b = Σ w x y / Σ w (x² − σ_x²)

    so that errors in x do not pull the slope down; NaN where the sum below is not above 0. The standard error
    is the sandwich's. χ² = Σ (y − b x)² / (σ_y² + b² σ_x²). x is not weighted by its own errors: those of a
    few skewed draws go with their mean, and would give most weight to the values drawn too low.
    x, its errors, y and its errors are (M,), M ≥ 2.
    """
    x, x_error, y, y_error = (np.asarray(v, np.float64) for v in (x, x_error, y, y_error))
    if len(x) < 2:
        raise InputError("a slope needs at least 2 points")
    weights, signal = 1 / y_error**2, x**2 - x_error**2
    power = (weights * signal).sum()
    if not power > 0:
        return (float("nan"),) * 3
    slope = (weights * x * y).sum() / power
    influence = weights * (x * y - slope * signal) / power
    error = np.sqrt((influence**2).sum() * len(x) / (len(x) - 1))
    chi2 = ((y - slope * x) ** 2 / (y_error**2 + slope**2 * x_error**2)).sum()
    return float(slope), float(error), float(chi2 / (len(x) - 1))


def slopes(measured: pd.DataFrame, predicted: pd.DataFrame) -> pd.DataFrame:
    """Slope of the measured on the predicted entropic displacement over positions, by pair and learning rate.

    Predictors: `linear` (C from the linear recursion) and `leading` (first order in ηλ), both with seeds of
    their own; `followed` (C seen in the simulation that was measured). At the settings of `predicted` only.
    """
    keys = ["pair", "position", *SETTING]
    both = measured.merge(predicted, on=keys, suffixes=("", "_theory"))
    columns = {"linear": "predicted", "leading": "leading", "followed": "followed"}
    rows = []
    for (pair, *setting), t in both.groupby(["pair", *SETTING]):
        for name, column in columns.items():
            fit = moment_slope(t[column], t[f"{column}_se"], t["entropic"], t["displacement_se"])
            named = dict(zip(SETTING, setting, strict=True))
            rows.append({"pair": pair, **named, "predictor": name, **_fit(fit), "points": len(t)})
    return pd.DataFrame(rows)


def _fit(fit: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip(("slope", "slope_se", "chi2_dof"), fit, strict=True))


def velocities(measured: pd.DataFrame, predicted: pd.DataFrame, inside: tuple[float, float]) -> pd.DataFrame:
    """Outward drift per t_eff, mean over positions in the window `inside`: a row a pair and setting.

    velocity and velocity_se (lengths of weights per t_eff = steps x learning rate, beyond full-batch descent,
    towards the nearer end), descent (the same of full-batch descent), predicted (by the linear recursion).
    """
    counted = measured[measured["position"].between(*inside) & (measured["position"] != 0.5)]
    rows = []
    for (pair, *setting), t in counted.groupby(["pair", *SETTING]):
        named = dict(zip(SETTING, setting, strict=True))
        time = named["learning_rate"] * named["steps"]
        outward = np.sign(t["position"] - 0.5)
        theory = predicted.merge(t[["pair", "position", *SETTING]], on=["pair", "position", *SETTING])
        away = np.sign(theory["position"] - 0.5)
        rows.append(
            {
                "pair": pair,
                **named,
                "velocity": (outward * t["entropic"]).mean() / time,
                "velocity_se": np.sqrt((t["displacement_se"] ** 2).sum()) / len(t) / time,
                "descent": (outward * t["descent"]).mean() / time,
                "predicted": (away * theory["predicted"]).mean() / time,
            }
        )
    return pd.DataFrame(rows)


def directions(drift: pd.DataFrame) -> tuple[int, int, int]:
    """At how many positions SGD moves outward beyond NORMAL standard errors, inward, of how many but 0.5."""
    drift = drift[drift["position"] != 0.5]
    outward = drift["entropic"] * np.sign(drift["position"] - 0.5)
    sure = outward.abs() > NORMAL * drift["displacement_se"]
    return int((sure & (outward > 0)).sum()), int((sure & (outward < 0)).sum()), len(drift)


def base_setting(table: pd.DataFrame) -> pd.Series:
    """The learning_rate, batch and steps that all sweeps share: the most frequent of each."""
    return table[SETTING].mode().iloc[0]


def sweep(velocities: pd.DataFrame, variable: str) -> pd.DataFrame:
    """The rows that have the other two variables at the base, the setting that all sweeps share."""
    others = [name for name in SETTING if name != variable]
    base = base_setting(velocities)[others].tolist()
    return velocities[(velocities[others] == base).all(axis=1)].sort_values(variable)


def exponents(table: pd.DataFrame) -> pd.DataFrame:
    """Exponents of the velocity in B, η and m, each with the other two at the base setting: a row a pair.

    The base is the setting that all sweeps share. `exponent` and its standard error are those of a weighted
    straight line in logarithms, empty where a velocity is not positive; `predicted` is the same of the
    theory's velocities and `formula` that of η²(m − 1)/B, both on the same grid with the same weights.
    """
    rows = []
    for pair, of_pair in table.groupby("pair"):
        for variable in SETTING:
            t = sweep(of_pair, variable)
            x = np.log(t[variable])
            law = {"batch": -x, "learning_rate": 2 * x, "steps": np.log(t["steps"] - 1)}[variable]
            relative = (t["velocity_se"] / t["velocity"]).to_numpy()  # the same weights for all three
            exponent, error = _power(x, t["velocity"], t["velocity_se"])
            rows.append(
                {
                    "pair": pair,
                    "variable": variable,
                    "exponent": exponent,
                    "exponent_se": error,
                    "predicted": _power(x, t["predicted"], t["predicted"] * relative)[0],
                    "formula": _power(x, np.exp(law), np.exp(law) * relative)[0],
                    "points": len(t),
                }
            )
    return pd.DataFrame(rows)


def _power(x: pd.Series, velocity: pd.Series, error: pd.Series) -> tuple[float, float]:
    if len(x) < 2 or not (velocity > 0).all():
        return float("nan"), float("nan")
    weights = (velocity / error).to_numpy()
    centred = x - np.average(x, weights=weights**2)
    power = (weights**2 * centred**2).sum()
    return float((weights**2 * centred * np.log(velocity)).sum() / power), float(power**-0.5)
