"""The curvature engine beside other libraries: cost of products, eigenpairs, growth."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from valleyscope.plotting.style import COLOURS, new_figure

LIBRARIES = ("valleyscope", "PyHessian", "curvlinops", "hessian-eigenthings", "SciPy", "torch")
COLOUR = dict(zip(LIBRARIES, COLOURS, strict=False))
TOLERANCE = 1e-3


def product_costs(products: pd.DataFrame) -> pd.DataFrame:
    """Median, lowest and highest gradients a product over rounds, cheapest first, gradient left out.

    The process keeps the memory it frees, as the stages do; `returned`: median where it does not.
    """
    keys = ["library", "operator", "way"]
    others = products.query("library != 'torch'")
    kept = others.query("freed_memory == 'kept'").groupby(keys)
    table = kept["gradients"].agg(["median", "min", "max"]).assign(peak=kept["peak_bytes"].first())
    returned = others.query("freed_memory == 'returned'").groupby(keys)["gradients"].median()
    return table.assign(returned=returned).sort_values("median").reset_index()


def solver_costs(solvers: pd.DataFrame) -> pd.DataFrame:
    """Median seconds, gradients and products and the worst residual of each solver, fastest first."""
    grouped = solvers.groupby(["library", "method"])
    table = grouped[["seconds", "gradients", "products"]].median()
    return table.assign(residual=grouped["residual"].max()).sort_values("seconds").reset_index()


def draw(
    products: pd.DataFrame,
    solvers: pd.DataFrame,
    growth: pd.DataFrame,
    warm_starts: pd.DataFrame,
    traces: pd.DataFrame,
) -> tuple[Figure, str]:
    """Cost of a Hessian product; eigenpairs: cost and residual; growth with N, sequences and pairs."""
    figure, ((one, two), (three, four)) = new_figure(5.2, rows=2, columns=2)
    costs = product_costs(products).query("operator == 'Hessian'").iloc[::-1]
    for row, cost in enumerate(costs.itertuples()):
        one.plot([cost.min, cost.max], [row, row], "-", lw=1, color=COLOUR[cost.library])
        one.plot(cost.median, row, "o", ms=4, color=COLOUR[cost.library])
    one.axvline(2, ls=":", lw=0.8, color="grey")
    labels = [
        f"{c.library}" if c.way == "one vector" else f"{c.library}, {c.way}" for c in costs.itertuples()
    ]
    one.set_yticks(range(len(costs)), labels)
    one.set(xlabel="gradients per Hessian-vector product", xlim=(0, None))
    one.set_title("One product (dotted: floor of 2)")

    marks = dict(zip(solver_costs(solvers)["method"], "osD^vP*", strict=False))
    for cost in solver_costs(solvers).itertuples():
        label = f"{cost.library}: {cost.method}"
        two.plot(
            cost.gradients, cost.residual, marks[cost.method], ms=5, color=COLOUR[cost.library], label=label
        )
    two.axhline(TOLERANCE, ls=":", lw=0.8, color="grey")
    two.set(xscale="log", yscale="log", xlabel="gradients", ylabel=r"worst residual over $\lambda_1$")
    two.margins(x=0.15)
    two.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), fontsize=6)
    two.set_title("Leading 16 eigenpairs (dotted: tolerance)")

    labels = {"parameters": "N, at 64 sequences", "sequences": "sequences, at N = 164k"}
    for axis, label in labels.items():
        part = growth[growth["axis"] == axis]
        smallest = part[axis].iloc[0]
        three.plot(
            part[axis] / smallest, part["product_gradients"], "o-", ms=3, label=f"{label}, from {smallest:,}"
        )
    three.set(xscale="log", ylim=(0, None), xlabel="growth", ylabel="gradients per product")
    three.legend(title="with", loc="lower right")
    three.set_title("A product costs two gradients at every size")

    part = growth.query("axis == 'pairs'")
    four.plot(part["pairs"], part["products"], "o-", ms=3, color=COLOUR["valleyscope"])
    four.set(xscale="log", yscale="log", xlabel="eigenpairs D", ylabel="Hessian-vector products")
    four.set_xticks(part["pairs"], part["pairs"])
    for edge in (four.xaxis, four.yaxis):
        edge.set_major_formatter(ScalarFormatter())
        edge.set_minor_formatter("")
    four.set_title("Products grow with D")
    return figure, caption(products, solvers, growth, warm_starts, traces)


def caption(products, solvers, growth, warm_starts, traces) -> str:
    """The findings with their numbers."""
    table = product_costs(products).set_index(["library", "operator", "way"])
    costs, peaks = table["median"], table["peak"]
    gradient = products.query("operator == 'gradient'").iloc[0]
    kept = ("valleyscope", "Hessian", "graph kept")
    block = next(key for key in costs.index if key[2].startswith("graph kept, block"))
    others = {name: costs[name, "Hessian", "one vector"] for name in LIBRARIES[1:4]}
    ratios = ", ".join(f"{name} {value / costs[kept]:.2f}" for name, value in others.items())
    default = ", ".join(
        f"{name} {table['returned'][name, 'Hessian', 'one vector'] / table['returned'][kept]:.2f}"
        for name in others
    )
    solved = solver_costs(solvers).set_index(["library", "method"])
    ours = solved.loc["valleyscope", "Lanczos"]
    slower = solved.drop(("valleyscope", "Lanczos"))
    slower = "; ".join(
        f"{library} {method} {row.seconds / ours.seconds:.1f} (residual {row.residual:.1e})"
        for (library, method), row in slower.iterrows()
    )
    same, moved = warm_starts.query("k == k_before"), warm_starts.query("k != k_before")
    deviation = traces.groupby(["quantity", "estimator"])["estimate"].std()
    plain = deviation.xs("Hutchinson", level="estimator")
    relative = ", ".join(
        f"{estimator} {value / plain['trace']:.1f}"
        for estimator, value in deviation["trace"].items()
        if estimator != "Hutchinson"
    )
    beside = next(e for e in traces["estimator"].unique() if e.startswith("Hutchinson beside"))
    size = growth.query("axis == 'pairs'").iloc[0]
    return (
        f"With the graph kept a Hessian-vector product takes {costs[kept]:.2f} gradients ({costs[block]:.2f} a vector "
        f"in a block) and holds {peaks[kept] / gradient['peak_bytes']:.1f} times a gradient's peak memory; relative "
        f"to it: {ratios} (where freed memory goes back to the system: {default}). The leading 16 eigenpairs take {ours.products:.0f} products, worst residual "
        f"{ours.residual:.1e} of the largest eigenvalue; times slower than that: {slower}. Starting from the "
        f"eigenvectors at k − 1 took {moved['warm_products'].sum() / moved['cold_products'].sum():.2f} of the products "
        f"of a cold start, as a block {moved['block_products'].sum() / moved['cold_products'].sum():.2f} (at the same "
        f"k: {same['warm_products'].iloc[0] / same['cold_products'].iloc[0]:.2f} and "
        f"{same['block_products'].iloc[0] / same['cold_products'].iloc[0]:.2f}): the old "
        f"vectors are off by up to {moved['residual_of_old_vectors'].max():.1e}. At the same products the standard "
        f"deviation of Tr H, over that of Hutchinson's estimator: {relative}; of Tr H², beside the eigenpairs, "
        f"{deviation['square', beside] / plain['square']:.1f} ({traces['repeat'].nunique()} repeats). One "
        f"trained transformer, N = {size['parameters']:,.0f}, {size['sequences']:.0f} sequences of 64 tokens, 2 cores; "
        f"medians (lines: range) over {products['round'].nunique()} interleaved rounds in one process for products, "
        f"{solvers['round'].max()} for solvers (power iteration: 1)."
    )
