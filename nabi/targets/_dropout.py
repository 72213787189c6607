"""Dropout on the target that can and is fastest: native code, or torch where that does not run."""

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from nabi.targets._native import runs_native

__all__ = ["Kept", "draw_kept"]

_failed = False


@dataclass(frozen=True, eq=False)
class Kept:
    """Which elements of a tensor are kept, and what these are multiplied by.

    Attributes:
        values: what elements are multiplied by, where torch drew them.
        bits: a bit for each element, where native code did.
        scale: what a kept element is multiplied by.
    """

    values: Tensor | None
    bits: Tensor | None
    scale: float

    def times(self, x: Tensor) -> Tensor:
        """Return `x` thinned out; where there are bits, `x` is as it was at the draw: plain, of that size."""
        if self.bits is None:
            assert self.values is not None
            return x * self.values
        from nabi.targets.llvm import _dropout

        return _dropout.thin(x.contiguous(), self.bits, self.scale)


def draw_kept(like: Tensor, rate: float, generator: torch.Generator | None) -> Kept:
    """Draw which elements of a tensor are kept, each with probability `1 - rate`.

    Native code draws one number of the generator, a key, and makes the others from it: twenty times faster
    than torch draws them one after the other.

    Args:
        like: has the shape, type and device of what is thinned out.
        rate: the probability with which an element is dropped, from 0 to 1.
        generator: of random numbers, torch's own of the device if None.
    """
    global _failed
    if rate >= 1.0:
        return Kept(torch.zeros_like(like), None, 0.0)
    if not _failed and runs_native(like):
        from nabi.targets.llvm import _dropout
        from nabi.targets.llvm._machine import NativeError

        key = torch.empty((), dtype=torch.int64).random_(generator=generator).item()
        try:
            return Kept(None, _dropout.draw(like.numel(), rate, int(key)), 1.0 / (1.0 - rate))
        except NativeError as problem:
            _failed = True
            message = f"no native code for dropout, it runs slower: {problem}"
            warnings.warn(message, RuntimeWarning, stacklevel=2)
    values = torch.empty_like(like).bernoulli_(1.0 - rate, generator=generator).div_(1.0 - rate)
    return Kept(values, None, 1.0 / (1.0 - rate))
