"""Draw what five kinds of subspace hold of the increment, and Lemma 5's assumptions.

Example:
    python src/plot_captured.py --tables results/subspaces.csv results/index_sets.csv results/lemma5.csv
        results/validity.csv --out figures/captured.pdf
"""

import _plot
from valleyscope.figures.landscape.captured import draw

KEYS = ["weights", "seed", "k"]

if __name__ == "__main__":
    _plot.run(
        draw,
        [
            [*KEYS, "subspace", "dim", "sigma", "gradient_share", "chance", "spread_ratio"],
            [*KEYS, "dim", "draw", "quadratic"],
            [*KEYS, "nonnegative", "rank_correlation", "off_diagonal"],
            [*KEYS, "quantity", "dim", "precision", "sigma_star"],
        ],
        __doc__,
    )
