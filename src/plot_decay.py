"""Draw the decay of Δ₁, Δ₂ and Δ₂^(D) with k beside fixed weights.

Example:
    python src/plot_decay.py --tables results/criteria.csv results/fixed_weights.csv results/slopes.csv results/validity.csv --out figures/decay.pdf
"""

import _plot
from valleyscope.figures.landscape.decay import draw

if __name__ == "__main__":
    _plot.run(
        draw,
        [
            ["regime", "seed", "k", "next", "criterion", "dim", "sigma", "estimator", "estimate"],
            ["weights", "seed", "k", "next", "criterion", "sigma", "estimate"],
            ["regime", "next", "criterion", "dim", "sigma", "estimator", "seed", "slope"],
            ["weights", "seed", "quantity", "dim", "precision", "sigma_star"],
        ],
        __doc__,
    )
