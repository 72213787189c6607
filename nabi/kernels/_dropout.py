"""Dropout on the target that can and is fastest: native code, or torch where that does not run."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nabi.native import has_failed, made_natively, runs_native

__all__ = ["Kept", "draw_kept"]


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
        from nabi.kernels._code import _dropout

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
    if rate >= 1.0:
        return Kept(torch.zeros_like(like), None, 0.0)
    if not has_failed("dropout") and runs_native(like):
        from nabi.kernels._code import _dropout

        key = int(torch.empty((), dtype=torch.int64).random_(generator=generator).item())
        bits = made_natively("dropout", "dropout", lambda: _dropout.draw(like.numel(), rate, key))
        if bits is not None:
            return Kept(None, bits, 1.0 / (1.0 - rate))
    values = torch.empty_like(like).bernoulli_(1.0 - rate, generator=generator).div_(1.0 - rate)
    return Kept(values, None, 1.0 / (1.0 - rate))
