"""Draw residuals of eigensolvers for the products they spend.

Example:
    python src/plot_eigensolvers.py --tables results/eigensolvers.csv --out figures/eigensolvers.pdf
"""

import _plot
from valleyscope.figures.landscape.eigensolvers import draw

if __name__ == "__main__":
    _plot.run(draw, [["seed", "k", "count", "solver", "setting", "products", "residual"]], __doc__)
