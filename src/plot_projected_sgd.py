"""Draw where projected SGD goes on the path.

Example:
    python src/plot_projected_sgd.py --tables results/projected_sgd.csv --out figures/projected_sgd.pdf
"""

import _plot
from valleyscope.plotting.projected_sgd import draw

if __name__ == "__main__":
    _plot.run(draw, [["noise", "pair", "replica", "start", "step", "t_eff", "position", "distance"]], __doc__)
