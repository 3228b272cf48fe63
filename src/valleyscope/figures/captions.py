"""Words that captions share. A caption has the finding first and the repeats last, in 90 words at most."""

from collections.abc import Iterable

import pandas as pd

from valleyscope.readings.intervals import side

MOST_WORDS = 90
REPEATS = {
    "seed": "seeds of weights and data order",
    "pair": "independent pairs of minima",
    "parent": "parent runs",
}


def worded(values, above: str, below: str, neither: str, reference: float = 0.0, log: bool = False) -> str:
    """The words for where the interval of repeats lies: `above` the reference, `below` it, or `neither`."""
    return {1: above, -1: below, 0: neither}[side(values, reference, log)]


def listed(values: Iterable[float], nothing: str = "none") -> str:
    """ "0.1, 0.2"."""
    return ", ".join(f"{value:g}" for value in values) or nothing


def repeats(table: pd.DataFrame, by: str = "seed", means: str = "Geometric means", scale: str = "") -> str:
    """The last sentence: what means and brackets are, over how many repeats, and at which scale."""
    at = f"; {scale}" if scale else ""
    return f"{means} and 95 % t-intervals over {table[by].nunique()} {REPEATS[by]}{at}."
