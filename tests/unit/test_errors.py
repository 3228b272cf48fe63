"""Messages of one line."""

import pytest

from valleyscope.errors import InputError, one_line


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Δ₂ at σ = 1e-3", "Δ₂ at σ = 1e-3"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\x1b[31m", r"\x1b[31m"),
        ("\u2028", r"\u2028"),
    ],
)
def test_what_does_not_print_is_escaped(text, told):
    assert one_line(text) == told
    assert len(one_line(text).splitlines()) == 1


def test_bad_input_is_a_value_error():
    assert issubclass(InputError, ValueError)
