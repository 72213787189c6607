"""A network with a memory of rows that it finds by content, by use and by the order in which it wrote."""

import dataclasses
from typing import Any, ClassVar

from nabi import _checks
from nabi.cells._order import different, precedes
from nabi.ir import Cell, Node
from nabi.ir.functions import (
    exp,
    log,
    outer,
    part,
    rounded,
    sigmoid,
    softmax,
    softplus,
    split,
    sqrt,
    tanh,
    total,
)

__all__ = ["DNC"]


class DNC(Cell):
    """Differentiable neural computer (Graves et al. 2016), its controller an LSTM.

    Good for algorithms, and for graphs and lists that are read piece by piece: it finds free rows to write
    to, and follows the order in which it wrote. One head writes, to rows that hold something like a key or to
    the least used one. The others read by a key, or the rows that were written before or after those that
    they read last. All states start at zero. Rows whose use differs by less than 1e-5 are taken in their
    order, so that rounding does not choose. Gradients also pass from how used a row is to what was written
    there, as the paper's equations say; in the authors' code they do not.

    Args:
        rows: of the memory; 16 by default.
        width: of a row; 8 by default.
        reads: heads that read; 1 by default.
    """

    rows: int = dataclasses.field(default=16, kw_only=True)
    width: int = dataclasses.field(default=8, kw_only=True)
    reads: int = dataclasses.field(default=1, kw_only=True)

    output: ClassVar[str] = "y"
    states: ClassVar[tuple[str, ...]] = ("h", "c", "r", "p", "w", "u", "g", "L", "M")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("rows", _checks.whole("rows", self.rows, 2))
        self._keep("width", _checks.whole("width", self.width))
        self._keep("reads", _checks.whole("reads", self.reads))

    def state_shape(self, name: str) -> tuple[int, ...]:
        """Return rows × width for M, rows × rows for L, and what heads keep of rows for the others."""
        shapes: dict[str, tuple[int, ...]] = {"r": (self.reads, self.width), "p": (self.reads, self.rows)}
        shapes |= {"L": (1, self.rows, self.rows), "M": (1, self.rows, self.width)}
        return {**shapes, **dict.fromkeys("wug", (1, self.rows))}.get(name, ())

    def step(
        self, x: Node, h: Node, c: Node, r: Node, p: Node, w: Node, u: Node, g: Node, L: Node, M: Node
    ) -> Any:
        """r was read by weights p; w are those that wrote, u is usage, g precedence, L what follows what.

        u rises where the last step wrote, and falls where it read and a gate sets free.
        """
        i, f, o = (sigmoid(self.affine(gate, x, h, r=r)) for gate in "ifo")
        c_t = f * c + i * tanh(self.affine("c", x, h, r=r))
        h_t = o * tanh(c_t)
        n, heads = self.rows, self.reads
        free = split(sigmoid(self.affine("f", n=h_t, units=heads, bias="n")), heads, 1)
        kept = exp(total(log(1 - free * p + 1e-12), 0))  # the product of what all heads leave
        u_t = (u + w - u * w) * split(kept, 1, n)
        # Free rows without sorting: the share of a row is the product over all that come before it.
        used = 1e-6 + (1 - 1e-6) * u_t
        before = precedes(rounded(1e5 * used), n, 1)
        unused = (1 - used) * exp(total(before * log(split(used, 1, 1, n)), -1))
        by_key = self.found("w", 1, h_t, M)
        to_unused, to_any = (sigmoid(self.affine(gate, o=h_t, units=1, bias="o")) for gate in ("gu", "gw"))
        w_t = to_any * (to_unused * unused + (1 - to_unused) * by_key)
        erased = sigmoid(self.affine("e", v=h_t, units=self.width, bias="v"))
        added = self.affine("a", v=h_t, units=self.width, bias="v")
        uncleared = 1 - outer(w_t, split(erased, 1, self.width))
        M_t = uncleared * M + outer(w_t, split(added, 1, self.width))
        # Row i of L says how far row i was written right after each of the others.
        L_t = different(n, 1) * ((1 - split(w_t, 1, n, 1) - split(w_t, 1, 1, n)) * L + outer(w_t, g))
        g_t = (1 - total(w_t)) * g + w_t
        modes = softmax(split(self.affine("m", m=h_t, units=3 * heads, bias="m"), heads, 3), -1)
        back, by, on = (part(modes, mode, mode + 1) for mode in range(3))
        found = self.found("r", heads, h_t, M_t)
        earlier = total(L_t * split(p, heads, n, 1), 1)
        later = total(L_t * split(p, heads, 1, n), -1)
        p_t = back * earlier + by * found + on * later
        r_t = total(split(p_t, heads, n, 1) * M_t, 1)
        return self.affine("y", h=h_t, r=r_t), h_t, c_t, r_t, p_t, w_t, u_t, g_t, L_t, M_t

    def found(self, gate: str, heads: int, h: Node, M: Node) -> Node:
        """Return the weights of rows by content: a softmax of the cosines with a key, times a strength."""
        key = self.affine(f"{gate}k", k=h, units=heads * self.width, bias="k")
        key = split(key, heads, 1, self.width)
        strength = 1 + softplus(self.affine(f"{gate}s", n=h, units=heads, bias="n"))
        size = sqrt((total(M * M, -1) + 1e-6) * (total(key * key, -1) + 1e-6))
        return softmax(split(strength, heads, 1) * (total(M * key, -1) / size), -1)
