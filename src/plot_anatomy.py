"""Draw the four terms of the closed form against k and σ.

Example:
    python src/plot_anatomy.py --tables results/terms.csv results/validity.csv --out figures/anatomy.pdf
"""

import _plot
from valleyscope.figures.landscape.anatomy import draw

if __name__ == "__main__":
    _plot.run(
        draw,
        [
            [
                "regime",
                "seed",
                "k",
                "next",
                "criterion",
                "dim",
                "sigma",
                "value",
                "slope",
                "curvature",
                "cross",
            ],
            ["weights", "seed", "quantity", "dim", "precision", "sigma_star"],
        ],
        __doc__,
    )
