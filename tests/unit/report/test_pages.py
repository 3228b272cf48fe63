"""The page of a probed model or a traced path."""

import pandas as pd

from valleyscope.figures.style import Picture, new_figure
from valleyscope.report.pages import write_page


def page(folder, tables):
    figure, axes = new_figure(2)
    axes.plot([0, 1], [0, 1])
    picture = Picture(figure, "A finding & its <number>.", {"a number beside": "0.01"})
    summary = {"barrier": 1.23456789, "rise": None, "shares": {"1": 0.5}, "sizes": [1, 2.5]}
    write_page(folder, "Path of mine.py", picture, summary, tables)
    return (folder / "index.html").read_text()


def test_a_page_holds_picture_caption_numbers_and_tables_and_needs_nothing_beside_it(tmp_path):
    html = page(
        tmp_path, {"Curvature": pd.DataFrame({"position": [0.0, 0.5], "trace": [12.34567, float("nan")]})}
    )
    assert "<title>Path of mine.py</title>" in html
    assert html.count("A finding &amp; its &lt;number&gt;.") == 2  # below the figure, and instead of it
    for name, value in (
        ("barrier", "1.235"),
        ("rise", "none"),
        ("shares", "1: 0.5"),
        ("sizes", "1, 2.5"),
        ("a number beside", "0.01"),
    ):
        assert f'<tr><th scope="row">{name}</th><td>{value}</td></tr>' in html
    assert "<tr><td>0</td><td>12.35</td></tr>" in html
    assert "<tr><td>0.5</td><td></td></tr>" in html
    assert "data:image/svg+xml;base64," in html
    assert {path.suffix for path in tmp_path.iterdir()} == {".pdf", ".svg", ".png", ".txt", ".csv", ".html"}


def test_an_empty_table_has_no_heading(tmp_path):
    html = page(tmp_path, {"Curvature": pd.DataFrame({"trace": [1.0]}), "Drift": pd.DataFrame()})
    assert "<h2>Curvature</h2>" in html
    assert "Drift" not in html
