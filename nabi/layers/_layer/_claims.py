"""Layers loaded from a file allocate no memory for weights that the file does not hold.

A file's description of its layers may contradict its tensors, through damage or on purpose. So code that
creates layers from a file first declares the file's tensors, and `add_weight` claims memory before it
allocates any.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from nabi.errors import ShapeError

__all__ = ["claim", "claim_batch", "only_tensors_of"]

# A user's layer may create weights and drop them again; this many numbers are negligible.
_SPARE = 1 << 16
# Small claims are left to the later comparison of each state, whose error names the state.
_SPARE_ROWS = 1 << 10


class _Held:
    """The numbers that may still be claimed, and the largest batch of kept states."""

    def __init__(
        self, weights: Iterable[Sequence[int]], states: Iterable[Sequence[int]], spare: bool
    ) -> None:
        self.numbers = sum(map(math.prod, weights))
        self.left = 2 * self.numbers + _SPARE if spare else self.numbers
        self.batch = max((shape[0] for shape in states if len(shape)), default=0)


_held: ContextVar[_Held | None] = ContextVar("held", default=None)


@contextmanager
def only_tensors_of(
    weights: Iterable[Sequence[int]], states: Iterable[Sequence[int]] = (), *, spare: bool = True
) -> Iterator[None]:
    """Limit the weights of layers to about as many numbers as a file holds, and kept states likewise.

    Args:
        weights: shapes of the weights in a file.
        states: shapes of the states of stateful layers in it.
        spare: whether layers may make weights that they drop again; without, there are as many numbers as in
            the file and no more.
    """
    token = _held.set(_Held(weights, states, spare))
    try:
        yield
    finally:
        _held.reset(token)


def claim(shape: Sequence[int], layer: str, name: str | None) -> None:
    """Claim memory for a weight while layers are created from a file.

    Raises:
        ShapeError: if the file holds fewer numbers.
    """
    held = _held.get()
    if held is None:
        return
    held.left -= math.prod(shape)
    if held.left < 0:
        raise ShapeError(
            f"{layer}.{name or 'weight'}: expected weights of {held.numbers} numbers in all, as in the file, "
            f"got one of shape {tuple(shape)}"
        )


def claim_batch(batch: int, layer: str) -> None:
    """Claim memory for kept states of `batch` samples while layers are created from a file.

    Raises:
        ShapeError: if no state in the file has as many.
    """
    held = _held.get()
    if held is not None and not 0 < batch <= max(held.batch, _SPARE_ROWS):
        raise ShapeError(f"{layer}: expected states of {held.batch} samples, as in the file, got {batch}")
