"""Axes of values: which shapes fit together, and the shape of a result.

Axes are aligned from the first: a value of shape `(heads,)` scales the heads of one of shape
`(heads, keys, values)`, one of shape `(heads, keys)` its rows. Missing axes count as 1, and an axis of 1 is
repeated.
"""

from collections.abc import Sequence
from math import prod

from nabi.ir._graph._axis_operations import REDUCED

__all__ = ["broadcast_shape", "expected_shape", "show_shape"]

Shape = tuple[int, ...]


def broadcast_shape(shapes: Sequence[Shape]) -> Shape | None:
    """Return the shape in which values of these shapes are combined, None if they do not fit.

    >>> broadcast_shape([(4,), (4, 1, 8), (4, 16)])
    (4, 16, 8)
    """
    rank = max(map(len, shapes))
    padded = [shape + (1,) * (rank - len(shape)) for shape in shapes]
    found = []
    for sizes in zip(*padded, strict=True):
        others = {size for size in sizes if size != 1}
        if len(others) > 1:
            return None
        found.append(max(sizes))
    return tuple(found)


def show_shape(shape: Shape) -> str:
    """Return axes as in messages: `4 × 16`; a scalar is `1`."""
    return " × ".join(map(str, shape)) if shape else "1"


def expected_shape(operation: str, details: Shape, given: Shape, shape: Shape) -> Shape | None:
    """Return the shape that an operation on axes has for an argument, None if there is none.

    Args:
        operation: its name.
        details: its details: an axis, or numbers of the last axis.
        given: the shape of the argument.
        shape: the shape of the node, which views and broadcasts state.
    """
    if operation == "view":
        return shape if prod(shape) == prod(given) and shape else None
    if operation == "expand":
        fits = len(shape) == len(given) and all(g in (1, s) for g, s in zip(given, shape, strict=True))
        return shape if fits else None
    if operation in ("axis_softmax", "axis_norm"):
        return given if 0 <= details[0] < len(given) else None
    if operation in REDUCED:
        axis = details[0]
        return given[:axis] + given[axis + 1 :] if len(given) > 1 and 0 <= axis < len(given) else None
    first, second = details
    if operation == "part":
        return (*given[:-1], second - first) if 0 <= first < second <= given[-1] else None
    return (*given[:-1], first + given[-1] + second) if min(details) >= 0 else None
