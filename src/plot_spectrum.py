"""Draw leading eigenvalues, spectral density and how far the top eigenspace turns with k.

Example:
    python src/plot_spectrum.py \\
        --tables results/eigenvalues.csv results/spectrum.csv results/drift.csv \\
        --out figures/spectrum.pdf
"""

import _plot
from valleyscope.figures.landscape.spectrum import draw

if __name__ == "__main__":
    _plot.run(
        draw,
        [
            ["regime", "seed", "k", "rank", "eigenvalue", "residual"],
            ["seed", "k", "relative", "density", "negative"],
            ["seed", "k", "k_other", "weights_other", "dim", "overlap", "chance"],
        ],
        __doc__,
    )
