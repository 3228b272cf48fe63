"""The figure of a path of anyone's model, from synthetic tables whose rise is known."""

import numpy as np
import pandas as pd
from figure_check import check, drawn, laid_out

from valleyscope.figures import trace
from valleyscope.tracing import PathResult


def trace_tables(rise=3.0, top=1.5, outward=2):
    """Tr H `rise` times higher in the middle; SGD moves outward at `outward` of 4 positions, inward at 1."""
    losses = pd.DataFrame({"position": np.linspace(0, 1, 11)})
    losses["train_loss"] = np.where(losses["position"] == 0.5, 2 * top, np.linspace(1, 2, 11))
    losses["held_out_loss"] = losses["train_loss"] + 0.5
    curvature = pd.DataFrame({"position": [0.0, 0.25, 0.5, 0.75, 1.0]})
    curvature["trace"] = [80.0, 100.0, 100 * rise, 100.0, 120.0]
    curvature["trace_se"] = 5.0
    drift = pd.DataFrame({"position": [0.2, 0.4, 0.6, 0.8], "displacement_se": 1e-3})
    side = np.sign(drift["position"] - 0.5)
    drift["entropic"] = 1e-3 * side * np.array([3.0, 3.0, -1.9, -3.0])
    if outward == 3:
        drift.loc[2, "entropic"] *= -2
    return [losses, curvature, drift]


def read(tables):
    """Barrier and rise, as the command hands them over."""
    result = PathResult(None, *tables, None)
    return {"barrier": result.barrier, "rise": result.rise}


def test_a_path_finds_it_in_the_caption_and_gives_the_same_bytes(tmp_path):
    findings = [
        "Tr H in the middle of the path is 3 times its mean at the ends",
        "the highest loss is 1.5 times the higher end's",
        "moves SGD outward at 2 and inward at 1 of 4 positions",
    ]
    tables = trace_tables()
    check(trace, tables, findings, tmp_path, uncertainty="1.96 standard errors", **read(tables))


def test_another_path_makes_another_caption():
    tables = trace_tables(rise=0.5, top=1.25, outward=3)
    caption = laid_out(trace, tables, **read(tables)).caption
    assert "Tr H in the middle of the path is 0.5 times" in caption
    assert "highest loss is 1.25 times" in caption
    assert "outward at 3 and inward at 1 of 4 positions" in caption


def test_what_was_not_measured_on_a_path_is_left_out():
    losses, curvature, _ = trace_tables()
    curvature["trace"] *= -1
    tables = [losses.drop(columns="held_out_loss"), curvature, pd.DataFrame()]
    picture = laid_out(trace, tables, **read(tables))
    figure, caption = picture.figure, picture.caption
    assert "Tr H is not above 0 at the ends" in caption
    assert "SGD" not in caption
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Loss", "Curvature"]
    assert figure.axes[0].get_legend() is None
    assert len(figure.axes[0].lines) == 1


def test_the_panels_of_a_path_have_their_data():
    tables = trace_tables()
    figure = drawn(trace, tables, **read(tables)).figure
    loss, bend, moved = figure.axes
    assert [list(line.get_ydata()) for line in loss.lines] == [
        list(tables[0]["train_loss"]),
        list(tables[0]["held_out_loss"]),
    ]
    for axes, table, value, error in (
        (bend, tables[1], "trace", "trace_se"),
        (moved, tables[2], "entropic", "displacement_se"),
    ):
        (data,) = [line.get_xydata() for line in axes.lines if line.get_marker() == "o"]
        np.testing.assert_array_equal(data, table[["position", value]])
        (bars,) = axes.collections
        ends = np.array([segment[:, 1] for segment in bars.get_segments()])
        np.testing.assert_allclose(np.ptp(ends, axis=1), 2 * 1.96 * table[error])
