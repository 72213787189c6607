"""The peak memory of this process."""

import sys

__all__ = ["fill_memory", "peak_memory"]


def peak_memory() -> int:
    """Return the peak memory of this process so far, in bytes."""
    import resource

    # macOS counts bytes, Linux kilobytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def fill_memory() -> list[bytes]:
    """Fill memory up to the peak left by importing, so that every further byte raises the peak."""
    pieces, peak = [b""], peak_memory()
    while peak_memory() <= peak and len(pieces) < 4096:
        pieces.append(bytes([1]) * 2**18)
    return pieces
