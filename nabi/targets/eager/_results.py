"""What a pass of the kernel returns: the values that are saved, and the gradients."""

from dataclasses import dataclass

from torch import Tensor

__all__ = ["Gradients", "Record"]


@dataclass
class Record:
    """The values that a forward pass saves for the backward pass.

    Attributes:
        x: input rows `[N, D]`.
        noises: rows of each random input.
        before: rows of saved nodes computed before the loop, by column name.
        kept: for each step the values named by `recorded(program)`: states before and after it, saved nodes.
    """

    x: Tensor
    noises: tuple[Tensor, ...]
    before: dict[str, Tensor]
    kept: list[tuple[Tensor, ...]]


@dataclass
class Gradients:
    """Cotangents of everything a scan reads; None for those not requested."""

    x: Tensor | None
    initial: tuple[Tensor | None, ...]
    families: tuple[Tensor | None, ...]
