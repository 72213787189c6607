"""Damaged files, and the memory that reading them takes."""

import contextlib
import random
from pathlib import Path

__all__ = ["damaged", "forget_peak", "peak"]


def damaged(content: bytes, chance: random.Random) -> bytes:
    """The bytes with a few changed, cut off, inserted or taken out."""
    altered = bytearray(content)
    kind = chance.randrange(5)
    if kind == 0:
        return content[: chance.randrange(len(content))]
    place = chance.randrange(len(altered))
    if kind == 1:
        del altered[place : place + chance.randrange(1, 9)]
    elif kind == 2:
        altered[place:place] = chance.randbytes(chance.randrange(1, 9))
    elif kind == 3:
        altered[place : place + 8] = chance.choice((bytes(8), b"\xff" * 8, b"\xff" * 7 + b"\x7f"))
    else:
        for _ in range(chance.choice((1, 1, 4))):
            altered[chance.randrange(len(altered))] ^= 1 << chance.randrange(8)
    return bytes(altered)


def peak() -> int:
    """The most memory in use since `forget_peak`, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


def forget_peak() -> None:
    """Count the most memory from here on."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
