"""Draw norms and curvature by group of weights along paths between minima: how much of the rise is scale.

Example:
    python src/plot_path_groups.py --tables results/path_groups.csv results/path_curvature.csv \\
        --out figures/path_groups.pdf
"""

import _plot
from valleyscope.figures.connectivity.path_groups import draw

PLACE = ["variant", "kind", "pair", "position"]

if __name__ == "__main__":
    _plot.run(
        draw,
        [
            [*PLACE, "group", "norm", "trace", "trace_se", "radial"],
            [*PLACE, "trace"],
        ],
        __doc__,
    )
