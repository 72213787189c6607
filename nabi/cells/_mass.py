"""A cell that conserves what comes in."""

from typing import Any, ClassVar

from nabi.ir import Cell, Node
from nabi.ir.functions import flat, read, sigmoid, softmax, split, total

__all__ = ["MCLSTM"]


class MCLSTM(Cell):
    """LSTM that conserves mass: what comes in is stored, moved and put out (Hoedt et al. 2021).

    Good for hydrology and traffic, where nothing gets lost. `mass` is the amount that a step brings, one
    number; `x` are other inputs, which only the gates read. The sum of the cell and of all outputs so far
    is the sum of all masses.
    """

    output: ClassVar[str] = "h"
    states: ClassVar[tuple[str, ...]] = ("c",)

    def input_width(self, name: str, input_size: int) -> int | None:
        """Return None for the mass, one number."""
        return None if name == "mass" else super().input_width(name, input_size)

    def step(self, x: Node, c: Node, *, mass: Any) -> Any:
        """`m = Rᵀ c + i ∘ mass`; the share o of it is put out. i and the rows of R add up to one."""
        shares = c / (total(abs(c)) + 1e-5)
        i = softmax(self.affine("i", x, m=mass, c=shares))
        o = sigmoid(self.affine("o", x, m=mass, c=shares))
        pairs = self.affine("R", bias="r", q=x, n=mass, r=shares, units=self.units**2)
        R = softmax(split(pairs, 1, self.units, self.units), -1)
        m = flat(read(R, split(c, 1, self.units))) + i * mass
        return o * m, (1 - o) * m
