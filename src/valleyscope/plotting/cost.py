"""Seconds of each stage of Δ₂^(D), and end to end."""

import pandas as pd
from matplotlib.figure import Figure

from valleyscope.plotting.style import COLOURS, new_figure, spread

STAGE_LABELS = {
    ("gradient", ""): "one gradient of $L_k$",
    ("I subspace", ""): "I   subspace",
    ("II coefficients", ""): "II  coefficients",
    ("III evaluation", "direct"): "III direct Monte Carlo",
    ("III evaluation", "quadratic"): "III quadratic Monte Carlo",
    ("III evaluation", "gaussian_moment"): "III closed form",
}
# The direct estimator needs no coefficients.
PARTS = {
    "direct": ["I subspace", "III evaluation"],
    "quadratic": ["I subspace", "II coefficients", "III evaluation"],
    "gaussian_moment": ["I subspace", "II coefficients", "III evaluation"],
}
NAMES = {"direct": "direct MC", "quadratic": "quadratic MC", "gaussian_moment": "closed form"}


def medians(table: pd.DataFrame) -> pd.Series:
    """Median seconds by (stage, estimator)."""
    return (
        table.assign(estimator=table["estimator"].fillna(""))
        .groupby(["stage", "estimator"])["seconds"]
        .median()
    )


def end_to_end(table: pd.DataFrame) -> pd.DataFrame:
    """Seconds of the stages each estimator needs: a row an estimator, a column a stage."""
    median = medians(table)
    rows = {
        name: {part: median[part, name if part.startswith("III") else ""] for part in parts}
        for name, parts in PARTS.items()
    }
    return pd.DataFrame(rows).T.fillna(0.0)


def draw(table: pd.DataFrame) -> tuple[Figure, str]:
    """Left: every timed call by stage. Right: stages added up for each estimator."""
    table = table.assign(estimator=table["estimator"].fillna(""))
    figure, (left, right) = new_figure(2.4, columns=2)
    calls_of = table.groupby(["stage", "estimator"])["seconds"]
    for row, key in enumerate(STAGE_LABELS):
        calls = calls_of.get_group(key)
        left.plot(calls, [row] * len(calls), "o", ms=3, alpha=0.5, color=COLOURS[0])
        left.plot(calls.median(), row, "|", ms=12, color="k")
        left.annotate(
            f"{calls.median():.3g} s", (calls.max(), row), (6, 0), textcoords="offset points",
            va="center", size=7,
        )  # fmt: skip
    left.set_yticks(range(len(STAGE_LABELS)), STAGE_LABELS.values())
    left.set(xscale="log", xlabel="seconds (bar: median)")
    left.invert_yaxis()
    left.margins(x=0.25)
    left.set_title("By stage")
    totals = end_to_end(table)
    start = pd.Series(0.0, totals.index)
    for stage, colour in zip(totals.columns, COLOURS, strict=False):
        right.barh([NAMES[n] for n in totals.index], totals[stage], left=start, color=colour, label=stage)
        start += totals[stage]
    right.set(xlabel="seconds")
    right.invert_yaxis()
    right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.25), ncols=3)
    right.set_title("End to end")
    median, sums = medians(table), totals.sum(axis=1)
    alone = median["III evaluation", "direct"] / median["III evaluation", "gaussian_moment"]
    gradient = table.query("stage == 'gradient'")["seconds"]
    caption = (
        f"After setup the closed form is {alone:,.0f} times faster than batched direct Monte Carlo; end to end "
        f"the ratio is {sums['direct'] / sums['gaussian_moment']:.2f}, since both need the subspace "
        f"({median['I subspace', ''] / median['gradient', '']:.0f} gradients of L_k, "
        f"{table['products'].max()} Hessian-vector products). "
        f"One gradient takes {spread(gradient * 1e3)} ms. One model, {len(gradient)} timed calls of each stage "
        "after a warm-up, all cores; points are calls, brackets a 95 % t-interval over calls."
    )
    return figure, caption
