"""The catalogue and the modules that draw its figures say the same."""

import inspect
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from figure_check import LIMITS

from valleyscope.figures.catalogue import FIGURES, PAPERS, ROOMS, figures_of, module_of

TESTS = Path(__file__).parent
WITH_LIMITS = [(name, limit) for name, figure in FIGURES.items() for limit in figure.limits]


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_takes_its_tables_and_limits_and_nothing_else(name):
    parameters = inspect.signature(import_module(module_of(name)).draw).parameters.values()
    tables = [p for p in parameters if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    limits = [p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
    assert len(tables) == len(FIGURES[name].tables)
    assert sorted(limits) == sorted(FIGURES[name].limits)
    assert len(tables) + len(limits) == len(parameters)
    # A default would be a second place for a threshold.
    assert all(p.default is inspect.Parameter.empty for p in parameters)


@pytest.mark.parametrize("name", FIGURES)
def test_a_row_is_complete(name):
    figure = FIGURES[name]
    assert figure.section in PAPERS
    assert name in figures_of(figure.section)
    assert figure.title or figure.section == "benchmarks"
    for columns in figure.columns():
        assert columns
        assert len(set(columns)) == len(columns)


@pytest.mark.parametrize(("name", "limit"), WITH_LIMITS)
def test_a_limit_is_of_the_configuration_and_the_tests_of_its_figure_change_it(name, limit):
    """They have tables on which it matters (`figure_check.changes_with`)."""
    assert limit in LIMITS
    room = FIGURES[name].section if FIGURES[name].section in ROOMS else "."
    text = (TESTS / room / f"test_{name}.py").read_text(encoding="utf-8")
    assert re.search(rf'\b{limit}("|=)', text)


def test_to_read_the_catalogue_takes_no_figure_and_no_plotting_library():
    """It is read by the DAG, hundreds of times in a run."""
    loaded = "import sys, valleyscope.figures.catalogue; print(*sys.modules)"
    command = [sys.executable, "-c", loaded]
    names = subprocess.run(command, capture_output=True, text=True, check=True, cwd="src").stdout.split()
    assert "valleyscope.figures.catalogue" in names
    assert not {"matplotlib", "seaborn", "torch", "pandas"} & set(names)
    assert {name for name in names if name.startswith("valleyscope.figures.")} == {
        "valleyscope.figures.catalogue"
    }
