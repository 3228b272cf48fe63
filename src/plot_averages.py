"""Draw held-out quality and curvature of averages of weights beside what they average.

Example:
    python src/plot_averages.py --tables results/averages.csv --out figures/averages.pdf
"""

import _plot
from valleyscope.figures.connectivity.averages import draw

if __name__ == "__main__":
    _plot.run(
        draw,
        [
            [
                "source",
                "repeat",
                "branch",
                "point",
                "train_loss",
                "held_out_loss",
                "scaled_loss",
                "accuracy",
                "trace",
            ]
        ],
        __doc__,
    )
