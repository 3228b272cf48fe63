"""Draw both Monte Carlo estimators against the number of draws, with and without a².

Example:
    python src/plot_convergence.py --tables results/estimators.csv --out figures/convergence.pdf
"""

import _plot
from valleyscope.figures.landscape.convergence import draw

KEYS = ["weights", "seed", "k", "dim", "sigma", "samples"]
MOMENTS = ["gaussian_moment", "direct", "quadratic", "difference", "value", "variance"]

if __name__ == "__main__":
    _plot.run(draw, [[*KEYS, *MOMENTS]], __doc__)
