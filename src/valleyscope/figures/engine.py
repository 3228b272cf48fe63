"""The curvature engine beside other libraries: cost of products, eigenpairs, growth."""

import re

import pandas as pd

from valleyscope.figures.style import COLOURS, Picture, new_figure

LIBRARIES = ("valleyscope", "PyHessian", "curvlinops", "hessian-eigenthings", "SciPy", "torch")
COLOUR = dict(zip(LIBRARIES, COLOURS, strict=False))
OURS = "valleyscope"
TOLERANCE = (
    1e-3  # that benchmarks/measure_engine.py asks of every solver: residual over the largest eigenvalue
)
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
) -> Picture:
    """Left: cost of a Hessian product and of 16 eigenpairs. Right: growth with N, sequences and pairs."""
    figure, ((one, two), (three, four)) = new_figure(6.0, rows=2, columns=2, height_ratios=[1.6, 1])
    costs = product_costs(products).query("operator == 'Hessian'").iloc[::-1]
    for row, cost in enumerate(costs.itertuples()):
        one.plot([cost.min, cost.max], [row, row], "-", lw=1, color=_colour(cost.library))
        one.plot(cost.median, row, "o", ms=4, color=_colour(cost.library))
    one.axvline(FLOOR, ls=":", lw=0.8, color="grey")
    one.set_yticks(range(len(costs)), [_label(c.library, c.way) for c in costs.itertuples()])
    one.set(xlabel="gradients", xlim=(0, None))
    one.set_title("One product (dotted: matrix products)")

    solved = solver_costs(solvers).iloc[::-1]
    for row, cost in enumerate(solved.itertuples()):
        colour, reached = _colour(cost.library), cost.residual <= TOLERANCE
        three.plot(cost.gradients, row, "o", ms=4, color=colour, mfc=colour if reached else "white")
        text = f"{cost.residual:.0e}"
        three.annotate(text, (cost.gradients, row), (6, 0), textcoords="offset points", va="center", size=6)
    three.set_yticks(range(len(solved)), [_label(c.library, c.method) for c in solved.itertuples()])
    three.set(xscale="log", xlabel="gradients (beside: residual; hollow: above tolerance)")
    three.margins(x=0.2)
    three.set_title(f"{_count(growth)} leading eigenpairs")

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
    four.plot(part["pairs"], part["products"], "o-", ms=3, color=COLOUR[OURS])
    four.set(xlabel="eigenpairs D", ylabel="products", ylim=(0, None))
    four.set_title("Products for D eigenpairs")
    caption, numbers = _products(products)
    found, beside = _solvers(solvers, warm_starts, _count(growth))
    size = growth.query("axis == 'pairs'").iloc[0]
    scale = (
        f"Medians (lines: range) over {products['round'].nunique()} interleaved rounds; one trained "
        f"transformer, N = {size['parameters']:,.0f}, {size['sequences']:.0f} sequences."
    )
    rounds = {"rounds of solvers, on all cores (power iteration: 1)": f"{solvers['round'].max()}"}
    return Picture(figure, f"{caption} {found} {scale}", numbers | beside | _traces(traces) | rounds)


def _colour(label: str) -> str:
    """Of a library, whatever its version."""
    return COLOUR[label.split()[0]]


def _label(library: str, what: str) -> str:
    what = what.replace("iteration, at most ", "").replace(" a pair", "")  # power iteration
    library = re.sub(r"-g[0-9a-f]+$", "", library)  # of git's name for a commit
    return library if what == "one vector" else f"{library}, {what}"


def _count(growth: pd.DataFrame) -> int:
    """Eigenpairs that every solver finds."""
    return growth.loc[growth["axis"] == "parameters", "pairs"].iloc[0]


