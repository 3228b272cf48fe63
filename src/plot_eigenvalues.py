"""Draw the leading eigenvalues of H^(k) and their residuals.

Example:
    python src/plot_eigenvalues.py --tables results/eigenvalues.csv --out figures/eigenvalues.pdf
"""

import _plot
from valleyscope.plotting.eigenvalues import draw

if __name__ == "__main__":
    _plot.run(draw, [["seed", "k", "rank", "eigenvalue", "residual", "products"]], __doc__)
