"""Configurations with something wrong in them: refused in one line, or right; never a traceback."""

import copy
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dag.configuration import check_config
from valleyscope.errors import InputError

SCHEMA = Path("configs/schema.yaml")
DEFAULT = yaml.safe_load(Path("configs/default.yaml").read_text())

NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.integers(),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, -0.0, 1e-300, 1e300, 2**63, 0.5]),
)
SCALARS = st.one_of(NUMBERS, st.booleans(), st.none(), st.text(max_size=6), st.dates(), st.binary(max_size=3))
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=4),
    st.lists(st.lists(NUMBERS, max_size=3), max_size=3),
    st.dictionaries(st.one_of(st.text(max_size=5), st.integers(), st.none()), SCALARS, max_size=3),
)


def places(section, path=()):
    """Every key of a configuration as a path, and every entry of its lists."""
    entries = section.items() if isinstance(section, dict) else enumerate(section)
    for key, value in entries:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


PLACES = list(places(DEFAULT))


@st.composite
def mutated(draw):
    """The default configuration with one to three changes: a value replaced, a key removed, one added."""
    config = copy.deepcopy(DEFAULT)
    for _ in range(draw(st.integers(1, 3))):
        *parents, last = draw(st.sampled_from(PLACES))
        section = config
        try:
            for key in parents:
                section = section[key]
            section[last]
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took it away
        change = draw(st.sampled_from(["replace", "replace", "replace", "remove", "add", "scale"]))
        if change == "remove":
            del section[last]
        elif change == "add" and isinstance(section, dict):
            section[draw(st.one_of(st.text(max_size=6), st.integers()))] = draw(VALUES)
        elif change == "scale" and isinstance(section[last], int | float):
            section[last] = section[last] * draw(st.sampled_from([-1, 0, 2, 3, 1000]))
        else:
            section[last] = draw(VALUES)
    return config


@settings(max_examples=max(400, settings().max_examples))
@given(mutated())
def test_a_mutated_configuration_is_right_or_refused_in_one_line(config):
    try:
        check_config(config, SCHEMA)
    except InputError as error:
        told = str(error)
        assert told.startswith("config: "), told
        assert len(told.splitlines()) == 1, told
    else:
        check_config(yaml.safe_load(yaml.safe_dump(config)), SCHEMA)  # what is right stays right in a file
