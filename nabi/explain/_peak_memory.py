"""The peak memory of this process."""

import sys
from pathlib import Path

__all__ = ["fill_memory", "peak_memory"]

_STATUS = Path("/proc/self/status")


def peak_memory() -> int:
    """Return the peak memory of this process so far, in bytes."""
    # Linux hands `ru_maxrss` on to a new program: a process that a large one starts begins with the peak of
    # the large one, and nothing smaller raises it. `VmHWM` counts this program alone.
    if _STATUS.exists():
        for line in _STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    # macOS counts bytes, others kilobytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def fill_memory() -> list[bytes]:
    """Fill memory up to the peak left by importing, so that every further byte raises the peak."""
    pieces, peak = [b""], peak_memory()
    while peak_memory() <= peak and len(pieces) < 4096:
        pieces.append(bytes([1]) * 2**18)
    return pieces
