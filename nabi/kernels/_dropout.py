"""Dropout in native code, or in torch if native code does not run."""

from dataclasses import dataclass
from math import prod
from typing import Protocol

import torch
from torch import Tensor

from nabi._row_share import row_share
from nabi.native import has_failed, made_natively, runs_native
from nabi.native.bound import BoundPass

__all__ = ["Kept", "SmallDropout", "draw_kept", "draw_keys", "small_dropout"]

# Up to here one thread draws.
_ELEMENTS = 1 << 16


@dataclass(frozen=True, eq=False)
class Kept:
    """The elements of a tensor that dropout keeps, and their factor.

    Attributes:
        values: the factors of the elements, if torch drew them.
        bits: a bit for each element, if native code drew them.
        scale: the factor of kept elements.
    """

    values: Tensor | None
    bits: Tensor | None
    scale: float

    def times(self, x: Tensor) -> Tensor:
        """Apply dropout to `x`; with bits, `x` must be a plain tensor of the size at the draw."""
        if self.bits is None:
            assert self.values is not None
            return x * self.values
        from nabi.kernels._code import _dropout

        return _dropout.thin(x.contiguous(), self.bits, self.scale)


def draw_kept(like: Tensor, rate: float, generator: torch.Generator | None) -> Kept:
    """Draw the elements of a tensor to keep, each with probability `1 - rate`.

    Native code draws one number from the generator, a key, and derives the others from it: twenty times
    faster than torch's sequential draws.

    Where several processes train on a batch together, what is drawn is that of one process for all rows; each
    keeps what its own rows are about.

    Args:
        like: a tensor with the shape, dtype and device of the tensor to drop elements from.
        rate: the probability of dropping an element, from 0 to 1.
        generator: the random generator (default: torch's generator of the device).
    """
    if rate >= 1.0:
        return Kept(torch.zeros_like(like), None, 0.0)
    share, scale = row_share(), 1.0 / (1.0 - rate)
    if share is not None and (not like.dim() or like.shape[0] != share.count):
        share = None
    if not has_failed("dropout") and runs_native(like):
        key = draw_keys((), generator)
        first = 0 if share is None else share.first * prod(like.shape[1:])
        kept = made_natively("dropout", "dropout", lambda: _kept_from(first, like, rate, key))
        if kept is not None:
            return kept
    everyone = torch.empty_like(like) if share is None else like.new_empty((share.total, *like.shape[1:]))
    values = everyone.bernoulli_(1.0 - rate, generator=generator).div_(1.0 - rate)
    return Kept(values if share is None else values[share.rows], None, scale)


def _kept_from(first: int, like: Tensor, rate: float, key: Tensor) -> Kept:
    """Draw for the elements of a larger tensor from this number on, as many as there are in `like`."""
    from nabi.kernels._code import _dropout

    scale, count = 1.0 / (1.0 - rate), like.numel()
    before = first % _dropout.BLOCK  # elements that are drawn with them
    bits = _dropout.draw(before + count, rate, key, first - before)
    if not before:
        return Kept(None, bits, scale)
    factors = _dropout.thin(like.new_ones(before + count), bits, scale)
    return Kept(factors[before:].view(like.shape), None, scale)


def draw_keys(shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
    """Draw the numbers that the random numbers of as many dropouts follow from, one after the other.

    >>> draw_keys((2, 3), torch.Generator().manual_seed(0)).shape
    torch.Size([2, 3])
    """
    return torch.empty(shape, dtype=torch.int64).random_(generator=generator)


class SmallDropout(Protocol):
    """Dropout with results in the same memory every time.

    Attributes:
        rate: the probability of dropping an element.
    """

    rate: float

    def forward(self, x: Tensor, key: Tensor) -> Tensor:
        """Draw what is kept of a contiguous tensor, from a number in int64, and return it thinned out."""

    def backward(self, cotangent: Tensor) -> Tensor:
        """Return a contiguous cotangent, thinned out in the same way."""

    def bound(self) -> BoundPass:
        """Return the last step, forward and backward, as runs."""


def small_dropout(like: Tensor, rate: float) -> SmallDropout | None:
    """Return dropout for tensors like `like`; None if they are large, or native code does not run.

    Args:
        like: a tensor with the shape and dtype of the inputs.
        rate: the probability of dropping an element, between 0 and 1. What is dropped is the same as that of
            `draw_kept`.
    """
    if not 0 < like.numel() <= _ELEMENTS or not 0.0 < rate < 1.0 or not runs_native(like):
        return None
    if row_share() is not None:
        return None  # it draws for the rows that it is given
    if has_failed("dropout"):
        return None
    from nabi.kernels._code._dropout import NativeDropout

    return made_natively("dropout", "dropout", lambda: NativeDropout(like, rate))
