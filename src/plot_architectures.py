"""Draw Paper A's measurements on every architecture, and curvature on the paths of some.

Example:
    python src/plot_architectures.py --tables results/architectures.csv results/architecture_costs.csv \\
        results/architecture_losses.csv results/architecture_curvature.csv --out figures/architectures.pdf
"""

import _plot
from valleyscope.figures.landscape.architectures import draw

COLUMNS = ["architecture", "seed", "parameters", "rate_delta2", "rate_fixed", "ratio_off", "shared_off"]
COLUMNS += ["spread_ratio", "gradient_share", "sigma_star"]

if __name__ == "__main__":
    tables = [
        COLUMNS,
        ["architecture", "seed", "gradients"],
        ["architecture", "pair", "position", "train_loss"],
        ["architecture", "pair", "position", "trace"],
    ]
    _plot.run(draw, tables, __doc__)
