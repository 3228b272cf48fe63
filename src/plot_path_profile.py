"""Draw loss and curvature along paths between minima.

Example:
    python src/plot_path_profile.py --tables results/path_losses.csv results/path_curvature.csv \\
        results/paths.csv --low-loss 1.2 --out figures/path_profile.pdf
"""

import _plot
from valleyscope.figures.connectivity.path_profile import draw

PATH = ["variant", "kind", "pair"]

if __name__ == "__main__":
    _plot.run(
        draw,
        [
            [*PATH, "position", "train_loss", "held_out_loss"],
            [*PATH, "position", "trace", "trace_se", "fisher", "lambda_max"],
            [*PATH, "length", "straight"],
        ],
        __doc__,
        "low_loss",
    )
