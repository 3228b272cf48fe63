"""Draw the seconds of each stage of Δ₂^(D).

Example:
    python src/plot_cost.py --tables results/timing.csv --out figures/cost.pdf
"""

import _plot
from valleyscope.plotting.cost import draw

if __name__ == "__main__":
    _plot.run(draw, [["stage", "estimator", "seconds", "products"]], __doc__)
