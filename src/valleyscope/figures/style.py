"""One look for all figures: colour-blind safe, print widths, deterministic files."""

import io
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib as mpl
import matplotlib.colors
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from valleyscope.artifacts import write_atomically
from valleyscope.readings.intervals import interval_of

mpl.use("Agg")

WIDTH = 7.0  # inches, two columns
FORMATS = (".pdf", ".svg", ".png")

# Seaborn's colour-blind palette, and its look of papers with ticks; seaborn itself takes as long to load as
# a figure to draw.
HEX = [
    "#0173B2",
    "#DE8F05",
    "#029E73",
    "#D55E00",
    "#CC78BC",
    "#CA9161",
    "#FBAFE4",
    "#949494",
    "#ECE133",
    "#56B4E9",
]
COLOURS = [mpl.colors.to_rgb(colour) for colour in HEX]
TICKS = {
    "color": ".15",
    "labelsize": 7,
    "major.size": 4.8,
    "major.width": 1,
    "minor.size": 3.2,
    "minor.width": 0.8,
}
LOOK = {
    "axes.axisbelow": True,
    "axes.edgecolor": ".15",
    "axes.labelcolor": ".15",
    "axes.labelsize": 8,
    "axes.linewidth": 1,
    "axes.prop_cycle": mpl.cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 8.5,
    "font.sans-serif": ["Arial", "DejaVu Sans", "Liberation Sans", "Bitstream Vera Sans", "sans-serif"],
    "font.size": 8,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.title_fontsize": 7,
    "lines.linewidth": 1.2,
    "lines.markersize": 4.8,
    "lines.solid_capstyle": "round",
    "patch.edgecolor": "w",
    "patch.force_edgecolor": True,
    "patch.linewidth": 0.8,
    "pdf.fonttype": 42,
    "savefig.dpi": 160,
    "svg.hashsalt": "valleyscope",
    "text.color": ".15",
    **{f"{axis}tick.{name}": value for axis in "xy" for name, value in TICKS.items()},
}


def new_figure(height: float, rows: int = 1, columns: int = 1, **options):
    """A figure of print width and its axes, in the shared style."""
    mpl.rcParams.update(LOOK)
    mpl.colors.get_named_colors_mapping()["k"] = (0.1, 0.1, 0.1)
    return plt.subplots(rows, columns, figsize=(WIDTH, height), layout="constrained", **options)


@dataclass(frozen=True)
class Picture:
    """A figure and what is printed beside it, none of it inside the image.

    Attributes:
        caption: the finding first, repeats and scale last, at most `captions.MOST_WORDS` words.
        numbers: name -> value in words, of everything else that was read off: a table in docs/figures.md.
    """

    figure: Figure
    caption: str
    numbers: dict[str, str] = field(default_factory=dict)


def save_figure(picture: Picture, stem: Path, formats=FORMATS) -> None:
    """Write STEM.pdf, .svg and .png, the caption as STEM.txt and the numbers as STEM.csv.

    The same tables give the same bytes: no dates, no random identifiers.
    """
    figure = picture.figure
    _freeze_layout(figure)
    if ".svg" in formats:
        with write_atomically(stem.with_suffix(".svg")) as temporary:
            figure.savefig(temporary, metadata={"Date": None, "Title": stem.name})
    if ".pdf" in formats:
        with write_atomically(stem.with_suffix(".pdf")) as temporary:
            figure.savefig(temporary, metadata={"CreationDate": None, "ModDate": None})
    if ".png" in formats:
        _save_png(figure, stem.with_suffix(".png"))
    plt.close(figure)
    # The report reads captions as reStructuredText, where |x| is a reference; ∣ looks the same.
    with write_atomically(stem.with_suffix(".txt")) as temporary:
        temporary.write_text(picture.caption.replace("|", "∣") + "\n", encoding="utf-8")
    table = pd.DataFrame(picture.numbers.items(), columns=["quantity", "value"])
    with write_atomically(stem.with_suffix(".csv")) as temporary:
        table.to_csv(temporary, index=False)


def _save_png(figure: Figure, path: Path) -> None:
    """With a palette of 256 colours, a third of the size."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="rgba")
    dots = mpl.rcParams["savefig.dpi"]
    width = round(figure.get_figwidth() * dots)
    size = (width, len(drawn.getvalue()) // (4 * width))
    image = Image.frombytes("RGBA", size, drawn.getvalue()).convert("RGB")
    with write_atomically(path) as temporary:
        image.quantize(256).save(temporary, "PNG", optimize=True, dpi=(dots, dots))


def _freeze_layout(figure: Figure) -> None:
    """Lay out once and round: the solver's last bits differ from run to run, and SVG hashes them."""
    figure.draw_without_rendering()
    figure.set_layout_engine(None)  # not "none", with which every savefig would draw once more to lay out
    for axes in figure.axes:
        axes.set_position([round(edge, 4) for edge in axes.get_position().bounds])


def error_bar(values) -> tuple[float, float]:
    """Low and high of the 95 % Student-t interval, for seaborn's `errorbar`."""
    return interval_of(values)[1:]


def log_error_bar(values) -> tuple[float, float]:
    """The same in logarithms, for logarithmic axes."""
    return interval_of(values, log=True)[1:]
