"""The report: one HTML page that holds everything it shows, made from finished tables and figures."""

import base64
from dataclasses import dataclass
from pathlib import Path

import jinja2
import pandas as pd

from valleyscope.artifacts import read_json, sidecar
from valleyscope.errors import InputError

TEMPLATES = Path(__file__).parent / "templates"
PAPERS = {"A": "Paper A", "B": "Paper B", "C": "Both papers"}
HEADLINES = (  # figures whose findings open the page
    "decay",
    "ratio",
    "cost",
    "architectures",
    "valley",
    "path_profile",
    "projected_sgd",
    "path_drift",
    "branching",
    "path_criteria",
)
SIDES = {"below": "≤ {:g}", "above": "> {:g}", "within": "± {:g}"}  # of the threshold, if the claim holds


@dataclass(frozen=True)
class Figure:
    """A drawn figure: its name, section, caption and SVG as a data URI."""

    name: str
    section: str
    caption: str
    source: str

    @property
    def finding(self) -> str:
        """The caption's first sentence: what a reader who cannot see the figure needs."""
        return self.caption.split(". ")[0].rstrip(".") + "."


def load_figure(svg: Path, section: str) -> Figure:
    """A figure from STEM.svg and its caption STEM.txt."""
    caption = svg.with_suffix(".txt")
    for path in (svg, caption):
        if not path.is_file():
            raise InputError(f"{path}: missing; draw the figure first")
    encoded = base64.b64encode(svg.read_bytes()).decode()
    text = caption.read_text(encoding="utf-8").strip()
    return Figure(svg.stem, section, text, f"data:image/svg+xml;base64,{encoded}")


def claimed(row) -> str:
    """The side of the threshold on which the claim holds: "≤ 1.2"."""
    return "no cell" if pd.isna(row.threshold) else SIDES[row.side].format(row.threshold)


def measured(row) -> str:
    """ "value [low, high]" of a row of claims.csv."""
    if pd.isna(row.value):
        return "no interval"
    return f"{row.value:.3g} [{row.low:.3g}, {row.high:.3g}]"


def verdict_counts(claims: pd.DataFrame) -> dict[str, int]:
    """How many claims got each verdict, most frequent first."""
    return claims["verdict"].value_counts().to_dict()


def provenance_of(tables: list[Path]) -> list[tuple[str, str]]:
    """What the tables share: commits, machine, versions, as (name, value)."""
    metas = [read_json(sidecar(path)) for path in tables]
    commits = sorted({meta["commit"] for meta in metas})
    versions = metas[0]["versions"]
    return [
        ("commit" if len(commits) == 1 else "commits", ", ".join(commits)),
        ("machine", ", ".join(sorted({meta["machine"] for meta in metas}))),
        ("device", ", ".join(sorted({meta["device"] for meta in metas}))),
        ("Python", ", ".join(sorted({meta["python"] for meta in metas}))),
        ("packages", ", ".join(f"{name} {number}" for name, number in sorted(versions.items()))),
        ("tables", str(len(tables))),
    ]


def render(
    claims: pd.DataFrame,
    figures: list[Figure],
    costs: pd.DataFrame,
    provenance: list[tuple[str, str]],
    settings: dict[str, str],
) -> str:
    """The page. `costs`: rule, jobs, seconds, longest, memory; `settings`: lines of the methods, by name."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"claimed": claimed, "measured": measured}
    environment.tests["starting"] = str.startswith
    drawn = {figure.name for figure in figures}
    unknown = sorted(set(claims["figure"]) - drawn)
    if unknown:
        raise InputError(f"report: claims point to the figure {unknown[0]}, which is not among the figures")
    return environment.get_template("report.html.j2").render(
        claims=list(claims.itertuples()),
        counts=verdict_counts(claims),
        headlines=[figure for name in HEADLINES for figure in figures if figure.name == name],
        untested=list(claims[claims["verdict"] == "not testable here"].itertuples()),
        papers=PAPERS,
        sections=list(dict.fromkeys(figure.section for figure in figures)),
        figures=figures,
        costs=list(costs.sort_values("seconds", ascending=False).itertuples()),
        provenance=provenance,
        settings=settings,
    )
