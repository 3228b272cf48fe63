"""What is free, what a call takes, and memory that is kept."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch

from valleyscope.engine.memory import free_memory, keep_freed_memory, peak_allocated

CPU = torch.device("cpu")
SRC = Path(__file__).parents[3] / "src"


def test_free_memory_is_the_machine_s():
    assert 0 < free_memory(CPU) <= psutil.virtual_memory().total


@pytest.mark.parametrize("apart", [True, False])
def test_the_peak_is_of_what_lives_at_once(apart):
    def call():
        first = torch.zeros(1000)
        if apart:
            del first
        return torch.zeros(3000)

    assert peak_allocated(call, CPU) == 4 * (3000 if apart else 4000)


def test_what_was_held_before_does_not_count():
    held = torch.zeros(5000)
    assert peak_allocated(lambda: held.clone(), CPU) == 4 * 5000


@pytest.mark.parametrize("kept", [True, False])
def test_memory_is_kept_after_it_is_freed(kept):
    """In a process of its own, since nothing takes the setting back."""
    script = f"""
import psutil, torch
from valleyscope.engine.memory import keep_freed_memory
if {kept}:
    keep_freed_memory()
before = psutil.Process().memory_info().rss
torch.ones(25_000_000)
print(psutil.Process().memory_info().rss - before)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=SRC)
    assert (int(done.stdout) > 9e7) == kept, done


def test_without_glibc_nothing_happens(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    keep_freed_memory()
