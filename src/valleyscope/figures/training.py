"""Loss curves of the two families of models."""

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from valleyscope.figures.style import interval, log_interval, log_spread, new_figure, spread
from valleyscope.readings.intervals import geometric_mean

SPLITS = {"train_loss": "training", "held_out_loss": "held out"}


def draw(landscape: pd.DataFrame, minima: pd.DataFrame) -> tuple[Figure, str]:
    """Loss against sequences seen (Paper A's models) and against steps (Paper B's minima)."""
    figure, (left, right) = new_figure(2.4, columns=2)
    for axes, table, x, average, bars in (
        (left, landscape, "samples", "mean", interval),
        (right, minima, "step", geometric_mean, log_interval),
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
    floors = "; ".join(
        f"{variant}: {log_spread(rows['train_loss'])}, {log_spread(rows['held_out_loss'])}"
        for variant, rows in floor.groupby("variant")
    )
    gap = last["held_out_loss"] - last["train_loss"]
    caption = (
        f"Paper A's models end at a held-out loss of {spread(last['held_out_loss'])} nats per token, "
        f"{spread(gap)} above the training loss. Paper B's minima reach these losses, training and held out: "
        f"{floors}. "
        "Training losses are means over the minibatches since the last record. "
        f"Mean (left) and geometric mean (right) with 95 % t-intervals over {landscape['seed'].nunique()} and "
        f"{minima['seed'].nunique()} seeds; brackets hold intervals."
    )
    return figure, caption
