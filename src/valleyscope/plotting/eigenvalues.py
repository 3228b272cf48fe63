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
    first, last = table["k"].min(), table["k"].max()
    values = table.pivot(index=["seed", "rank"], columns="k", values="eigenvalue")
    change = (values[last] / values[first]).unstack("rank")
    products = table.query("rank == 1 and k == k.max()")["products"]
    caption = (
        f"From k = {first} to {last} the largest eigenvalue changes by the factor {log_spread(change[1])} and the "
        f"one of rank {ranks} by {log_spread(change[ranks])} (same seed at both k). Every residual is at most "
        f"{table['relative'].max():.1e} of the largest eigenvalue; "
        f"at k = {table['k'].max()} the {ranks} eigenpairs took {spread(products)} Hessian-vector products. "
        "Geometric mean and 95 % t-interval (of the logarithm) over "
        f"{table['seed'].nunique()} seeds of weights and data order; brackets hold intervals."
    )
    return figure, caption
