"""What is computed for all rows before the loop, what in the loop of every head, and what after it.

The loop takes all that reads a state and is independent from head to head, and products of more than two axes
(keys × values) even where they read none: a whole batch of them would not fit into any cache. Products of
weights are part of it where the next step needs them, and then a whole row is one head. What the loop cannot
do is left to torch, after it where it depends on the loop, else before.

States that hold earlier inputs are no states of the loop: their values are the input's, some steps later, and
so are there for all rows before it. The gradient by them is added to that of the input after the loop.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from nabi._once import cached_property
from nabi.ir import LEAVES, Node, Program
from nabi.targets.llvm._heads._shapes import PRODUCTS, Heads, UnsupportedError

__all__ = ["AFTER", "BEFORE", "LOOP", "Backward", "Forward", "Places", "places_of"]

BEFORE, LOOP, AFTER = "before", "loop", "after"
_LONG = 16
"""Terms of a sum of a product from which on reading it from memory takes less than adding it up again."""


@dataclass(frozen=True, eq=False)
class Forward:
    """The places of a step.

    Attributes:
        place: by node.
        read: the states that a step reads, by index; the others are outputs only.
        columns: values of the loop that are wanted outside, for every row.
        products: others that a derivative wants for every row, since they take longer to compute again.
    """

    place: dict[int, str]
    read: tuple[int, ...]
    columns: tuple[Node, ...]
    products: tuple[Node, ...]

    @property
    def left(self) -> tuple[Node, ...]:
        """Values of the loop that are there for every row when the derivative begins."""
        return (*self.columns, *self.products)


@dataclass(frozen=True, eq=False)
class Backward:
    """The places of the derivative.

    Attributes:
        place: by node; forward values that the loop computes again are in the loop.
        columns: values of the loop that are wanted after it, for every row.
        sums: values of the loop that are wanted summed over the steps, by parameter.
    """

    place: dict[int, str]
    columns: tuple[Node, ...]
    sums: dict[str, Node]


class Places:
    """The division of a program for a number of heads.

    Raises:
        UnsupportedError: a state depends on what the loop cannot compute.
    """

    def __init__(self, program: Program, heads: Heads) -> None:
        if len(program.inputs) > 1:
            further = ", ".join(given.name for given in program.inputs[1:])
            raise UnsupportedError(f"it reads more than x: {further}")
        self.program, self.heads = program, heads
        self.nodes, self.outputs = program.plan.nodes, program.plan.outputs
        names = program.state_names
        self.earlier = tuple(i for i, name in enumerate(names) if name in program.trace.delays)
        self._moving: dict[int, bool] = {}
        self.forward = self._forward()

    def _forward(self) -> Forward:
        program = self.program
        for node in self.nodes:
            waits = node.operation == "state" and node.name not in program.trace.delays
            self._moving[node.index] = waits or any(self._moving[one.index] for one in node.arguments)
        names = [node.name for node in self.nodes if node.operation == "state" and self._moving[node.index]]
        read = tuple(i for i, name in enumerate(program.state_names) if name in names)
        place: dict[int, str] = {}
        needed = _needed(self.outputs[i] for i in read)
        for node in self.nodes:
            place[node.index] = self._place(node, place, needed)
        self._force(self.nodes, place)
        for i in read:
            output = self.outputs[i]
            if place[output.index] == AFTER:
                raise UnsupportedError(f"the new {program.state_names[i]} needs what heads share")
            self.heads.axes(output)
        wanted = [output for i, output in enumerate(self.outputs) if i not in read]
        wanted += [a for node in self.nodes if place[node.index] == AFTER for a in node.arguments]
        columns = _unique(node for node in wanted if place[node.index] == LOOP)
        products = [node for node in self.nodes if place[node.index] == LOOP and _is_long(node)]
        wanted_too = {node.index for node in columns}
        return Forward(place, read, columns, tuple(n for n in products if n.index not in wanted_too))

    def _multiplies(self, node: Node, needed: set[int]) -> bool:
        """Return whether the loop computes a product of weights: where its next step needs it."""
        return node.operation in PRODUCTS and node.index in needed and self.heads.count == 1

    def _place(self, node: Node, place: dict[int, str], needed: set[int]) -> str:
        if node.operation == "state" and self._moving[node.index]:
            return LOOP
        if node.operation in LEAVES:
            return BEFORE
        if not node.has_rows:
            # Weights are repeated where they are read; in memory that would be more of them.
            repeated = node.operation == "expand" and len(node.axes) > 2
            return LOOP if repeated and self.heads.is_possible(node) else BEFORE
        places = {place[argument.index] for argument in node.arguments}
        if AFTER in places:
            return AFTER
        possible = self.heads.is_possible(node)
        if self._moving[node.index]:
            return LOOP if possible or self._multiplies(node, needed) else AFTER
        # Without a state: in the loop if it is a product of axes.
        return LOOP if possible and (LOOP in places or len(node.axes) > 2) else BEFORE

    def _force(self, nodes: tuple[Node, ...], place: dict[int, str]) -> None:
        """What torch computes before the loop needs its arguments there."""
        for node in reversed(nodes):
            if place[node.index] == BEFORE and node.operation not in LEAVES:
                for argument in node.arguments:
                    if place[argument.index] == LOOP:
                        place[argument.index] = BEFORE

    @cached_property
    def backward(self) -> Backward:
        """The places of the derivative."""
        program, forward, derivative = self.program, self.forward, self.program.derivative
        columns = {node.index for node in forward.left}
        of_read = {derivative.cotangents[i].index for i in forward.read}
        # Known after the loop, since they are made of gradients by earlier inputs.
        late = {derivative.cotangents[i].index for i in self.earlier}
        place: dict[int, str] = {}
        needed = _needed(node for node in (derivative.states[i] for i in forward.read) if node is not None)
        # Whether a value can be had for all rows without the loop.
        pure: dict[int, bool] = {}
        for node in derivative.nodes:
            known = forward.place.get(node.index)
            if node.operation in LEAVES:
                in_loop = known == LOOP or node.index in of_read
                where = AFTER if node.index in late else LOOP if in_loop else BEFORE
                place[node.index], pure[node.index] = where, where == BEFORE
                continue
            pure[node.index] = (
                node.index in columns
                or known in (BEFORE, AFTER)
                or all(pure[argument.index] for argument in node.arguments)
            )
            if known is not None:
                place[node.index] = LOOP if known == LOOP and node.index not in columns else BEFORE
            elif not node.has_rows:
                place[node.index] = BEFORE
            elif any(place[argument.index] == AFTER for argument in node.arguments):
                place[node.index] = AFTER
            elif self.heads.is_possible(node) or (self._multiplies(node, needed) and not pure[node.index]):
                place[node.index] = LOOP
            else:
                place[node.index] = BEFORE if pure[node.index] else AFTER
        # Values of the forward pass that are there for all rows need nothing.
        there = columns | {index for index, found in forward.place.items() if found == BEFORE}
        self._force(tuple(node for node in derivative.nodes if node.index not in there), place)
        for i in forward.read:
            found = derivative.states[i]
            if found is not None and place[found.index] == AFTER:
                raise UnsupportedError(f"the gradient of {program.state_names[i]} needs what heads share")
        wanted: list[Node] = [a for n in derivative.nodes if place[n.index] == AFTER for a in n.arguments]
        wanted += [node for pairs in derivative.matrices.values() for pair in pairs for node in pair]
        of_earlier = [derivative.states[i] for i in self.earlier]
        wanted += [node for node in (*derivative.inputs, *of_earlier) if node is not None]
        found_columns = _unique(node for node in wanted if place[node.index] == LOOP)
        by_row = {node.index for node in found_columns}
        sums = {
            name: node
            for name, node in derivative.vectors.items()
            if place[node.index] == LOOP and node.index not in by_row
        }
        return Backward(place, found_columns, sums)


def _is_long(node: Node) -> bool:
    """Return whether a value is a product of weights whose sums are so long that it is rather kept."""
    return node.operation == "linear" and (node.arguments[1].width or 1) >= _LONG


def _needed(wanted: Iterable[Node]) -> set[int]:
    """Return the values that these need, themselves among them."""
    found: set[int] = set()
    waiting = list(wanted)
    while waiting:
        node = waiting.pop()
        if node.index not in found:
            found.add(node.index)
            waiting.extend(node.arguments)
    return found


def _unique(nodes: Iterable[Node]) -> tuple[Node, ...]:
    found = {node.index: node for node in nodes}
    return tuple(found[index] for index in sorted(found))


def places_of(program: Program) -> Places:
    """Divide a program, for as many heads as its states have where that is possible, else row by row.

    Raises:
        UnsupportedError: neither is possible.
    """
    states = [axes[0] for axes in program.state_shapes if len(axes) > 1]
    problem: UnsupportedError | None = None
    for count in dict.fromkeys([*([states[0]] if states else []), 1]):
        try:
            found = Places(program, Heads(count))
            found.backward  # noqa: B018 - both directions, or neither
        except UnsupportedError as one:
            problem = problem or one
        else:
            return found
    assert problem is not None
    raise problem
