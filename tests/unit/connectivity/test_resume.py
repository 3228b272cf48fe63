"""An interrupted search goes on from its file to the same result; the file is whole or absent."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from valleyscope.connectivity.finders import FINDERS, CurveSettings, Descent, NebSettings, Search
from valleyscope.connectivity.resume import SearchFile
from valleyscope.errors import InputError

DESCENT = Descent(0.9, 0.0, [5, 4, 3], [2, 2, 0], [0.05, 0.05, 0.02])
SETTINGS = {
    "bezier": CurveSettings(degree=2, samples=3, pivots=5),
    "polygon": CurveSettings(degree=3, samples=3, pivots=5),
    "autoneb": NebSettings(pivots=2, spring=0.1, insert_above=1.0, most_pivots=4, refine=2),
}


def losses(model, batch):
    x, y = batch
    return nn.functional.cross_entropy(model(x), y, reduction="none")


@pytest.fixture
def problem(rng):
    x = torch.randn(6, 3, generator=rng, dtype=torch.float64)
    data = (x, torch.randint(2, (6,), generator=rng))
    return nn.Linear(3, 2).double(), losses, data, torch.randn(2, 8, generator=rng, dtype=torch.float64)


class Stopped(Exception):
    pass


@pytest.mark.parametrize("kind", SETTINGS)
@pytest.mark.parametrize("cycle", [1, 2, 3])
def test_a_search_that_was_stopped_ends_where_it_would_have(problem, tmp_path, kind, cycle):
    find, common = FINDERS[kind].find, (*problem, DESCENT, SETTINGS[kind])
    whole = []
    truth = find(*common, seed=3, on_cycle=whole.append)
    state = SearchFile(tmp_path / "search.safetensors", "key")

    def stop(search):
        state.write(search)
        if search.cycle == cycle:
            raise Stopped

    with pytest.raises(Stopped):
        find(*common, seed=3, on_cycle=stop)
    before = state.read()
    assert (before.cycle, before.history) == (cycle, whole[cycle - 1].history)
    seen = []
    found = find(*common, seed=3, resume=before, on_cycle=state.write, on_step=lambda n, loss: seen.append(n))
    assert torch.equal(found.pivots, truth.pivots)
    assert len(seen) == sum(DESCENT.steps[cycle:])
    assert state.read().history == whole[-1].history


@pytest.fixture
def kept(tmp_path):
    search = Search(2, torch.arange(6.0).view(3, 2), [0.1 + 0.2, 1e-300])
    state = SearchFile(tmp_path / "deep/search.safetensors", "key")
    state.write(search)
    return state, search


def test_every_digit_comes_back(kept):
    state, search = kept
    found = state.read()
    assert (found.cycle, found.history) == (search.cycle, search.history)
    assert torch.equal(found.points, search.points)


def test_the_state_of_other_settings_is_not_taken_up(kept):
    assert replace(kept[0], key="other").read() is None


def test_the_state_is_one_file_that_goes_at_the_end(kept):
    state, _ = kept
    assert list(state.path.parent.iterdir()) == [state.path]
    state.remove()
    assert state.read() is None
    state.remove()


def test_a_write_that_fails_leaves_the_state_before(kept, monkeypatch):
    state, search = kept

    def full(path, content):
        with path.open("wb") as file:
            file.write(content[:10])
        raise OSError("No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.write_bytes", full)
        with pytest.raises(OSError, match="No space"):
            state.write(Search(3, search.points + 1, [0.0]))
    assert torch.equal(state.read().points, search.points)
    assert list(state.path.parent.iterdir()) == [state.path]


def test_a_damaged_state_is_named(kept):
    state, _ = kept
    state.path.write_bytes(state.path.read_bytes()[:-3])
    with pytest.raises(InputError, match=r"search\.safetensors: damaged .* delete it and rerun"):
        state.read()
