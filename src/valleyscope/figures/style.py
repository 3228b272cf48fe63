"""One look for all figures: colour-blind safe, print widths, deterministic files."""

import io
import textwrap
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from PIL import Image

from valleyscope.artifacts import write_atomically
from valleyscope.readings.intervals import student_interval

mpl.use("Agg")

WIDTH = 7.0  # inches, two columns
COLOURS = sns.color_palette("colorblind")
CAPTION_SIZE = 7.5  # points
FORMATS = (".pdf", ".svg", ".png")


def new_figure(height: float, rows: int = 1, columns: int = 1, **options):
    """A figure of print width and its axes, in the shared style."""
    sns.set_theme(
        context="paper",
        style="ticks",
        palette="colorblind",
        rc={
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 8.5,
            "axes.titlelocation": "left",
            "font.size": 8,
            "axes.labelsize": 8,
            "xtick.labelsize": 7,
            "ytick.labelsize": 7,
            "legend.fontsize": 7,
            "legend.title_fontsize": 7,
            "legend.frameon": False,
            "pdf.fonttype": 42,
            "svg.hashsalt": "valleyscope",
            "savefig.dpi": 160,
        },
    )
    return plt.subplots(rows, columns, figsize=(WIDTH, height), layout="constrained", **options)


def save_figure(figure: Figure, caption: str, stem: Path, formats=FORMATS) -> None:
    """Write STEM.pdf and .png with the caption below the axes, STEM.svg with it as its description, STEM.txt.

    Printed in an SVG a caption's glyphs would weigh more than the figure. The same tables give the same
    bytes: no dates, no random identifiers.
    """
    if ".svg" in formats:
        _freeze_layout(figure)
        with write_atomically(stem.with_suffix(".svg")) as temporary:
            figure.savefig(temporary, metadata={"Date": None, "Title": stem.name, "Description": caption})
        figure.set_layout_engine("constrained")
        for axes in figure.axes:
            axes.set_in_layout(True)  # from which a set position takes it
    _print_caption(figure, caption)
    _freeze_layout(figure)
    if ".pdf" in formats:
        with write_atomically(stem.with_suffix(".pdf")) as temporary:
            figure.savefig(temporary, metadata={"CreationDate": None, "ModDate": None})
    if ".png" in formats:
        _save_png(figure, stem.with_suffix(".png"))
    # The report reads captions as reStructuredText, where |x| is a reference; ∣ looks the same.
    with write_atomically(stem.with_suffix(".txt")) as temporary:
        temporary.write_text(caption.replace("|", "∣") + "\n", encoding="utf-8")
    plt.close(figure)


def _save_png(figure: Figure, path: Path) -> None:
    """With a palette of 256 colours, a third of the size."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", metadata={"Software": None})
    with Image.open(drawn) as image, write_atomically(path) as temporary:
        dots = (image.info["dpi"][0],) * 2
        image.convert("RGB").quantize(256).save(temporary, "PNG", optimize=True, dpi=dots)


def _freeze_layout(figure: Figure) -> None:
    """Lay out once and round: the solver's last bits differ from run to run, and SVG hashes them."""
    figure.draw_without_rendering()
    figure.set_layout_engine(None)  # not "none", with which every savefig would draw once more to lay out
    for axes in figure.axes:
        axes.set_position([round(edge, 4) for edge in axes.get_position().bounds])


def _print_caption(figure: Figure, caption: str) -> None:
    lines = textwrap.wrap(caption, width=116)
    height = (len(lines) + 1) * CAPTION_SIZE * 1.25 / 72  # inches
    width, axes_height = figure.get_size_inches()
    figure.set_size_inches(width, axes_height + height)
    share = height / (axes_height + height)
    figure.get_layout_engine().set(rect=(0, share, 1, 1 - share))
    figure.text(0.012, share * 0.93, "\n".join(lines), size=CAPTION_SIZE, va="top", linespacing=1.2)


def interval(values) -> tuple[float, float]:
    """Low and high of the 95 % Student-t interval, for seaborn's `errorbar`."""
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2:
        return (np.nan, np.nan)
    return student_interval(values)[1:]


def log_interval(values) -> tuple[float, float]:
    """The same for the geometric mean of positive values, for logarithmic axes."""
    low, high = interval(np.log(values))
    return (np.exp(low), np.exp(high))


def geometric_mean(values) -> float:
    """exp of the mean logarithm."""
    return float(np.exp(np.log(values).mean()))


def spread(values, digits: int = 3) -> str:
    """ "mean [low, high]" for captions."""
    mean, low, high = student_interval(values)
    return f"{mean:.{digits}g} [{low:.{digits}g}, {high:.{digits}g}]"


def log_spread(values, digits: int = 3) -> str:
    """ "geometric mean [low, high]" for captions."""
    mean, low, high = np.exp(student_interval(np.log(values)))
    return f"{mean:.{digits}g} [{low:.{digits}g}, {high:.{digits}g}]"
