"""Draw the ratio of subspace to full space in float64, float32 and bfloat16.

Example:
    python src/plot_precision.py --tables results/precision.csv results/validity.csv --out figures/precision.pdf
"""

import _plot
from valleyscope.figures.landscape.precision import KEYS, draw

VALIDITY = ["weights", "seed", "k", "quantity", "dim", "precision", "sigma_star"]

if __name__ == "__main__":
    _plot.run(draw, [[*KEYS, "weights", "k", "estimate", "variance"], VALIDITY], __doc__)
