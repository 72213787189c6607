"""Where arrays lie behind one another in one piece of memory."""

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["ALIGNMENT", "Layout", "lay_out"]

ALIGNMENT = 64
"""Bytes of a line of the cache; arrays begin with one."""


class Layout(NamedTuple):
    """Arrays behind one another.

    Attributes:
        places: the offset of each array in bytes.
        sizes: the bytes of each.
        size: the bytes of all, with what lies between them.
    """

    places: Mapping[str, int]
    sizes: Mapping[str, int]
    size: int


def lay_out(counts: Mapping[str, int], item_size: int) -> Layout:
    """Place arrays behind one another, each on a cache line of its own.

    Args:
        counts: elements of each array.
        item_size: bytes of an element.
    """
    places: dict[str, int] = {}
    at = 0
    for name, count in counts.items():
        places[name] = at
        # Arrays whose sizes are powers of two would else compete for the same lines of the cache.
        at += -(-count * item_size // ALIGNMENT) * ALIGNMENT + ALIGNMENT
    return Layout(places, {name: count * item_size for name, count in counts.items()}, at)
