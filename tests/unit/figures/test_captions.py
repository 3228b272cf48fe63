"""Words that captions share."""

import numpy as np
import pandas as pd
import pytest

from valleyscope.figures.captions import REPEATS, listed, repeats, worded


@pytest.mark.parametrize(
    ("values", "options", "word"),
    [
        ([1.0, 1.1, 0.9], {}, "above"),
        ([-1.0, -1.1, -0.9], {}, "below"),
        ([1.0, -1.0, 0.5], {}, "neither"),
        ([1.0, 1.1, 0.9], {"reference": 2.0}, "below"),
        ([2.0, 2.1, 1.9], {"reference": 1.0, "log": True}, "above"),
        ([0.5, 2.0, 1.0], {"reference": 1.0, "log": True}, "neither"),
        ([2.0, 2.1, -50.0], {"reference": 1.0, "log": True}, "above"),
        ([1.0], {}, "neither"),
        ([1.0, 1.1, np.nan], {}, "above"),
    ],
)
def test_words_follow_the_interval(values, options, word):
    assert worded(values, "above", "below", "neither", **options) == word


def test_lists_in_words():
    assert listed([0.1, 2.0, 1e-4]) == "0.1, 2, 0.0001"
    assert listed([]) == "none"
    assert listed(iter([]), "no step") == "no step"


def test_the_last_sentence_counts_what_repeats():
    table = pd.DataFrame({"pair": ["0-1", "0-1", "2-3"], "seed": [0, 1, 2], "parent": 10})
    assert repeats(table, "pair") == f"Geometric means and 95 % t-intervals over 2 {REPEATS['pair']}."
    assert repeats(table, "seed", "Means") == f"Means and 95 % t-intervals over 3 {REPEATS['seed']}."
    assert repeats(table, "parent", scale="one size") == (
        f"Geometric means and 95 % t-intervals over 1 {REPEATS['parent']}; one size."
    )
