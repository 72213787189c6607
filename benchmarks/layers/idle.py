"""Waiting until other processes have left the processors."""

import time
from collections.abc import Collection
from pathlib import Path

__all__ = ["wait_until_idle"]

PAUSE = 0.03
"""Seconds between two looks, and all that is waited where the system does not tell what threads use. Linux
counts the time of a running thread once a tick of its clock, up to 10 ms."""

LITTLE = 1_000_000
"""Nanoseconds that all threads together may use in a pause: some look around now and then."""

LONGEST = 1.0
"""Seconds after which a process that still computes is no longer waited for."""


def wait_until_idle(processes: Collection[int]) -> None:
    """Wait until the threads of these processes have used hardly any processor time in a pause.

    Threads that have done their work spin for a while, in case there is more, before they sleep: those of
    OpenMP for some milliseconds, those of ONNX Runtime for 50.
    """
    end = time.monotonic() + LONGEST
    before = _used(processes)
    while True:
        time.sleep(PAUSE)
        now = _used(processes)
        if now - before < LITTLE or time.monotonic() > end:
            return
        before = now


def _used(processes: Collection[int]) -> int:
    """Return the nanoseconds that all threads have computed; 0 where the system does not tell."""
    used = 0
    for process in processes:
        for path in Path(f"/proc/{process}/task").glob("*/schedstat"):
            try:
                used += int(path.read_text(encoding="ascii").split()[0])
            except (OSError, IndexError, ValueError):
                continue  # it has ended meanwhile
    return used
