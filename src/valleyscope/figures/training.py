"""Loss curves of the two families of models."""

import pandas as pd
import seaborn as sns

from valleyscope.figures.style import Picture, error_bar, log_error_bar, new_figure
from valleyscope.readings.intervals import geometric_mean, quoted
from valleyscope.readings.paths import VARIANTS

SPLITS = {"train_loss": "training", "held_out_loss": "held out"}


def draw(landscape: pd.DataFrame, minima: pd.DataFrame) -> Picture:
    """Loss against sequences seen (Paper A's models) and against steps (Paper B's minima)."""
    figure, (left, right) = new_figure(2.4, columns=2)
    for axes, table, x, average, bars in (
        (left, landscape, "samples", "mean", error_bar),
        (right, minima, "step", geometric_mean, log_error_bar),
    ):
        style = "variant" if "variant" in table else "split"
        long = table.melt(
            [x, *{"seed", style} - {"split"}], list(SPLITS), var_name="split", value_name="loss"
        )
        long["split"] = long["split"].map(SPLITS)
        sns.lineplot(long, x=x, y="loss", hue="split", style=style, estimator=average, errorbar=bars, ax=axes)
        axes.legend(title=None)
    left.set(xlabel="training sequences seen", ylabel="loss (nats per token)", ylim=(0, None))
    left.set_title("Paper A: one pass over a stream")
    right.set(xlabel="steps", ylabel="loss (nats per token)", yscale="log")
    right.set_title("Paper B: a small subset, to its floor")
    last = landscape[landscape["samples"] == landscape["samples"].max()]
    floor = minima[minima["step"] == minima["step"].max()]
    floors = ", ".join(
        f"{quoted(rows['train_loss'], log=True)} ({VARIANTS[variant]})"
        for variant, rows in floor.groupby("variant")
    )
    caption = (
        f"Paper A's models end at a held-out loss of {quoted(last['held_out_loss'])} nats per token, "
        f"{quoted(last['held_out_loss'] - last['train_loss'])} above the training loss; Paper B's minima reach a training "
        f"loss of {floors}. Means (left) and geometric means (right) and 95 % t-intervals over "
        f"{landscape['seed'].nunique()} and {minima['seed'].nunique()} seeds of weights and data order."
    )
    numbers = {
        f"held-out loss of Paper B's minima found by {VARIANTS[variant]}, nats per token": quoted(
            rows["held_out_loss"], log=True
        )
        for variant, rows in floor.groupby("variant")
    }
    numbers["training losses"] = "means over the minibatches since the last record"
    return Picture(figure, caption, numbers)
