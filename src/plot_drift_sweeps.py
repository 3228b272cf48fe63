"""Draw how the speed of the drift depends on batch, learning rate and steps.

Example:
    python src/plot_drift_sweeps.py --tables results/drift_velocities.csv results/drift_exponents.csv --out figures/drift_sweeps.pdf
"""

import _plot
from valleyscope.figures.connectivity.drift_sweeps import draw
from valleyscope.readings.drift import SETTING

if __name__ == "__main__":
    _plot.run(
        draw,
        [
            ["pair", *SETTING, "velocity", "predicted", "descent"],
            ["pair", "variable", "exponent", "predicted", "formula"],
        ],
        __doc__,
    )
