"""Draw Δ₂^(D) by three estimators and its anatomy.

Example:
    python src/plot_criteria.py --tables results/criteria.csv results/terms.csv --out figures/criteria.pdf
"""

import _plot
from valleyscope.plotting.criteria import KEYS, draw

if __name__ == "__main__":
    _plot.run(
        draw,
        [[*KEYS, "estimator", "variance"], [*KEYS, "value", "slope", "gradient_share", "chance"]],
        __doc__,
    )
