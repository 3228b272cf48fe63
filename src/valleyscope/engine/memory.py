"""Memory: what is free, what a call takes, and how not to hand it back to the system between products."""

import ctypes
from collections.abc import Callable
from contextlib import suppress

import psutil
import torch
from torch.profiler import ProfilerActivity, profile


def free_memory(device: torch.device) -> float:
    """Bytes free on the device, or on this machine."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + cached
    return psutil.virtual_memory().available


def keep_freed_memory() -> None:
    """Let this process keep the memory that torch's CPU allocator frees; does nothing without glibc.

    By default glibc returns large blocks to the system, which has to clear them again for the next tensor:
    a third of the time of a Hessian-vector product on the machine of the reference results. The numbers
    computed do not change.
    """
    trim_threshold, top_pad, mmap_max = -1, -2, -4  # <malloc.h>
    with suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(mmap_max, 0)
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(top_pad, 2**26)


def peak_allocated(call: Callable[[], object], device: torch.device) -> int:
    """Largest total of bytes that torch has allocated during a call, above what it held before."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        call()
    events = recorded.profiler.kineto_results.events()
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    held = peak = 0
    for _, change in changes:
        held += change
        peak = max(peak, held)
    return peak
