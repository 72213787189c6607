"""Where arrays lie behind one another in one piece of memory."""

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["ALIGNMENT", "Layout", "lay_out"]

ALIGNMENT = 64
"""Bytes of a cache line; arrays start at one."""


class Layout(NamedTuple):
    """Arrays behind one another.

    Attributes:
        places: the offset of each array in bytes.
        sizes: the bytes of each array.
        size: the bytes of all arrays, including gaps.
    """

    places: Mapping[str, int]
    sizes: Mapping[str, int]
    size: int


def lay_out(counts: Mapping[str, int], item_size: int) -> Layout:
    """Place arrays one after the other, each on its own cache line.

    Args:
        counts: elements of each array.
        item_size: bytes of an element.
    """
    places: dict[str, int] = {}
    at = 0
    for name, count in counts.items():
        places[name] = at
        # Otherwise arrays whose sizes are powers of two would compete for the same cache lines.
        at += -(-count * item_size // ALIGNMENT) * ALIGNMENT + ALIGNMENT
    return Layout(places, {name: count * item_size for name, count in counts.items()}, at)
