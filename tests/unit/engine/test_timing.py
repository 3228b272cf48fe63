"""Timed calls by a clock that is set by hand."""

import pytest

from valleyscope.engine import timing


@pytest.fixture
def clock(monkeypatch):
    """A clock of which each call takes as many seconds as its number."""
    now = {"time": 0.0, "calls": 0}

    def call():
        now["calls"] += 1
        now["time"] += now["calls"]

    monkeypatch.setattr(timing.time, "perf_counter", lambda: now["time"])
    return now, call


def test_the_first_call_is_not_counted(clock):
    now, call = clock
    assert timing.seconds(call, 3) == [2, 3, 4]
    assert now["calls"] == 4


def test_a_gpu_is_waited_for_before_and_after_each_call(clock, monkeypatch):
    now, call = clock
    waited = []
    monkeypatch.setattr(timing.torch.cuda, "synchronize", lambda: waited.append(now["calls"]))
    timing.seconds(call, 2, "cuda")
    assert waited == [1, 2, 2, 3]
