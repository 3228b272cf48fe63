"""Draw how many sequences it takes until one more changes the loss by less than ε.

Example:
    python src/plot_sequences.py --tables results/sequences.csv --out figures/sequences.pdf
"""

import _plot
from valleyscope.figures.landscape.sequences import draw

if __name__ == "__main__":
    _plot.run(
        draw,
        [["regime", "next", "criterion", "dim", "sigma", "epsilon", "seed", "k", "extrapolated"]],
        __doc__,
    )
