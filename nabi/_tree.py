"""Nested lists, tuples and dictionaries, as layers take and return them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

__all__ = ["leaves", "mapped"]


def leaves(structure: Any) -> Iterator[Any]:
    """Yield the leaves of lists, tuples and dictionaries, in order.

    >>> list(leaves([1, {"a": 2, "b": (3, None)}]))
    [1, 2, 3, None]
    """
    if isinstance(structure, list | tuple):
        for one in structure:
            yield from leaves(one)
    elif isinstance(structure, Mapping):
        for one in structure.values():
            yield from leaves(one)
    else:
        yield structure


def mapped(function: Callable[[Any], Any], structure: Any) -> Any:
    """Return the same structure with a function applied to each leaf.

    >>> mapped(lambda number: -number, [1, {"a": 2}, (3, 4)])
    [-1, {'a': -2}, (-3, -4)]
    """
    if isinstance(structure, list):
        return [mapped(function, one) for one in structure]
    if isinstance(structure, tuple):
        return tuple(mapped(function, one) for one in structure)
    if isinstance(structure, Mapping):
        return {name: mapped(function, one) for name, one in structure.items()}
    return function(structure)
