"""Draw the relative error of the closed form over (D, σ).

Example:
    python src/plot_error_map.py --tables results/estimators.csv results/validity.csv --out figures/error_map.pdf
"""

import _plot
from valleyscope.figures.landscape.error_map import draw

KEYS = ["weights", "seed", "k", "dim"]
MOMENTS = ["sigma", "samples", "gaussian_moment", "direct", "difference", "variance"]

if __name__ == "__main__":
    _plot.run(draw, [[*KEYS, *MOMENTS], [*KEYS, "quantity", "precision", "sigma_star"]], __doc__)
