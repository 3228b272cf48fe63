"""Draw the published procedure beside the corrected one.

Example:
    python src/plot_published.py \\
        --tables results/published.csv results/published_eigenvalues.csv results/timing.csv \\
        --out figures/published.pdf
"""

import _plot
from valleyscope.figures.landscape.published import draw

if __name__ == "__main__":
    _plot.run(
        draw,
        [
            ["seed", "k", "procedure", "quantity", "value"],
            ["seed", "k", "procedure", "rank", "eigenvalue", "rayleigh"],
            ["procedure", "k", "stage", "gradients"],
        ],
        __doc__,
    )
