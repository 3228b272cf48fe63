"""Draw barriers between children of one run against the step at which they branched.

Example:
    python src/plot_branching.py --tables results/children.csv results/children_curvature.csv --out figures/branching.pdf
"""

import _plot
from valleyscope.figures.connectivity.branching import draw

if __name__ == "__main__":
    _plot.run(
        draw,
        [
            ["parent", "line", "branch", "position", "train_loss"],
            ["parent", "branch", "position", "trace", "trace_se"],
        ],
        __doc__,
    )
