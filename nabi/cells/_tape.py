"""A network with a memory of rows, which it finds by what they hold or by where they are."""

import dataclasses
from typing import Any, ClassVar

from nabi import _checks
from nabi.ir import Cell, Node, initial
from nabi.ir.functions import (
    exp,
    flat,
    join,
    log,
    outer,
    part,
    read,
    sigmoid,
    softmax,
    softplus,
    split,
    sqrt,
    tanh,
    total,
)

__all__ = ["NTM"]


class NTM(Cell):
    """Neural Turing machine (Graves, Wayne and Danihelka 2014), its controller an LSTM.

    Good for algorithms on sequences, such as copying and sorting. One head writes and one reads. Each finds
    rows by content or near those of the step before. The one erases and adds there (the paper's equations 3
    and 4); then the other one reads what is there now (equation 2). The memory starts as that of Collier and
    Beel (2018), nearly empty.

    Args:
        rows: of the memory; 16 by default.
        width: of a row; 8 by default.
    """

    rows: int = dataclasses.field(default=16, kw_only=True)
    width: int = dataclasses.field(default=8, kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("h", "c", "r", "p", "w", "M")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("rows", _checks.whole("rows", self.rows, 2))
        self._keep("width", _checks.whole("width", self.width))

    def state_shape(self, name: str) -> tuple[int, ...]:
        """Return rows × width for M, what was read for r, the rows' weights for p, which reads, and w."""
        shapes = {"M": (1, self.rows, self.width), "r": (self.width,)}
        return {**shapes, "p": (1, self.rows), "w": (1, self.rows)}.get(name, ())

    def initial_state(self, name: str) -> Any:
        """Return a memory that is nearly empty, and heads on its first row."""
        first = initial.Values((1.0, *[0.0] * (self.rows - 1)))
        return {"M": 1e-6, "p": first, "w": first}.get(name, 0.0)

    def step(self, x: Node, h: Node, c: Node, r: Node, p: Node, w: Node, M: Node) -> Any:
        """The controller reads x and r, and says where heads go, what is erased and what is added."""
        i, f, o = (sigmoid(self.affine(gate, x, h, r=r)) for gate in "ifo")
        c_t = f * c + i * tanh(self.affine("c", x, h, r=r))
        h_t = o * tanh(c_t)
        w_t = self.addressed("w", h_t, w, M)
        erased, added = (self.affine(gate, k=h_t, units=self.width, bias="k") for gate in "ea")
        old = M * (1 - outer(w_t, split(sigmoid(erased), 1, self.width)))
        M_t = old + outer(w_t, split(added, 1, self.width))
        p_t = self.addressed("r", h_t, p, M_t)
        return h_t, c_t, flat(read(M_t, p_t)), p_t, w_t, M_t

    def addressed(self, head: str, h: Node, w: Node, M: Node) -> Node:
        """Return weights of rows (equations 5 to 9): by content, mixed with old ones, shifted, sharpened."""
        key = split(tanh(self.affine(f"{head}k", k=h, units=self.width, bias="k")), 1, 1, self.width)
        strength, gate, power = (self.affine(f"{head}{one}", n=h, units=1, bias="n") for one in "bgs")
        size = sqrt(total(M * M, -1) * total(key * key, -1) + 1e-8)
        content = softmax(softplus(strength) * (total(M * key, -1) / size), -1)
        mixed = sigmoid(gate) * content + (1 - sigmoid(gate)) * w
        moves = softmax(self.affine(f"{head}m", m=h, units=3, bias="m"))
        n = self.rows
        back = join(part(mixed, 1, n), part(mixed, 0, 1))
        on = join(part(mixed, n - 1, n), part(mixed, 0, n - 1))
        left, stay, right = (part(moves, one, one + 1) for one in range(3))
        moved = left * back + stay * mixed + right * on
        sharp = exp((1 + softplus(power)) * log(moved + 1e-12))
        return sharp / total(sharp, -1)
