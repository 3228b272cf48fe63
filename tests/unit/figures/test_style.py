"""One look for all figures, and files that hold the picture only."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import seaborn as sns

from valleyscope.figures.style import (
    COLOURS,
    Picture,
    error_bar,
    log_error_bar,
    new_figure,
    save_figure,
)


def picture(caption="A finding ∣ told at length. " * 3, numbers=None):
    figure, axes = new_figure(3, columns=2)
    for panel in axes:
        panel.plot([0, 1], [0, 1])
        panel.set(xlabel="x", ylabel="y", title="title")
    return Picture(figure, caption, numbers or {"a number": "1 [0, 2]", "with, comma": "2"})


def test_intervals_of_logarithms_are_those_of_a_geometric_mean():
    low, high = log_error_bar([1.0, 10.0, 100.0])
    assert low < 10 < high
    assert low * high == pytest.approx(100)
    low, high = error_bar([1.0, 2.0, 3.0])
    assert (low + high) / 2 == pytest.approx(2)
    assert np.isnan(error_bar([1.0])).all()


def test_the_look_is_that_of_seaborns_papers():
    """Which is not loaded for it; what it sets beside, no figure shows."""
    with mpl.rc_context():
        mpl.rcdefaults()
        plain = dict(mpl.rcParams)
        plt.close(new_figure(1)[0])
        ours, black = dict(mpl.rcParams), mpl.colors.to_rgb("k")
        mpl.rcdefaults()
        sns.set_theme(context="paper", style="ticks", palette="colorblind")
        theirs = dict(mpl.rcParams)
        assert mpl.colors.to_rgb("k") == black
    assert sns.color_palette("colorblind") == COLOURS
    unlike = {"grid.color", "image.cmap", "font.size", "axes.titlesize", "legend.title_fontsize"}
    unlike |= {"axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize"}
    for name in {name for name in theirs if theirs[name] != plain[name]} - unlike:
        expected = theirs[name]
        assert ours[name] == (pytest.approx(expected) if isinstance(expected, float) else expected), name


def test_caption_and_numbers_lie_beside_the_image_and_not_in_it(tmp_path):
    save_figure(picture(), tmp_path / "f.pdf")
    assert {path.suffix for path in tmp_path.iterdir()} == {".pdf", ".svg", ".png", ".txt", ".csv"}
    svg = (tmp_path / "f.svg").read_text()
    assert "finding" not in svg
    assert "<dc:description>" not in svg
    assert (tmp_path / "f.txt").read_text() == ("A finding ∣ told at length. " * 3) + "\n"
    table = pd.read_csv(tmp_path / "f.csv")
    assert table.to_dict("list") == {
        "quantity": ["a number", "with, comma"],
        "value": ["1 [0, 2]", "2"],
    }


def test_a_bar_that_restructured_text_would_read_is_replaced(tmp_path):
    save_figure(picture("|γ| is small"), tmp_path / "f.pdf", [])
    assert (tmp_path / "f.txt").read_text() == "∣γ∣ is small\n"


def test_the_caption_does_not_move_the_axes(tmp_path):
    for name, caption in (("short", "A"), ("long", "A finding. " * 100)):
        save_figure(picture(caption), tmp_path / name / "f.pdf")
    for suffix in (".pdf", ".svg", ".png"):
        assert (tmp_path / f"short/f{suffix}").read_bytes() == (tmp_path / f"long/f{suffix}").read_bytes()


def test_a_figure_is_closed_once_saved(tmp_path):
    drawn = picture()
    save_figure(drawn, tmp_path / "f.pdf", [".svg"])
    assert not plt.fignum_exists(drawn.figure.number)
    assert not (tmp_path / "f.png").exists()
