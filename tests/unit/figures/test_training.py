"""The loss curves, from synthetic tables whose floors are known."""

import numpy as np
import pytest
from figure_check import check, drawn, grid

from valleyscope.figures import training


def training_tables():
    landscape = grid(seed=[0, 1, 2], samples=[0, 64, 128])
    landscape["train_loss"] = 5 - landscape["samples"] / 64 + 0.01 * landscape["seed"]
    landscape["held_out_loss"] = landscape["train_loss"] + 0.1
    minima = landscape.rename(columns={"samples": "step"}).assign(variant="adamw")
    return landscape, minima


def test_the_finding_is_in_the_caption_and_the_bytes_are_the_same(tmp_path):
    findings = [
        "a held-out loss of 3.11 [3.09, 3.13] nats per token, 0.1 [0.1, 0.1] above",
        "minima reach a training loss of 3.01 [2.99, 3.03] (AdamW)",
        "over 3 and 3 seeds",
    ]
    numbers = ["held-out loss of Paper B's minima found by AdamW, nats per token: 3.11 [3.09, 3.13]"]
    check(training, training_tables(), findings, tmp_path, numbers)


@pytest.mark.parametrize("form", [".pdf", ".png"])
def test_every_format_has_the_same_bytes_again(form, tmp_path):
    check(training, training_tables(), [], tmp_path, form=form)


def test_means_of_minima_are_geometric_and_of_streams_plain():
    landscape, minima = training_tables()
    for table in (landscape, minima):
        table["train_loss"] *= 10.0 ** (table["seed"] - 1)
    figure = drawn(training, (landscape, minima)).figure
    for axes, mean in zip(figure.axes, (np.mean, lambda v: np.exp(np.log(v).mean())), strict=True):
        x = "samples" if axes is figure.axes[0] else "step"
        table = landscape if x == "samples" else minima
        wanted = table.groupby(x)["train_loss"].agg(mean)
        assert any(
            np.allclose(line.get_ydata(), wanted)
            for line in axes.lines
            if len(line.get_xdata()) == len(wanted)
        )
