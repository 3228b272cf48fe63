"""One HTML page of a probed model or a traced path, which needs nothing beside it."""

import base64
from pathlib import Path

import jinja2
import pandas as pd

from valleyscope.artifacts import write_atomically
from valleyscope.figures.style import Picture, save_figure

TEMPLATES = Path(__file__).parent / "templates"


def write_page(
    folder: Path, title: str, picture: Picture, summary: dict, tables: dict[str, pd.DataFrame]
) -> None:
    """Write figure.pdf, .svg, .png, .txt, .csv and index.html into `folder`."""
    stem = folder / "figure"
    save_figure(picture, stem.with_suffix(".pdf"))
    encoded = base64.b64encode(stem.with_suffix(".svg").read_bytes()).decode()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    page = environment.get_template("page.html.j2").render(
        title=title,
        source=f"data:image/svg+xml;base64,{encoded}",
        caption=picture.caption,
        summary={name: _short(value) for name, value in (summary | picture.numbers).items()},
        tables={
            name: {
                "columns": list(table.columns),
                "rows": [list(map(_short, row)) for row in table.to_numpy()],
            }
            for name, table in tables.items()
            if len(table)
        },
    )
    with write_atomically(folder / "index.html") as temporary:
        temporary.write_text(page, encoding="utf-8")


def _short(value) -> str:
    """A number with four digits, a list or dict of them, or text."""
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_short(each)}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(_short, value))
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.4g}"
    return "none" if value is None else str(value)
