"""What an encoder gives a decoder."""

from typing import NamedTuple

from torch import Tensor

__all__ = ["Memory"]


class Memory(NamedTuple):
    """A source as its encoder sees it: sentences, pictures."""

    values: Tensor
    """A vector for each step of a sentence or region of a picture, `[B, S, M]`; finite everywhere."""
    mask: Tensor | None
    """Which of them there are, `[B, S]`, bool; None for all."""
    summary: Tensor
    """The whole source, `[B, W]`."""
