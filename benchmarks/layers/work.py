"""A prepared piece of work."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.layers.arrays import Arrays

__all__ = ["Work"]


@dataclass
class Work:
    """The timed function, and its results.

    Attributes:
        run: does the work once, blocking until it is done; results are new arrays each time.
        results: computes the results, in the layout of `arrays`.
        parts: number of equal parts in a run; times are per part.
        note: the chosen variant, for the reader.
    """

    run: Callable[[], Any]
    results: Callable[[], Arrays]
    parts: int = 1
    note: str = ""
