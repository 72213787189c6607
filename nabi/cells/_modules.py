"""A network of modules that compete for the input, and of which the losers stay as they are."""

import dataclasses
from typing import Any, ClassVar

from nabi import _checks
from nabi.cells._order import precedes
from nabi.errors import ArgumentError
from nabi.ir import Cell, Node
from nabi.ir.functions import flat, less, select, sigmoid, softmax, split, tanh, total

__all__ = ["RIM"]

_MODULES = 6


class RIM(Cell):
    """Recurrent independent mechanisms: small LSTMs, of which a few act at a step (Goyal et al. 2021).

    Good for systems of parts that seldom meet, and for what was not seen in training. Every module asks how
    much it wants of the input, rather than of nothing; the `active` ones that want most read it, do an LSTM
    step with weights of their own, and attend to all modules, with one head. The others keep their states.

    Args:
        modules: how many LSTMs the units are divided into; by default the largest divisor up to 6, which is
            the paper's number.
        active: how many of them act at a step; by default two of three, rounded up, as 4 of 6 in the paper.
        keys: width of a question about the input; 64 by default, as in the authors' code.
        values: width of what modules read of the input; four times that of a module by default, as there.
        communication_keys: width of a question to other modules; 16 by default, as there.

    Raises:
        ArgumentError: `modules` does not divide `units`, or there are fewer of them than are `active`.
    """

    modules: int | None = dataclasses.field(default=None, kw_only=True)
    active: int | None = dataclasses.field(default=None, kw_only=True)
    keys: int = dataclasses.field(default=64, kw_only=True)
    values: int | None = dataclasses.field(default=None, kw_only=True)
    communication_keys: int = dataclasses.field(default=16, kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("h", "c")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("keys", "communication_keys"):
            self._keep(name, _checks.whole(name, getattr(self, name)))
        for name in ("modules", "active", "values"):
            if getattr(self, name) is not None:
                self._keep(name, _checks.whole(name, getattr(self, name), otherwise=" or None"))
        if self.units % self.count:
            raise ArgumentError(f"modules: expected a divisor of {self.units} units, got {self.modules}")
        if self.acting > self.count:
            raise ArgumentError(f"active: expected at most {self.count} modules, got {self.active}")

    @property
    def count(self) -> int:
        """How many modules there are."""
        most = range(min(_MODULES, self.units), 0, -1)
        return self.modules or next(one for one in most if self.units % one == 0)

    @property
    def acting(self) -> int:
        """How many of them act at a step."""
        return self.active or -(-2 * self.count // 3)

    def step(self, x: Node, h: Node, c: Node) -> Any:
        """s is what modules want, a which act; q, k and e are questions, answers and what they say."""
        n, size = self.count, self.units // self.count
        width = self.values or 4 * size
        question = self.blocks("w", "h", split(h, n, size), units=self.keys)
        key = self.linear("w", "k", x, units=self.keys)
        # A softmax over the input and over nothing, whose key is zero.
        s_t = sigmoid(total(question * split(key, 1, self.keys), -1) / self.keys**0.5)
        a_t = less(total(precedes(-s_t, n), -1), self.acting - 0.5)
        value = self.linear("v", "v", x, units=width)
        v_t = split(s_t, n, 1) * split(value, 1, width)
        i, f, o = (sigmoid(self.gate(name, v_t, split(h, n, size))) for name in "ifo")
        new = f * split(c, n, size) + i * tanh(self.gate("c", v_t, split(h, n, size)))
        d_t = select(split(a_t, n, 1), o * tanh(new), split(h, n, size))
        q, k = (self.blocks(name, "d", d_t, units=self.communication_keys) for name in "qk")
        e = self.blocks("e", "e", d_t)
        room = self.communication_keys
        alike = total(split(q, n, 1, room) * split(k, 1, n, room), -1) / room**0.5
        shares = softmax(alike, -1)
        said = total(split(shares, n, n, 1) * split(e, 1, n, size), 1)
        h_t = select(split(a_t, n, 1), d_t + said, split(h, n, size))
        c_t = select(split(a_t, n, 1), new, split(c, n, size))
        return flat(h_t), flat(c_t)

    def gate(self, name: str, v: Node, h: Node) -> Node:
        """Return a gate before its activation, of all modules."""
        n, size = self.count, self.units // self.count
        found = self.blocks(name, "v", v, units=size) + self.blocks(name, "h", h)
        bias = self.bias(name)
        return found + split(bias, n, size) if isinstance(bias, Node) else found
