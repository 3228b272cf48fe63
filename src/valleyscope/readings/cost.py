"""Table 3: seconds of each estimator of Δ₂^(D), stage by stage, end to end, and to one accuracy."""

import numpy as np
import pandas as pd

STAGES = {"stage_1": "I subspace", "stage_2": "II coefficients", "stage_3": "III evaluation"}
NAMES = {
    "direct": "direct MC",
    "direct_unbatched": "direct MC, unbatched",
    "quadratic": "quadratic MC",
    "gaussian_moment": "closed form",
}
NO_COEFFICIENTS = ("direct", "direct_unbatched")


def shared_k(timing: pd.DataFrame) -> int:
    """The largest k at which every procedure of the table is timed."""
    return max(set.intersection(*(set(rows["k"]) for _, rows in timing.groupby("procedure"))))


def table3(timing: pd.DataFrame, errors: pd.DataFrame, rmse: float) -> pd.DataFrame:
    """Table 3, a row a (procedure, estimator), at the k where both procedures are timed.

    Of each stage median seconds and sample standard deviation over calls (`_sd`); `end_to_end` seconds and
    `products` of the stages the estimator needs; `end_to_end_ratio`, `evaluation_ratio` (stage III): over the
    closed form of that procedure; `to_accuracy`: seconds to that relative error (`time_to`).

    errors: standard errors of the estimators and bias of the closed form, a row a σ (accuracy.csv).
    """
    rows = timing[timing["k"] == shared_k(timing)].fillna({"estimator": ""})
    calls = rows.groupby(["procedure", "stage", "estimator"])
    evaluated = {
        (procedure, estimator) for procedure, stage, estimator in calls.groups if stage == STAGES["stage_3"]
    }
    pairs = [
        (procedure, name)
        for procedure in ("corrected", "published")
        for name in NAMES
        if (procedure, name) in evaluated
    ]
    table = pd.DataFrame([_stages(calls, *pair) for pair in pairs])
    closed = table[table["estimator"] == "gaussian_moment"].set_index("procedure")
    for ratio, column in {"end_to_end_ratio": "end_to_end", "evaluation_ratio": "stage_3"}.items():
        table[ratio] = table[column] / table["procedure"].map(closed[column])
    at_sigma = _judged(errors, rmse)
    table["to_accuracy"] = [time_to(rmse, row, at_sigma) for _, row in table.iterrows()]
    return table


def _stages(calls, procedure: str, estimator: str) -> dict:
    median, deviation = calls[["seconds", "products"]].median(), calls["seconds"].std()
    row = {"procedure": procedure, "estimator": estimator, "end_to_end": 0.0, "products": 0}
    for column, stage in STAGES.items():
        key = (procedure, stage, estimator if column == "stage_3" else "")
        needed = column != "stage_2" or estimator not in NO_COEFFICIENTS
        row[column] = median["seconds"].get(key, np.nan) if needed else np.nan
        row[f"{column}_sd"] = deviation.get(key, np.nan) if needed else np.nan
        if needed:
            row["end_to_end"] += row[column]
            row["products"] += int(median["products"].get(key, 0))
    return row


def bias(errors: pd.DataFrame | pd.Series):
    """Of the closed form: |mean of δ² − q²| over direct Monte Carlo's Δ₂."""
    return abs(errors["difference"]) / errors["direct"]


def _judged(errors: pd.DataFrame, rmse: float) -> pd.Series:
    """The largest σ whose bias allows that accuracy, else the smallest."""
    ordered = errors.sort_values("sigma")
    allowed = ordered[bias(ordered) <= rmse]
    return allowed.iloc[-1] if len(allowed) else ordered.iloc[0]


def time_to(rmse: float, row: pd.Series, at_sigma: pd.Series) -> float:
    """Seconds end to end to a relative error at that σ, with as many draws as the standard error asks for.

    row: of `table3`; at_sigma: of its `errors`. Infinite where the quadratic model's bias alone exceeds the
    accuracy; NaN for the published procedure, whose accuracy is not measured.
    """
    if row["procedure"] != "corrected":
        return np.nan
    if row["estimator"] not in NO_COEFFICIENTS and bias(at_sigma) > rmse:
        return np.inf
    if row["estimator"] == "gaussian_moment":
        return row["end_to_end"]
    error = at_sigma["quadratic_se" if row["estimator"] == "quadratic" else "direct_se"]
    more = (error / at_sigma["direct"] / rmse) ** 2
    return row["end_to_end"] + (more - 1) * row["stage_3"]
