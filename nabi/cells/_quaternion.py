"""A cell whose numbers belong together in fours: quaternions."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

from nabi.ir import Cell, Node, derived, initial
from nabi.ir.functions import sigmoid, tanh

__all__ = ["QuaternionLSTM"]


@dataclasses.dataclass(frozen=True)
class _Hamilton(derived.Derived):
    """The matrix of a product with quaternions, of four blocks; cut where a width is no multiple of 4."""

    rows: int
    columns: int

    def sources(self, shape: tuple[int, ...]) -> tuple[derived.Source, ...]:
        """Return the four parts."""
        part = (shape[0] + 3) // 4, (shape[1] + 3) // 4
        # The authors draw a length whose square is four of these variances in the mean (Glorot and Bengio's),
        # and an angle: half of it is real, and the other three parts have a third of the rest each.
        variance = 1 / (2 * (part[0] + part[1]))
        real = initial.Normal(0.0, (2 * variance) ** 0.5)
        other = initial.Normal(0.0, (2 * variance / 3) ** 0.5)
        return tuple(derived.Source(one, part, real if one == "R" else other) for one in "RIJK")

    def compute(self, *tensors: Any, mask: Any = None) -> Any:
        """Compute it."""
        import torch

        r, i, j, k = tensors
        lines = [[r, -i, -j, -k], [i, r, -k, j], [j, k, r, -i], [k, -j, i, r]]
        whole = torch.cat([torch.cat(line, 1) for line in lines])
        return whole[: self.rows, : self.columns]

    def formula(self, names: Sequence[str], *, is_latex: bool = False) -> str:
        """Return its equation."""
        name = r"\mathrm{hamilton}" if is_latex else "hamilton"
        return f"{name}({', '.join(names)})"


class QuaternionLSTM(Cell):
    """LSTM of quaternions: matrices are made of four blocks (Parcollet et al. 2019).

    Good where numbers belong together in threes and fours, such as colours, directions and a signal with its
    derivatives, and for small models: it has a fourth of an LSTM's weights. The first fourth of the input are
    the real parts, and so on; both widths are best multiples of 4.
    """

    states: ClassVar[tuple[str, ...]] = ("h", "c")

    def of_quaternions(self, gate: str, x: Node, h: Node) -> Node:
        """Return `W ⊗ x + R ⊗ h + b`."""
        on_x, on_h = _Hamilton(self.units, x.width or 1), _Hamilton(self.units, self.units)
        return self.affine(gate, x, h, derived={"x": on_x, "h": on_h})

    def step(self, x: Node, h: Node, c: Node) -> Any:
        """An LSTM step; gates work number by number."""
        i_t, f_t, o_t = (sigmoid(self.of_quaternions(gate, x, h)) for gate in "ifo")
        c_t = f_t * c + i_t * tanh(self.of_quaternions("c", x, h))
        return o_t * tanh(c_t), c_t
