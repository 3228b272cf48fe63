"""Wall-clock time of a call: in process, warmed up, repeated, synchronised on a GPU."""

import time
from collections.abc import Callable

import torch


def seconds(call: Callable[[], object], repeats: int, device: str = "cpu") -> list[float]:
    """Seconds of each of `repeats` calls, after one that is not counted."""

    def finish() -> float:
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    call()
    times = []
    for _ in range(repeats):
        start = finish()
        call()
        times.append(finish() - start)
    return times
