"""Draw how fast optimisers move along the path.

Example:
    python src/plot_optimisers.py --tables results/projected_sgd.csv results/path_losses.csv --out figures/optimisers.pdf
"""

import _plot
from valleyscope.figures.connectivity.optimisers import draw

if __name__ == "__main__":
    _plot.run(
        draw,
        [
            ["pair", "run", "replica", "start", "step", "t_eff", "position", "loss", "step_size"],
            ["variant", "kind", "pair", "position", "train_loss"],
        ],
        __doc__,
    )
