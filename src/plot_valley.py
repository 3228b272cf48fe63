"""Draw the toy valley: particles, density, drift and the coefficient of the effective potential.

Example:
    python src/plot_valley.py --tables results/valley_fits.csv results/valley_profile.csv results/valley_trajectories.csv --out figures/valley.pdf
"""

import _plot
from valleyscope.figures.connectivity.valley import draw

if __name__ == "__main__":
    _plot.run(
        draw,
        [
            ["seed", "noise", "quantity", "step_size", "law", "coefficient", "chi2_dof"],
            ["seed", "noise", "quantity", "step_size", "y", "value"],
            ["seed", "particle", "t", "x", "y", "stiffness", "contrast", "temperature"],
        ],
        __doc__,
    )
