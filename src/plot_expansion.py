"""Draw the error of the quadratic model against σ, in three precisions.

Example:
    python src/plot_expansion.py --tables results/expansion.csv results/validity.csv --out figures/expansion.pdf
"""

import _plot
from valleyscope.figures.landscape.expansion import draw

KEYS = ["weights", "seed", "k", "quantity", "dim", "precision"]

if __name__ == "__main__":
    _plot.run(
        draw, [[*KEYS, "sigma", "error", "signal"], [*KEYS, "sigma_star", "sigma_floor", "limit"]], __doc__
    )
