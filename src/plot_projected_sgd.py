"""Draw where projected SGD goes on the path.

Example:
    python src/plot_projected_sgd.py --tables results/projected_sgd.csv results/path_losses.csv --out figures/projected_sgd.pdf
"""

import _plot
from valleyscope.figures.connectivity.projected_sgd import draw

if __name__ == "__main__":
    _plot.run(
        draw,
        [
            ["pair", "run", "replica", "start", "step", "t_eff", "position", "loss"],
            ["variant", "kind", "pair", "position", "train_loss"],
        ],
        __doc__,
    )