def _products(products: pd.DataFrame) -> tuple[str, dict[str, str]]:
    """What a product costs: the finding, and the rest."""
    table = product_costs(products).query("operator == 'Hessian'").set_index(["library", "way"])
    ours = table.loc[OURS]
    kept, compiled = ours.loc["graph kept"], ours.loc["compiled"]
    block = ours[ours.index.str.startswith("graph kept, block")].iloc[0]
    gradient = (
        products.query("library == 'torch' and freed_memory == 'kept'").groupby("way")["gradients"].median()
    )
    peak = products.query("operator == 'gradient'").iloc[0]["peak_bytes"]
    single = table[~table.index.get_level_values("way").str.contains("block")].drop(OURS, level="library")
    best = single.groupby(lambda key: key[0].split()[0], sort=False)["median"].idxmin()  # of any version
    beside = ", ".join(f"{key[0]} {table['median'][key]:.2f}" for key in best)
    once = products.query("library == @OURS and way == 'compiled'").iloc[0]
    finding = (
        f"A Hessian-vector product takes {compiled['median']:.2f} gradients compiled, {kept['median']:.2f} with the graph "
        f"kept at {kept['peak'] / peak:.1f} times a gradient's peak memory; other libraries, at best: {beside}."
    )
    return finding, {
        "seconds to compile a product, from nothing": f"{once['compile_cold']:.0f}",
        "seconds to compile a product, from torch's cache": f"{once['compile_warm']:.0f}",
        "error of a compiled product, relative to one with the graph kept": f"{once['error']:.1e}",
        "a compiled gradient, in gradients": f"{gradient['compiled']:.2f}",
        "a vector in a block, graph kept, in gradients": f"{block['median']:.2f}",
    } | {
        f"cost of a product of {name} over ours with the graph kept, where freed memory goes back to the system": f"{cost / kept['returned']:.2f}"
        for name, cost in single.groupby("library", sort=False)["returned"].min().items()
    }


def _solvers(solvers: pd.DataFrame, warm_starts: pd.DataFrame, count: int) -> tuple[str, dict[str, str]]:
    """What eigenpairs cost, also from old eigenvectors: the finding, and the rest."""
    solved = solver_costs(solvers).set_index(["library", "method"])
    ours = solved.loc[OURS, "Lanczos"]
    others = solved[solved.index.get_level_values("library") != OURS]
    best = others[others["residual"] <= TOLERANCE].iloc[0]
    power = solved[solved.index.get_level_values("method").str.startswith("power")].loc[OURS].iloc[0]
    same, moved = warm_starts.query("k == k_before"), warm_starts.query("k != k_before")
    finding = (
        f"The leading {count} eigenpairs take {ours.products:.0f} products; {_label(*best.name)} takes "
        f"{best.seconds / ours.seconds:.1f} times as long, deflated power iteration {power.seconds / ours.seconds:.0f} times. "
        f"A start from the eigenvectors at k − 1 takes {_share(moved, 'warm')} of the products of a cold one."
    )
    return finding, {
        "worst residual of the eigenpairs, over the largest eigenvalue": f"{ours.residual:.1e}",
        "worst residual at which deflated power iteration stops": f"{power.residual:.1e}",
        "products of a start from the eigenvectors at k − 1, over a cold start": _share(moved, "warm"),
        "products of a start from the eigenvectors at k − 1 as a block, over a cold start": _share(
            moved, "block"
        ),
        "products of a start from the eigenvectors at the same k, over a cold start": _share(same, "warm"),
        "products of a start from the eigenvectors at the same k as a block, over a cold start": _share(
            same, "block"
        ),
        "largest residual of the eigenvectors at k − 1": f"{moved['residual_of_old_vectors'].max():.1e}",
    }


def _share(starts: pd.DataFrame, way: str) -> str:
    """Products of a start from old eigenvectors over those of a cold start."""
    return f"{starts[f'{way}_products'].sum() / starts['cold_products'].sum():.2f}"


def _traces(traces: pd.DataFrame) -> dict[str, str]:
    """Standard deviations of estimators at equal products, over that of Hutchinson's."""
    deviation = traces.groupby(["quantity", "estimator"])["estimate"].std()
    at = f"{traces['products'].iloc[0]} products, those of eigenpairs not counted, {traces['repeat'].nunique()} repeats"
    return {
        f"standard deviation of {quantity}, {estimator}, over Hutchinson's ({at})": f"{value / deviation[name, 'Hutchinson']:.1f}"
        for name, quantity in (("trace", "Tr H"), ("square", "Tr H²"))
        for estimator, value in deviation[name].items()
        if estimator != "Hutchinson" and (name == "trace" or estimator.startswith("Hutchinson beside"))
    }
