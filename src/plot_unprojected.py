"""Draw SGD that starts on the path and is never projected back to it.

Example:
    python src/plot_unprojected.py --tables results/projected_sgd.csv results/path_losses.csv --out figures/unprojected.pdf
"""

import _plot
from valleyscope.figures.connectivity.unprojected import draw

if __name__ == "__main__":
    _plot.run(
        draw,
        [
            ["pair", "run", "replica", "start", "step", "t_eff", "position", "distance", "loss"],
            ["variant", "kind", "pair", "position", "train_loss"],
        ],
        __doc__,
    )
