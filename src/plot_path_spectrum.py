"""Draw the spectrum of the Hessian and the gradient noise along paths between minima.

Example:
    python src/plot_path_spectrum.py --tables results/path_spectrum.csv results/path_eigenvalues.csv \\
        results/path_curvature.csv --out figures/path_spectrum.pdf
"""

import _plot
from valleyscope.figures.connectivity.path_spectrum import draw

PLACE = ["variant", "kind", "pair", "position"]

if __name__ == "__main__":
    _plot.run(
        draw,
        [
            [*PLACE, "eigenvalue", "density"],
            [*PLACE, "rank", "eigenvalue", "residual"],
            [*PLACE, "square", "noise", "noise_square", "shared", "shared_se"],
        ],
        __doc__,
    )
