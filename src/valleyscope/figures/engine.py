"""The curvature engine beside other libraries: cost of products, eigenpairs, growth."""

import pandas as pd
from matplotlib.figure import Figure

from valleyscope.figures.style import COLOURS, new_figure

LIBRARIES = ("valleyscope", "PyHessian", "curvlinops", "hessian-eigenthings", "SciPy", "torch")
COLOUR = dict(zip(LIBRARIES, COLOURS, strict=False))
TOLERANCE = 1e-3
FLOOR = 2  # gradients: six matrix products of the model where a gradient has three


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
    """Left: cost of a Hessian product and of 16 eigenpairs. Right: growth with N, sequences and pairs."""
    figure, ((one, two), (three, four)) = new_figure(4.4, rows=2, columns=2, width_ratios=[1, 1])
    costs = product_costs(products).query("operator == 'Hessian'").iloc[::-1]
    for row, cost in enumerate(costs.itertuples()):
        one.plot([cost.min, cost.max], [row, row], "-", lw=1, color=COLOUR[cost.library])
        one.plot(cost.median, row, "o", ms=4, color=COLOUR[cost.library])
    one.axvline(FLOOR, ls=":", lw=0.8, color="grey")
    one.set_yticks(range(len(costs)), [_label(c.library, c.way) for c in costs.itertuples()])
    one.set(xlabel="gradients", xlim=(0, None))
    one.set_title("One product (dotted: matrix products)")

    solved = solver_costs(solvers).iloc[::-1]
    for row, cost in enumerate(solved.itertuples()):
        colour, reached = COLOUR[cost.library], cost.residual <= TOLERANCE
        three.plot(cost.gradients, row, "o", ms=4, color=colour, mfc=colour if reached else "white")
        text = f"{cost.residual:.0e}"
        three.annotate(text, (cost.gradients, row), (6, 0), textcoords="offset points", va="center", size=6)
    three.set_yticks(range(len(solved)), [_label(c.library, c.method) for c in solved.itertuples()])
    three.set(xscale="log", xlabel="gradients (beside: residual; hollow: above tolerance)")
    three.margins(x=0.2)
    three.set_title("16 leading eigenpairs")

    for axis, label in {"parameters": "N", "sequences": "sequences"}.items():
        part = growth[growth["axis"] == axis]
        first, last = part[axis].iloc[0], part[axis].iloc[-1]
        text = f"{label}: {first:,} to {last:,}"
        two.plot(part[axis] / first, part["product_gradients"], "o-", ms=3, label=text)
    two.axhline(FLOOR, ls=":", lw=0.8, color="grey")
    two.set(xscale="log", ylim=(0, 3), xlabel="growth", ylabel="gradients")
    two.legend(loc="lower right")
    two.set_title("One product, growing problem")

    part = growth.query("axis == 'pairs'")
    four.plot(part["pairs"], part["products"], "o-", ms=3, color=COLOUR["valleyscope"])
    four.set(xlabel="eigenpairs D", ylabel="products", ylim=(0, None))
    four.set_title("Products for D eigenpairs")
    return figure, caption(products, solvers, growth, warm_starts, traces)


def _label(library: str, what: str) -> str:
    what = what.replace("iteration, at most ", "").replace(" a pair", "")  # power iteration
    return library if what == "one vector" else f"{library}, {what}"


def caption(products, solvers, growth, warm_starts, traces) -> str:
    """The findings with their numbers."""
    table = product_costs(products).set_index(["library", "operator", "way"])
    costs, peaks = table["median"], table["peak"]
    gradient = products.query("operator == 'gradient'").iloc[0]
    kept = ("valleyscope", "Hessian", "graph kept")
    block = next(key for key in costs.index if key[2].startswith("graph kept, block"))
    peers = {name: costs[name, "Hessian", "one vector"] for name in LIBRARIES[1:4]}
    ratios = ", ".join(f"{name} {value / costs[kept]:.2f}" for name, value in peers.items())
    default = ", ".join(
        f"{name} {table['returned'][name, 'Hessian', 'one vector'] / table['returned'][kept]:.2f}"
        for name in peers
    )
    solved = solver_costs(solvers).set_index(["library", "method"])
    ours = solved.loc["valleyscope", "Lanczos"]
    others = solved[solved.index.get_level_values("library") != "valleyscope"]
    best = others[others["residual"] <= TOLERANCE].iloc[0]
    power = solved[solved.index.get_level_values("method").str.startswith("power")].loc["valleyscope"].iloc[0]
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
        f"{ours.residual:.1e} of the largest eigenvalue; {_label(*best.name)} takes {best.seconds / ours.seconds:.1f} times as long, "
        f"deflated power iteration {power.seconds / ours.seconds:.0f} times and stops at {power.residual:.1e}. Starting from the "
        f"eigenvectors at k − 1 took {moved['warm_products'].sum() / moved['cold_products'].sum():.2f} of the products "
        f"of a cold start, as a block {moved['block_products'].sum() / moved['cold_products'].sum():.2f} (at the same "
        f"k: {same['warm_products'].iloc[0] / same['cold_products'].iloc[0]:.2f} and "
        f"{same['block_products'].iloc[0] / same['cold_products'].iloc[0]:.2f}): the old "
        f"vectors are off by up to {moved['residual_of_old_vectors'].max():.1e}. With {traces['products'].iloc[0]} products "
        f"each (those of the eigenpairs not counted) the standard deviation of Tr H, over that of Hutchinson's estimator: {relative}; of Tr H², beside the eigenpairs, "
        f"{deviation['square', beside] / plain['square']:.1f} ({traces['repeat'].nunique()} repeats). One "
        f"trained transformer, N = {size['parameters']:,.0f}, {size['sequences']:.0f} sequences, all cores; "
        f"medians (lines: range) over {products['round'].nunique()} interleaved rounds in one process for products, "
        f"{solvers['round'].max()} for solvers (power iteration: 1)."
    )
