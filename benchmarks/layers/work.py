"""A piece of work that a worker has ready."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.layers.arrays import Arrays

__all__ = ["Work"]


@dataclass
class Work:
    """What is timed, and what it computes.

    Attributes:
        run: does the work once and returns when it is done; results are new arrays each time.
        results: what it computes, in the layout of `arrays`.
        parts: how many equal parts a run has; the time of one is what counts.
        note: what was chosen in making it, for the reader.
    """

    run: Callable[[], Any]
    results: Callable[[], Arrays]
    parts: int = 1
    note: str = ""
