"""Draw loss and curvature along paths between minima.

Example:
    python src/plot_path_profile.py --tables results/path_losses.csv results/path_curvature.csv --out figures/path_profile.pdf
"""

import _plot
from valleyscope.plotting.path_profile import draw

if __name__ == "__main__":
    _plot.run(
        draw,
        [
            ["pair", "kind", "position", "train_loss", "held_out_loss", "length"],
            ["pair", "kind", "position", "trace", "lambda_max"],
        ],
        __doc__,
    )
