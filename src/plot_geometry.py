"""Draw δ_k and its quadratic model on the plane of the two leading eigenvectors.

Example:
    python src/plot_geometry.py --tables results/geometry.csv --out figures/geometry.pdf
"""

import _plot
from valleyscope.figures.landscape.geometry import draw

if __name__ == "__main__":
    _plot.run(draw, [["weights", "seed", "k", "x", "y", "true", "quadratic"]], __doc__)
