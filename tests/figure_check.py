"""What every test of a figure asks for."""

import itertools
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import yaml

from valleyscope.figures import style
from valleyscope.figures.captions import MOST_WORDS
from valleyscope.figures.catalogue import FIGURES

LARGEST = 300_000  # bytes
CONFIG = yaml.safe_load((Path(__file__).parents[1] / "configs/default.yaml").read_text())
LIMITS = CONFIG["readings"] | CONFIG["claims"]


def grid(**axes):
    """A row each combination."""
    return pd.DataFrame(itertools.product(*axes.values()), columns=list(axes))


def drawn(module, tables, **limits):
    """The picture, its figure closed; nothing in its words may be undefined, and its caption is short.

    It is drawn from no other columns than the catalogue names. `limits`: those that differ from the default
    configuration.
    """
    name, shown = module.__name__.rsplit(".", 1)[1], {}
    tables = [table.copy() for table in tables]
    if name in FIGURES:
        shown = {key: LIMITS[key] for key in FIGURES[name].limits}
        pairs = zip(tables, FIGURES[name].columns(), strict=True)
        tables = [table[[column for column in columns if column in table]] for table, columns in pairs]
    picture = module.draw(*tables, **(shown | limits))
    plt.close(picture.figure)
    assert "nan" not in told(picture)
    assert len(picture.caption.split()) <= MOST_WORDS
    return picture


def told(picture):
    """All its words: the caption and the numbers beside it."""
    return "\n".join([picture.caption, *(f"{name}: {value}" for name, value in picture.numbers.items())])


def changes_with(module, tables, limit, value):
    """Whether another value of a threshold or window is told: some word of the picture changes."""
    return told(drawn(module, tables)) != told(drawn(module, tables, **{limit: value}))


def laid_out(module, tables, **limits):
    """The same, with ticks and texts in place: these fail on axes that cannot be drawn."""
    picture = drawn(module, tables, **limits)
    picture.figure.set_layout_engine("none")  # takes most of the time
    picture.figure.draw_without_rendering()
    return picture


def check(module, tables, findings, folder, numbers=(), uncertainty="95 %", form=".svg", **limits):
    """The findings stand in the caption and `numbers` among its words, the figure fits a page, the file is
    small, and again the same bytes.

    SVG has every coordinate and text in it, so the other formats are compared for one figure only.
    """
    for name in ("first", "again"):
        picture = drawn(module, tables, **limits)
        for text in (*findings, uncertainty):
            assert text in picture.caption
        for text in numbers:
            assert text in told(picture)
        width, height = picture.figure.get_size_inches()
        assert width <= style.WIDTH
        assert height <= 6.5
        style.save_figure(picture, folder / name / "f.pdf", [form])
    for suffix in (form, ".txt", ".csv"):
        first, again = ((folder / name / f"f{suffix}").read_bytes() for name in ("first", "again"))
        assert first == again
        assert len(first) < LARGEST
