"""Processes that have done nothing before, and what Linux says of the memory of one."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path


def fresh() -> ProcessPoolExecutor:
    """Return what runs each task in a process that has done nothing before: peaks stay apart."""
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1)


def resident_gb(which: str) -> float:
    """Return what Linux says is (VmRSS) or at most was (VmHWM) resident of this process.

    Not `ru_maxrss`: a child begins with its parent's.
    """
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    [line] = [line for line in lines if line.startswith(which)]
    return int(line.split()[1]) * 1024 / 1e9
