"""Gated recurrent units: three definitions under one name."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nabi.errors import ArgumentError
from nabi.ir import Cell, Node, Program
from nabi.ir.functions import activation

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["GRU", "GRU2014", "GRULecture", "negate_update_gate"]


class GRU(Cell):
    """Gated recurrent unit, reset after the product, as Keras, torch and cuDNN define it.

    Args:
        activation: of the candidate; tanh by default.
        recurrent_activation: of the gates; sigmoid by default.
    """

    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"

    def step(self, x: Node, h: Node) -> Any:
        """z is the share of the old state; r scales the product of the old state, including its bias."""
        gate, f = activation(self.recurrent_activation), activation(self.activation)
        z_t = gate(self.affine("z", x, bias="x") + self.affine("z", h, bias="h"))
        r_t = gate(self.affine("r", x, bias="x") + self.affine("r", h, bias="h"))
        n_t = f(self.affine("h", x, bias="x") + r_t * self.affine("h", h, bias="h"))
        return z_t * h + (1 - z_t) * n_t


class GRU2014(GRU):
    """Gated recurrent unit, reset before the product (Cho et al. 2014; Keras' `reset_after=False`)."""

    def step(self, x: Node, h: Node) -> Any:
        """z is the share of the old state; r scales the old state itself."""
        gate, f = activation(self.recurrent_activation), activation(self.activation)
        z_t = gate(self.affine("z", x, h))
        r_t = gate(self.affine("r", x, h))
        n_t = f(self.affine("h", x, h=r_t * h))
        return z_t * h + (1 - z_t) * n_t


class GRULecture(GRU):
    """Gated recurrent unit as lectures draw it: reset before the product, no bias, z on the candidate."""

    use_bias: bool = dataclasses.field(default=False, kw_only=True)

    def step(self, x: Node, h: Node) -> Any:
        """z is the share of the candidate."""
        gate, f = activation(self.recurrent_activation), activation(self.activation)
        z_t = gate(self.affine("z", x, h))
        r_t = gate(self.affine("r", x, h))
        n_t = f(self.affine("h", x, h=r_t * h))
        return (1 - z_t) * h + z_t * n_t


def negate_update_gate(program: Program, weights: Sequence["Tensor"]) -> "list[Tensor]":
    """Convert GRU weights between the two meanings of `z`: share of the candidate or of the old state.

    Since σ(-a) = 1 - σ(a), negating all weights of `z` turns `gru-lecture` into `gru-2014`, and back. Returns
    new tensors. `gru` resets at a different place, so no weights make it equal to these two.

    Args:
        program: of either cell.
        weights: in the order of `program.families`.

    Raises:
        ArgumentError: the number of weights is not that of the families, or the cell has no gate `z`.

    Example:
        >>> import torch
        >>> from nabi.scan import scan
        >>> lecture, gru = (kind(units=5, use_bias=False).program(3) for kind in (GRULecture, GRU2014))
        >>> weights = [torch.randn(family.shape) for family in lecture.families]
        >>> x = torch.randn(2, 7, 3)
        >>> expected, _, _ = scan(lecture, x, None, weights)
        >>> output, _, _ = scan(gru, x, None, negate_update_gate(lecture, weights))
        >>> torch.allclose(output, expected, atol=1e-6)
        True
    """
    if len(weights) != len(program.families):
        names = ", ".join(family.name for family in program.families)
        raise ArgumentError(f"weights: expected one for each of {names}, got {len(weights)}")
    if not any("z" in family.gates for family in program.families):
        raise ArgumentError(f"program: expected the program of a GRU, with a gate z, got {program.cell!r}")
    converted = []
    for family, weight in zip(program.families, weights, strict=True):
        weight = weight.clone()
        if "z" in family.gates:
            weight[family.rows("z")] *= -1
        converted.append(weight)
    return converted
