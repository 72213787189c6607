"""Binary messages of a WebSocket: steps and outputs as float32, little-endian, without any text."""

import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nabi.serving._arrays import finite
from nabi.serving._refused import RefusedError

__all__ = ["read_many", "read_one", "write_many", "write_one"]

Numbers = npt.NDArray[np.float32]

_HEAD = struct.Struct("<II")  # how many sessions, how many steps of each


def read_one(data: bytes, width: int) -> Numbers:
    """Return the steps of one session `[1, steps, width]`: nothing but numbers.

    Raises:
        RefusedError: for bytes that are no whole steps, and for numbers that are not finite.
    """
    if not data or len(data) % (4 * width):
        raise RefusedError(400, f"message: expected steps of {4 * width} bytes, got {len(data)} bytes")
    return finite("steps", np.frombuffer(data, "<f4").reshape(1, -1, width))


def write_one(outputs: Numbers) -> bytes:
    """Return outputs `[1, steps, width]` as bytes."""
    return outputs.astype("<f4", copy=False).tobytes()


def read_many(data: bytes, width: int) -> tuple[list[int], Numbers]:
    """Return the numbers of sessions, and their steps `[sessions, steps, width]`.

    A message is the number of sessions and of steps, the number of each session (uint32), and the steps of
    one session after the other (float32).

    Raises:
        RefusedError: for another length, and for numbers that are not finite.
    """
    if len(data) < _HEAD.size:
        raise RefusedError(400, f"message: expected at least {_HEAD.size} bytes, got {len(data)}")
    count, steps = _HEAD.unpack_from(data)
    expected = _HEAD.size + 4 * count * (1 + steps * width)
    if len(data) != expected or not count or not steps:
        raise RefusedError(
            400,
            f"message: expected {expected} bytes for {count} sessions with {steps} steps of {width} numbers, "
            f"got {len(data)}",
        )
    numbers = np.frombuffer(data, "<u4", count, _HEAD.size).tolist()
    found = np.frombuffer(data, "<f4", offset=_HEAD.size + 4 * count)
    return numbers, finite("steps", found.reshape(count, steps, width))


def write_many(sessions: Sequence[int], outputs: Numbers) -> bytes:
    """Return numbers of sessions and their outputs as bytes, in the form that `read_many` reads."""
    head = _HEAD.pack(len(sessions), outputs.shape[1])
    return b"".join(
        (head, np.asarray(sessions, "<u4").tobytes(), outputs.astype("<f4", copy=False).tobytes())
    )
