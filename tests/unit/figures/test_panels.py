"""Parts of panels that figures share: what is drawn is what the repeats hold."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import seaborn as sns

from valleyscope.figures import panels
from valleyscope.figures.style import new_figure
from valleyscope.readings.intervals import interval_of

TABLE = pd.DataFrame(
    {"x": [1, 1, 1, 2, 2, 4], "y": [1.0, 100.0, -3.0, np.nan, -1.0, 5.0]}
)  # at 2 nothing has a logarithm


@pytest.fixture
def axes():
    figure, axes = new_figure(2)
    yield axes
    plt.close(figure)


def test_what_a_logarithmic_axis_can_show():
    assert panels.positive(TABLE, "y")["y"].to_list() == [1, 100, 5]


@pytest.mark.parametrize("palette", ["viridis", "flare_r", "Greens_d"])
def test_colours_are_spread_as_seaborn_spreads_them(palette):
    assert panels.spread(5, palette) == list(sns.color_palette(palette, 5))
    values = pd.Series([3, 1, 3, 2])
    assert panels.shades(values, palette) == dict(zip([1, 2, 3], panels.spread(3, palette), strict=True))


def test_a_geometric_summary_leaves_out_what_has_no_logarithm():
    rows = panels.summary(TABLE, "x", "y", log=True)
    assert rows.index.to_list() == [1, 4]
    assert rows.loc[1, "mean"] == pytest.approx(10)
    assert np.isnan(rows.loc[4, "low"])
    plain = panels.summary(TABLE, "x", "y")
    assert plain.loc[1].to_list() == pytest.approx(interval_of([1, 100, -3]))
    assert plain.loc[2, "mean"] == -1


def test_a_band_is_the_interval_about_the_mean(axes):
    table = pd.DataFrame({"x": [2, 2, 1, 1], "y": [1.0, 4.0, 9.0, 1.0]})
    panels.band(axes, table, "x", "y", log=True, color="k")
    (line,) = axes.lines
    assert line.get_xdata().tolist() == [1, 2]
    assert line.get_ydata() == pytest.approx([3, 2])
    (area,) = axes.collections
    ends = area.get_paths()[0].vertices[:, 1]
    assert ends.min() == pytest.approx(min(interval_of([1, 4], True)[1], interval_of([9, 1], True)[1]))
    assert ends.max() == pytest.approx(max(interval_of([1, 4], True)[2], interval_of([9, 1], True)[2]))
    panels.band(axes, table.assign(y=-1.0), "x", "y", log=True)
    assert len(axes.lines) == 1


def test_points_stand_side_by_side(axes):
    panels.points(axes, TABLE, "x", "y", log=True, shift=lambda x: x + 0.5, label="a")
    (container,) = axes.containers
    assert container.lines[0].get_xydata().tolist() == [[1.5, pytest.approx(10)], [4.5, pytest.approx(5)]]
    panels.points(axes, TABLE.assign(y=-1.0), "x", "y", log=True)
    assert len(axes.containers) == 1


def test_thinning_keeps_the_ends():
    table = pd.DataFrame({"x": np.repeat(range(101), 2)})
    kept = panels.thinned(table, "x", 5)["x"].to_list()
    assert kept == [0, 0, 25, 25, 50, 50, 75, 75, 100, 100]
    assert len(panels.thinned(table, "x", 500)) == 202


def drawn(spread):
    figure, axes = new_figure(2, columns=2)
    for panel, mean in zip(axes, (1.0, 10.0), strict=True):
        panel.set_yscale("log")
        table = pd.DataFrame({"x": 1, "y": [mean * spread, mean, mean / spread]})
        panels.points(panel, table, "x", "y", log=True)
    plt.close(figure)
    return axes


@pytest.mark.parametrize(("spread", "trimmed"), [(10, True), (1.1, False)])
def test_intervals_beyond_the_factor_are_cut_for_all_panels_alike(spread, trimmed):
    axes = list(drawn(spread))
    assert panels.cut(axes) is trimmed
    assert axes[0].get_ylim() == axes[1].get_ylim()
    if trimmed:
        assert axes[0].get_ylim() == pytest.approx((1 / panels.BEYOND, 10 * panels.BEYOND))
    assert f"a factor of {panels.BEYOND} " in panels.CUT


def test_nothing_drawn_is_not_cut(axes):
    axes.set_yscale("log")
    assert panels.cut([axes]) is False


def test_few_ticks_of_a_grid(axes):
    panels.grid_axis(axes, pd.Series(np.arange(1, 17)), "k", most=4)
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "5", "9", "13"]
    assert axes.get_xscale() == "log"


@pytest.mark.parametrize(
    ("ends", "ticks"), [((1, 15), ["1", "2", "5", "10"]), ((1, 150), ["1", "3", "10", "30", "100"])]
)
def test_plain_digits_on_short_axes(axes, ends, ticks):
    axes.set(yscale="log", ylim=ends)
    panels.plain_ticks(axes.yaxis)
    axes.figure.draw_without_rendering()
    shown = [
        tick.label1.get_text()
        for tick in axes.yaxis.get_major_ticks()
        if ends[0] <= tick.get_loc() <= ends[1]
    ]
    assert shown == ticks
    axes.set_ylim(1, 1e4)
    before = axes.yaxis.get_major_locator()
    panels.plain_ticks(axes.yaxis)
    assert axes.yaxis.get_major_locator() is before


def test_headroom_is_a_share_of_the_axis(axes):
    axes.set_ylim(1, 3)
    panels.headroom(axes, 0.5)
    assert axes.get_ylim() == (1, 4)


def test_legends_colours_and_widths(axes):
    panels.legend_above(axes.figure, {"a": {"color": "k"}, "b": {"ls": ":"}}, columns=1)
    (legend,) = axes.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]
    colours = panels.shades(pd.Series([3, 1, 3, 2]))
    assert list(colours) == [1, 2, 3]
    assert len(set(colours.values())) == 3
    assert panels.widths({"a": 0, "b": 0, "c": 0}) == {"a": 4, "b": 2.5, "c": 1}
