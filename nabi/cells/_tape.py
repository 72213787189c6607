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
    """Neural Turing machine (Graves, Wayne and Danihelka 2014), its controller an LSTM, with one head.

    Good for algorithms on sequences, such as copying and sorting. The head finds rows by content or near
    those of the step before; it erases and adds there, and then reads.

    Args:
        rows: of the memory; 16 by default.
        width: of a row; 8 by default.
    """

    rows: int = dataclasses.field(default=16, kw_only=True)
    width: int = dataclasses.field(default=8, kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("h", "c", "r", "w", "M")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("rows", _checks.whole("rows", self.rows, 2))
        self._keep("width", _checks.whole("width", self.width))

    def state_shape(self, name: str) -> tuple[int, ...]:
        """Return rows × width for M, the rows' weights for w, what was read for r."""
        shapes = {"M": (1, self.rows, self.width), "w": (1, self.rows), "r": (self.width,)}
        return shapes.get(name, ())

    def initial_state(self, name: str) -> Any:
        """Return a memory that is nearly empty, and a head on its first row."""
        first = initial.Values((1.0, *[0.0] * (self.rows - 1)))
        return {"M": 1e-6, "w": first}.get(name, 0.0)

    def step(self, x: Node, h: Node, c: Node, r: Node, w: Node, M: Node) -> Any:
        """The controller reads x and r, and says where the head goes, what it erases and what it adds."""
        i, f, o = (sigmoid(self.affine(gate, x, h, r=r)) for gate in "ifo")
        c_t = f * c + i * tanh(self.affine("c", x, h, r=r))
        h_t = o * tanh(c_t)
        w_t = self.addressed(h_t, w, M)
        erased, added = (self.affine(gate, k=h_t, units=self.width, bias="k") for gate in "ea")
        old = M * (1 - outer(w_t, split(sigmoid(erased), 1, self.width)))
        M_t = old + outer(w_t, split(added, 1, self.width))
        return h_t, c_t, flat(read(M_t, w_t)), w_t, M_t

    def addressed(self, h: Node, w: Node, M: Node) -> Node:
        """Return the weights of the rows: by content, mixed with the old ones, shifted and sharpened."""
        key = split(tanh(self.affine("k", k=h, units=self.width, bias="k")), 1, 1, self.width)
        strength, gate, power = (self.affine(name, n=h, units=1, bias="n") for name in "bgs")
        size = sqrt(total(M * M, -1) * total(key * key, -1) + 1e-8)
        content = softmax(softplus(strength) * (total(M * key, -1) / size), -1)
        mixed = sigmoid(gate) * content + (1 - sigmoid(gate)) * w
        moves = softmax(self.affine("m", m=h, units=3, bias="m"))
        n = self.rows
        back = join(part(mixed, 1, n), part(mixed, 0, 1))
        on = join(part(mixed, n - 1, n), part(mixed, 0, n - 1))
        left, stay, right = (part(moves, one, one + 1) for one in range(3))
        moved = left * back + stay * mixed + right * on
        sharp = exp((1 + softplus(power)) * log(moved + 1e-12))
        return sharp / total(sharp, -1)
