"""Draw what products and eigenpairs cost, from the benchmark's tables.

Example:
    python src/plot_engine.py --out figures/engine.pdf --tables benchmarks/results/products.csv \\
        benchmarks/results/solvers.csv benchmarks/results/growth.csv \\
        benchmarks/results/warm_starts.csv benchmarks/results/traces.csv
"""

import _plot
from valleyscope.figures.engine import draw

COLUMNS = [
    ["library", "operator", "way", "round", "gradients", "peak_bytes"],
    ["library", "method", "round", "seconds", "gradients", "products", "residual"],
    ["axis", "parameters", "sequences", "pairs", "product_gradients", "products"],
    ["k_before", "k", "cold_products", "warm_products", "block_products", "residual_of_old_vectors"],
    ["estimator", "quantity", "estimate", "products"],
]

if __name__ == "__main__":
    _plot.run(draw, COLUMNS, __doc__)
