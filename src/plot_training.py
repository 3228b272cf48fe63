"""Draw the loss curves of both families of models.

Example:
    python src/plot_training.py --tables results/training_landscape.csv results/training_minima.csv --out figures/training.pdf
"""

import _plot
from valleyscope.figures.training import draw

if __name__ == "__main__":
    _plot.run(
        draw,
        [
            ["samples", "seed", "train_loss", "held_out_loss"],
            ["variant", "step", "seed", "train_loss", "held_out_loss"],
        ],
        __doc__,
    )
