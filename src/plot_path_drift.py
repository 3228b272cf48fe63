"""Draw the measured drift along the path beside the predicted one.

Example:
    python src/plot_path_drift.py --tables results/path_drift.csv results/path_drift_predicted.csv results/drift_slopes.csv --margin 0.15 --out figures/path_drift.pdf
"""

import _plot
from valleyscope.figures.connectivity.path_drift import draw
from valleyscope.readings.drift import SETTING

if __name__ == "__main__":
    keys = ["pair", "position", *SETTING]
    _plot.run(
        draw,
        [
            [*keys, "displacement_se", "descent", "entropic", "followed", "followed_se"],
            [*keys, "predicted", "predicted_se"],
            ["pair", *SETTING, "predictor", "slope", "chi2_dof"],
        ],
        __doc__,
        "margin",
    )
