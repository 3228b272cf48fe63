"""Draw the seconds of each stage of Δ₂^(D), end to end and to one accuracy.

Example:
    python src/plot_cost.py --tables results/timing.csv results/accuracy.csv --out figures/cost.pdf
"""

import _plot
from valleyscope.figures.landscape.cost import draw

if __name__ == "__main__":
    _plot.run(
        draw,
        [
            ["procedure", "k", "stage", "estimator", "seconds", "products"],
            ["dim", "sigma", "samples", "direct", "direct_se", "quadratic_se", "difference", "difference_se"],
        ],
        __doc__,
    )
