"""Draw Paper A's probe along Paper B's path: Var δ and the terms of Δ₂^(D) beside Tr H.

Example:
    python src/plot_path_criteria.py --tables results/path_criteria.csv results/path_curvature.csv \\
        --out figures/path_criteria.pdf
"""

import _plot
from valleyscope.figures.connectivity.path_criteria import draw

PLACE = ["variant", "kind", "pair", "position"]

if __name__ == "__main__":
    _plot.run(
        draw,
        [
            [*PLACE, "dim", "sigma", "value", "slope", "curvature", "cross", "variance"],
            [*PLACE, "trace"],
        ],
        __doc__,
    )
