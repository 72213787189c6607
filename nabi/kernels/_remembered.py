"""What is made for sequences of a length, and kept for the next ones within bounds of memory."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Generic, TypeVar

__all__ = ["Remembered", "remembered"]

_R = TypeVar("_R")

_SHORT, _LONG = 1 << 12, 1 << 17
"""Steps: up to the first, many lengths are kept; up to the second, few; of longer ones, nothing."""

_MANY, _FEW = 256, 8


class Remembered(Generic[_R]):
    """A function whose results are kept, and take some 60 bytes for each step.

    Without a bound on the steps, those of 256 long sequences of different lengths would take gigabytes.

    Args:
        make: the function; its arguments are given by position, and can be keys.
        at: the position of the number of steps.
    """

    def __init__(self, make: Callable[..., _R], at: int) -> None:
        self._make, self._at = make, at
        self._short, self._long = lru_cache(_MANY)(make), lru_cache(_FEW)(make)

    def __call__(self, *arguments: Any) -> _R:
        """Return the function's result."""
        steps = arguments[self._at]
        if steps <= _SHORT:
            return self._short(*arguments)
        return self._long(*arguments) if steps <= _LONG else self._make(*arguments)

    def cache_clear(self) -> None:
        """Forget all results."""
        self._short.cache_clear()
        self._long.cache_clear()


def remembered(*, at: int) -> Callable[[Callable[..., _R]], Remembered[_R]]:
    """Have a function's results kept; `at` is the position of the number of steps among its arguments.

    >>> made = remembered(at=0)(lambda steps: [0] * steps)
    >>> made(3) is made(3), made(1 << 18) is made(1 << 18)
    (True, False)
    """
    return lambda make: Remembered(make, at)
