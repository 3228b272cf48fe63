"""Draw Δ₂^(D)/Δ₂ beside the share of a² and the spread ratio.

Example:
    python src/plot_ratio.py --tables results/criteria.csv results/terms.csv results/validity.csv --out figures/ratio.pdf
"""

import _plot
from valleyscope.figures.landscape.ratio import draw

if __name__ == "__main__":
    _plot.run(
        draw,
        [
            ["regime", "seed", "k", "next", "criterion", "dim", "sigma", "estimator", "estimate"],
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
                "spread_ratio",
            ],
            ["weights", "seed", "quantity", "dim", "precision", "sigma_star"],
        ],
        __doc__,
    )
