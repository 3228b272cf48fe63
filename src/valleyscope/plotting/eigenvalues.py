"""Leading eigenvalues of H^(k) and how well they are converged."""

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from valleyscope.plotting.style import (
    geometric_mean,
    log_interval,
    log_spread,
    new_figure,
    spread,
)


def draw(table: pd.DataFrame) -> tuple[Figure, str]:
    """Eigenvalue and relative residual against rank, a line for each k."""
    figure, (left, right) = new_figure(2.5, columns=2)
    largest = table.groupby(["seed", "k"])["eigenvalue"].transform("max")
    table = table.assign(relative=table["residual"] / largest)
    palette = sns.color_palette("viridis", table["k"].nunique())
    options = {
        "x": "rank",
        "hue": "k",
        "palette": palette,
        "estimator": geometric_mean,
        "errorbar": log_interval,
    }
    sns.lineplot(table, y="eigenvalue", marker="o", markersize=3, ax=left, **options)
    left.set(yscale="log", xlabel="rank", ylabel="eigenvalue of $H^{(k)}$ (nats)")
    left.set_title("Leading eigenvalues")
    sns.lineplot(table, y="relative", marker="o", markersize=3, ax=right, legend=False, **options)
    right.set(yscale="log", xlabel="rank", ylabel=r"residual $\|Hu-\lambda u\|\,/\,\lambda_1$")
    right.set_title("How well they are converged")
    ranks = table["rank"].max()
    ends = [
        f"{log_spread(table.query('k == @k and rank == 1')['eigenvalue'])} at k = {k}"
        for k in sorted({table["k"].min(), table["k"].max()})
    ]
    products = table.query("rank == 1 and k == k.max()")["products"]
    caption = (
        f"The largest eigenvalue is {' and '.join(ends)}: the sharpest direction belongs to few sequences "
        f"and is averaged down as k grows. Every residual is at most {table['relative'].max():.1e} of it; "
        f"at k = {table['k'].max()} the {ranks} eigenpairs took {spread(products)} Hessian-vector products. "
        "Geometric mean and 95 % t-interval (of the logarithm) over "
        f"{table['seed'].nunique()} seeds of weights and data order; brackets hold intervals."
    )
    return figure, caption
