"""What every test of a figure asks for."""

import itertools

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from valleyscope.figures import style

LARGEST = 300_000  # bytes
THRESHOLDS = {"path_profile": {"low_loss": 1.2}, "path_drift": {"margin": 0.15}}  # of figures that show them


def grid(**axes):
    """A row each combination."""
    return pd.DataFrame(itertools.product(*axes.values()), columns=list(axes))


def modules(cases):
    """Parametrise over figure modules, by name."""
    return pytest.mark.parametrize("module", cases, ids=lambda module: module.__name__.rsplit(".", 1)[1])


def drawn(module, tables):
    """The figure, closed, and its caption; nothing in the caption may be undefined."""
    thresholds = THRESHOLDS.get(module.__name__.rsplit(".", 1)[1], {})
    figure, caption = module.draw(*(table.copy() for table in tables), **thresholds)
    plt.close(figure)
    assert "nan" not in caption
    return figure, caption


def laid_out(module, tables):
    """The same, with ticks and texts in place: these fail on axes that cannot be drawn."""
    figure, caption = drawn(module, tables)
    figure.set_layout_engine("none")  # takes most of the time
    figure.draw_without_rendering()
    return figure, caption


def check(module, tables, findings, folder, uncertainty="95 %", form=".svg"):
    """The findings stand in the caption, the figure fits a page, the file is small, and again the same bytes.

    SVG has every coordinate and text in it, so the other formats are compared for one figure only.
    """
    for name in ("first", "again"):
        figure, caption = drawn(module, tables)
        for text in (*findings, uncertainty):
            assert text in caption
        width, height = figure.get_size_inches()
        assert width <= style.WIDTH
        assert height <= 6.5
        style.save_figure(figure, caption, folder / name / "f.pdf", [form])
    for suffix in (form, ".txt"):
        first, again = ((folder / name / f"f{suffix}").read_bytes() for name in ("first", "again"))
        assert first == again
        assert 100 < len(first) < LARGEST
