"""How much of the processors other programs use."""

import os
import time
from pathlib import Path

__all__ = ["seconds_of_others"]

_STATISTICS = Path("/proc/stat")


def seconds_of_others() -> float | None:
    """Return the processor time that was not this process's, on all processors that it may use, in seconds.

    Only differences mean anything: what others used between two calls, time included in which a hypervisor
    gave a processor away. The system counts in hundredths of a second for each processor. None where it does
    not say.
    """
    if not hasattr(os, "sched_getaffinity"):
        return None
    allowed = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    try:
        lines = _STATISTICS.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return None
    # user, nice, system, idle, waiting for a disk, ...: see proc_stat(5)
    fields = [found for line in lines if (found := line.split()) and found[0] in allowed]
    if len(fields) < len(allowed):
        return None
    idle = sum(int(one[4]) + int(one[5]) for one in fields) / os.sysconf("SC_CLK_TCK")
    return len(allowed) * time.monotonic() - idle - time.process_time()
