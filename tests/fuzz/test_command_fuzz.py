"""Any arguments of the command and of a stage: refused in one line with a non-zero exit, or its help."""

import contextlib
import io
import sys
from pathlib import Path

from hypothesis import assume, given
from hypothesis import strategies as st

from valleyscope.__main__ import main

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

import stage.point

WORDS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["probe", "path", "--", "-1", "0", "²", "1e-3", "nan", "1,2", "", "nothing.py:build", "/", ".."]
    ),
    st.sampled_from(["--k", "--dims", "--sigmas", "--samples", "--ends", "--positions", "--out", "--params"]),
    st.sampled_from(["--seed", "--threads", "--memory-budget", "--checkpoint", "--eigen", "--model"]),
)


def said(call, arguments: list[str]) -> tuple[object, str]:
    """The exit code and everything that a person would read of it."""
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        try:
            call(arguments)
        except SystemExit as stop:
            told = stop.code if isinstance(stop.code, str) else ""
            return stop.code, errors.getvalue() + told
    return 0, errors.getvalue()


def one_line_or_help(call, arguments: list[str]) -> None:
    assume(not any(word.startswith("--de") for word in arguments))  # --debug asks for the traceback
    code, words = said(call, arguments)
    if code == 0:
        assert {"-h", "--help", "--hel", "--he", "--h"} & set(arguments), arguments
    else:
        assert len(words.strip().splitlines()) == 1, words


@given(st.lists(WORDS, max_size=9))
def test_any_arguments_of_the_command_are_refused_in_one_line(arguments):
    one_line_or_help(main, arguments)


@given(st.sampled_from(["probe", "path"]), st.lists(WORDS, max_size=6))
def test_any_arguments_of_a_probe_or_path_are_refused_in_one_line(command, arguments):
    required = {"probe": ["--k", "4"], "path": ["--ends", "a.safetensors", "b.safetensors"]}[command]
    one_line_or_help(main, [command, "nothing.py:build", *required, "--out", "out", *arguments])


@given(st.lists(WORDS, max_size=9))
def test_any_arguments_of_a_stage_are_refused_in_one_line(arguments):
    one_line_or_help(stage.point.eigen_parser("A stage.").parse_args, arguments)
