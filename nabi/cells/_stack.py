"""Cells with a memory outside their state: stacks."""

import dataclasses
from typing import Any, ClassVar

from nabi import _checks
from nabi.ir import Cell, Node
from nabi.ir.functions import flat, join, part, sigmoid, softmax, split, vector

__all__ = ["StackRNN"]


class StackRNN(Cell):
    """Network with stacks that it pushes to and pops from (Joulin and Mikolov 2015).

    Good for counting and for context-free languages, which it continues to far greater lengths than those it
    was trained on. Stacks start empty: full of -1, as in the authors' code.

    Args:
        stacks: how many; 4 by default.
        depth: numbers that a stack holds; 20 by default. What is pushed beyond them is lost.
        read: how many numbers from the top enter the next state; 2 by default.
    """

    stacks: int = dataclasses.field(default=4, kw_only=True)
    depth: int = dataclasses.field(default=20, kw_only=True)
    read: int = dataclasses.field(default=2, kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("h", "s")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._keep("stacks", _checks.whole("stacks", self.stacks))
        self._keep("depth", _checks.whole("depth", self.depth, 2))
        self._keep("read", _checks.whole("read", self.read, 1, self.depth))

    def state_shape(self, name: str) -> tuple[int, ...]:
        """Return depth × stacks for s, the tops first."""
        return (self.depth, self.stacks) if name == "s" else ()

    def initial_state(self, name: str) -> Any:
        """Return -1 for what is in an empty stack."""
        return -1.0 if name == "s" else 0.0

    def step(self, x: Node, h: Node, s: Node) -> Any:
        """The new state reads the tops; it then says for every stack what is pushed, and how far."""
        n = self.stacks
        h_t = sigmoid(self.affine("h", x, h, p=part(flat(s), 0, self.read * n)))
        actions = flat(softmax(split(self.affine("a", bias="a", a=h_t, units=3 * n), 3, n), 0))
        push, pop, stay = (split(part(actions, one * n, (one + 1) * n), 1, n) for one in range(3))
        top = sigmoid(self.affine("d", bias="d", d=h_t, units=n))
        pushed = join(top, part(flat(s), 0, (self.depth - 1) * n))
        popped = join(part(flat(s), n, self.depth * n), vector(*[-1.0] * n))
        axes = self.depth, n
        return h_t, push * split(pushed, *axes) + pop * split(popped, *axes) + stay * s
