"""The report as text; tests/browser opens it."""

import base64
import re

import pandas as pd
import pytest

from valleyscope.errors import InputError
from valleyscope.report.report import Figure, load_figure, render, verdict_counts

VERDICTS = ["reproduced", "partly", "not reproduced", "undecided", "not testable here"]


def claims():
    rows = [
        {
            "id": f"{letter}{i}",
            "source": "somewhere",
            "statement": f"<b>claim {letter}{i}</b>",
            "metric": "|γ|",
            "value": 0.1 * i if verdict != "not testable here" else float("nan"),
            "low": 0.05,
            "high": 0.5,
            "threshold": 0.2,
            "side": "above",
            "verdict": verdict,
            "control": "flat",
            "scale": "5 values",
            "figure": "decay",
            "tables": "slopes",
        }
        for letter in "ABC"
        for i, verdict in enumerate(VERDICTS)
    ]
    return pd.DataFrame(rows)


FIGURE = Figure("decay", "Paper A", "It falls. A second sentence.", "data:image/svg+xml;base64,PHN2Zy8+")
COSTS = pd.DataFrame([("fit", 2, 3.0, 2.0, 90.0)], columns=["rule", "jobs", "seconds", "longest", "memory"])


def page(**changes):
    parts = {
        "claims": claims(),
        "figures": [FIGURE],
        "costs": COSTS,
        "provenance": [("commit", "abc")],
        "settings": {"seeds": "5"},
    }
    return render(**(parts | changes))


def test_the_page_holds_claims_figures_costs_and_provenance():
    text = page()
    for part in ("15 claims: 3 reproduced", "0.1 [0.05, 0.5]", "&gt; 0.2", "no interval", "abc", "seeds"):
        assert part in text, part
    assert "&lt;b&gt;claim A0&lt;/b&gt;" in text  # text is never markup
    assert "<b>claim" not in text
    assert 'alt="decay: It falls."' in text
    assert '<li>It falls. (<a href="#figure-decay">decay</a>)</li>' in text


def test_every_link_leads_into_the_page_and_nothing_comes_from_outside():
    text = page()
    anchors = set(re.findall(r'id="([^"]+)"', text))
    links = re.findall(r'href="([^"]+)"', text)
    assert links
    for link in links:
        assert link == "data:," or link[1:] in anchors, link
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', text)


def test_every_claim_is_listed_under_its_paper_and_verdict():
    text = page()
    for row in claims().itertuples():
        assert f'href="#claim-{row.id}"' in text
        assert f'id="claim-{row.id}"' in text
    assert list(verdict_counts(claims())) == VERDICTS


def test_every_verdict_has_a_colour_of_its_own():
    styles = [
        re.search(rf"^\.{verdict.replace(' ', '-')} {{ (.*) }}$", page(), re.M)[1] for verdict in VERDICTS
    ]
    assert len(set(styles)) == len(VERDICTS)


def test_a_claim_without_its_figure_is_refused():
    lost = claims().assign(figure="elsewhere")
    with pytest.raises(InputError, match="point to the figure elsewhere"):
        page(claims=lost)


def test_a_figure_is_read_with_its_caption(tmp_path):
    svg = tmp_path / "decay.svg"
    svg.write_text("<svg/>")
    with pytest.raises(InputError, match=r"decay\.txt: missing"):
        load_figure(svg, "Paper A")
    svg.with_suffix(".txt").write_text("It falls with k. And more.\n")
    figure = load_figure(svg, "Paper A")
    assert figure.finding == "It falls with k."
    assert base64.b64decode(figure.source.split(",")[1]) == b"<svg/>"
