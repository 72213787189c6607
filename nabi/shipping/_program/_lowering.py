"""From the nodes of a step to instructions.

Values of a step are divided into levels. Products, reductions and everything else that reads other units of a
row need their operands complete, so they stand one level above these; elementwise operations stand on the
level of what they read, and all of one level and width are one map. A sum of products and biases is one
product, and sums over the same operands are one product together.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nabi.errors import ArgumentError
from nabi.ir import LEAVES, Node, needed, operation
from nabi.native.operations import renders
from nabi.shipping._program._instructions import (
    Cumulative,
    Elementwise,
    Instruction,
    Kind,
    Map,
    Move,
    Numbers,
    Product,
    Reduction,
    Term,
    Value,
)

__all__ = ["Body", "decomposed", "lower"]

_SAME = frozenset({"view", "stop_gradient", "with_derivative"})
"""Operations whose value is that of their first argument."""
_AXES = frozenset({"expand", "part", "pad", "axis_sum", "axis_max", "axis_shift"})


@dataclass(frozen=True)
class Body:
    """What the nodes of a step become.

    Attributes:
        instructions: in order.
        results: the values of the nodes that were asked for, in order.
    """

    instructions: list[Instruction]
    results: list[Value]


def lower(
    outputs: Sequence[Node],
    leaves: Mapping[str, Value | float],
    weights: Mapping[str, Numbers],
    names: Mapping[int, str],
) -> Body:
    """Return the instructions that compute nodes.

    Args:
        outputs: the nodes.
        leaves: by name, the inputs and states that they read; a number for an input that is always the same.
        weights: by name, matrices `[units, columns]`, vectors, and single numbers `(1,)`.
        names: what nodes are called, by their index.

    Raises:
        ArgumentError: for an operation that no target renders.
    """
    return _Lowering(outputs, leaves, weights, names).body()


class _Lowering:
    def __init__(
        self,
        outputs: Sequence[Node],
        leaves: Mapping[str, Value | float],
        weights: Mapping[str, Numbers],
        names: Mapping[int, str],
    ) -> None:
        self._leaves, self._weights, self._names = leaves, weights, names
        self._outputs = [_whole(node) for node in outputs]
        self._nodes = [node for node in _read(self._outputs) if node.operation != "matrix"]
        self._uses: dict[int, int] = {}
        for node in self._nodes:
            for argument in _arguments(node):
                self._uses[argument.index] = self._uses.get(argument.index, 0) + 1
        for node in self._outputs:
            # An output is kept by itself, so a sum that contains it does not swallow it.
            self._uses[node.index] = self._uses.get(node.index, 0) + 2
        # What a value without a name is for: the first named one that reads it.
        self._readers: dict[int, str] = {}
        for node in reversed(self._nodes):
            for argument in _arguments(node):
                if node.index in names:
                    self._readers[argument.index] = names[node.index]
        self._sums = self._find_sums()
        self._levels: dict[int, int] = {}
        self._values: dict[int, Value] = {}
        self._instructions: list[Instruction] = []

    def body(self) -> Body:
        """Write everything."""
        swallowed = {one.index for found in self._sums.values() for one in found.inside}
        nodes = [node for node in self._nodes if node.index not in swallowed and node.operation not in LEAVES]
        for node in nodes:
            self._levels[node.index] = self._level(node)
        for level in sorted(set(self._levels.values())):
            here = [node for node in nodes if self._levels[node.index] == level]
            self._write_products([node for node in here if node.index in self._sums])
            for node in here:
                if node.index not in self._sums and not _is_elementwise(node):
                    self._write(node)
            maps = [node for node in here if _is_elementwise(node) and not self._is_sum_alone(node)]
            # One number for all units first: the others may read it.
            for width in sorted({node.width or 0 for node in maps}):
                self._write_map(width or 1, [node for node in maps if (node.width or 0) == width], nodes)
        return Body(self._instructions, [self._value(node) for node in self._outputs])

    # Sums of products -------------------------------------------------------------------------------------

    def _find_sums(self) -> "dict[int, _Sum]":
        found: dict[int, _Sum] = {}
        taken: set[int] = set()
        for node in reversed(self._nodes):
            if node.index in taken or node.operation not in ("add", "linear"):
                continue
            parts, inside = self._flattened(node)
            maps = [part for part in parts if part.operation == "linear" and self._is_within(part, node)]
            if not maps:
                continue
            vectors = [part for part in parts if part.operation == "parameter" and part.width == node.width]
            known = {part.index for part in (*maps, *vectors)}
            rest = [part for part in parts if part.index not in known]
            found[node.index] = _Sum(
                node, maps, vectors, rest, [*inside, *(m for m in maps if m is not node)]
            )
            taken.update(one.index for one in found[node.index].inside)
        return found

    def _is_within(self, part: Node, root: Node) -> bool:
        return part is root or self._uses.get(part.index, 0) == 1

    def _flattened(self, node: Node) -> tuple[list[Node], list[Node]]:
        """Return what a tree of additions adds, and the additions within it."""
        if node.operation != "add":
            return [node], []
        parts: list[Node] = []
        inside: list[Node] = []
        for argument in _arguments(node):
            nested = argument.operation == "add" and self._uses[argument.index] == 1
            if nested and argument.width == node.width and argument.width is not None:
                more, within = self._flattened(argument)
                parts += more
                inside += [argument, *within]
            else:
                parts.append(argument)
        return parts, inside

    def _is_sum_alone(self, node: Node) -> bool:
        return node.index in self._sums and not self._sums[node.index].rest

    # Levels -----------------------------------------------------------------------------------------------

    def _level(self, node: Node) -> int:
        if node.index in self._sums:
            found = self._sums[node.index]
            operands = [_whole(one.arguments[1]) for one in found.maps]
            of_product = 1 + max(self._levels.get(one.index, 0) for one in operands)
            return max([of_product, *(self._levels.get(one.index, 0) for one in found.rest)])
        above = max((self._levels.get(one.index, 0) for one in _arguments(node)), default=0)
        return above if _is_elementwise(node) else above + 1

    # Values -----------------------------------------------------------------------------------------------

    def _name(self, node: Node) -> str:
        return self._names.get(node.index, f"{node.operation}_{node.index}")

    def _value(self, node: Node) -> Value:
        """Return where the numbers of a node lie; leaves get their place when they are first asked for."""
        node = _whole(node)
        if node.index not in self._values:
            self._values[node.index] = self._leaf(node)
        return self._values[node.index]

    def _leaf(self, node: Node) -> Value:
        if node.operation == "constant":
            return Value("number", 1, "weights", np.array([node.value], np.float32))
        if node.operation == "parameter":
            numbers = self._weights[node.name]
            return Value(node.name, len(numbers), "weights", np.ascontiguousarray(numbers, np.float32))
        found = self._leaves[node.name]
        if isinstance(found, Value):
            return found
        return Value(node.name, 1, "weights", np.array([found], np.float32))

    # Instructions -----------------------------------------------------------------------------------------

    def _write_products(self, nodes: Sequence[Node]) -> None:
        """Write the sums of a level; those with the same operands together."""
        groups: dict[tuple[int, ...], list[_Sum]] = {}
        for node in nodes:
            found = self._sums[node.index]
            found.maps.sort(key=lambda one: _whole(one.arguments[1]).index)
            groups.setdefault(tuple(_whole(one.arguments[1]).index for one in found.maps), []).append(found)
        for group in groups.values():
            self._write_product(group)

    def _write_product(self, group: "Sequence[_Sum]") -> None:
        widths = tuple(found.node.width or 1 for found in group)
        labels = [self._name_of_sum(found.node) for found in group]
        result = Value("sums" if len(group) > 1 else labels[0], sum(widths), pieces=widths)
        bias = np.concatenate([self._bias(found, width) for found, width in zip(group, widths, strict=True)])
        terms = []
        for place, first in enumerate(group[0].maps):
            matrix = np.concatenate([self._weights[one.maps[place].arguments[0].name] for one in group])
            terms.append(Term(np.ascontiguousarray(matrix, np.float32), self._value(first.arguments[1])))
        self._instructions.append(Product(result, bias, tuple(terms)))
        for number, (found, width, label) in enumerate(zip(group, widths, labels, strict=True)):
            part = result
            if len(group) > 1:
                part = Value(label, width, whole=result, piece=number)
            if found.rest:
                found.value = part
            else:
                self._values[found.node.index] = part

    def _name_of_sum(self, node: Node) -> str:
        if node.index in self._names:
            return (
                f"sum_{self._names[node.index]}" if self._sums[node.index].rest else self._names[node.index]
            )
        return f"sum_{self._readers[node.index]}" if node.index in self._readers else f"sum_{node.index}"

    def _bias(self, found: "_Sum", width: int) -> Numbers:
        total = np.zeros(width, np.float32)
        for one in found.vectors:
            total = total + self._weights[one.name]
        return total.astype(np.float32)

    def _write(self, node: Node) -> None:
        """Write an operation whose units read other units."""
        source = self._value(_arguments(node)[0])
        axes = node.arguments[0].axes or (1,)
        result = self._values[node.index] = Value(self._name(node), node.width or 1)
        kind, row = node.operation, operation(node.operation)
        how: Kind
        if row.reduction:
            how = "max" if kind in ("max", "largest") else "mean" if kind == "mean" else "sum"
            self._instructions.append(Reduction(how, source, result, 1, source.width, 1))
        elif row.across is not None:
            self._across(kind, int(node.arguments[1].value), source, result)
        elif kind in ("axis_sum", "axis_max", "axis_shift"):
            axis = node.details[0]
            outer, inner = math.prod(axes[:axis]), math.prod(axes[axis + 1 :])
            how = "sum" if kind == "axis_sum" else "max"
            self._instructions.append(Reduction(how, source, result, outer, axes[axis], inner))
        elif kind in _AXES:
            self._instructions.append(_moved(node, source, result))
        else:
            raise ArgumentError(f"operation: {kind} has no rendering as machine code for one step")

    def _across(self, kind: str, number: int, source: Value, result: Value) -> None:
        write = self._instructions.append
        if kind in ("cumulative_sum", "reverse_cumulative_sum"):
            write(Cumulative(source, result, number, kind != "cumulative_sum"))
        elif kind == "shift":
            count = source.width - abs(number)
            of, to = max(-number, 0), max(number, 0)
            write(Move(source, result, (count,), (of, (1,)), (to, (1,)), clears=True))
        elif kind == "repeat":
            write(Move(source, result, (source.width, number), (0, (1, 0)), (0, (number, 1))))
        else:
            write(Reduction("sum", source, result, source.width // number, number, 1))

    def _write_map(self, width: int, nodes: Sequence[Node], everything: Sequence[Node]) -> None:
        """Write elementwise operations of one level; what others read is kept."""
        made: dict[int, Elementwise] = {}
        operations: list[Elementwise] = []

        def given(node: Node) -> Elementwise | Value | float:
            if node.operation == "constant":
                return node.value
            return made[node.index] if node.index in made else self._value(node)

        for node in nodes:
            found = self._sums.get(node.index)
            name = self._names.get(node.index, "")
            if found is None:
                operations.append(Elementwise(node.operation, tuple(map(given, _arguments(node))), name))
            else:
                assert found.value is not None
                total: Elementwise | Value = found.value
                for one in found.rest:
                    total = Elementwise("add", (total, given(one)), name)
                    operations.append(total)
            made[node.index] = operations[-1]
        outside = {node.index for node in self._outputs}
        for node in everything:
            if node.index not in made:
                outside.update(one.index for one in self._needed_by(node))
        results = []
        for node in nodes:
            if node.index in outside:
                self._values[node.index] = Value(self._name(node), width)
                results.append((made[node.index], self._values[node.index]))
        self._instructions.append(Map(width, tuple(operations), tuple(results)))

    def _needed_by(self, node: Node) -> Sequence[Node]:
        found = self._sums.get(node.index)
        if found is None:
            return _arguments(node)
        return [*(_whole(one.arguments[1]) for one in found.maps), *found.rest]


@dataclass(eq=False)
class _Sum:
    """A sum of products, biases and other values; `value` is that of its products and biases."""

    node: Node
    maps: list[Node]
    vectors: list[Node]
    rest: list[Node]
    inside: list[Node]
    value: Value | None = None


def _whole(node: Node) -> Node:
    """Return the node whose numbers a node has: a view of a value is the value."""
    while node.operation in _SAME:
        node = node.arguments[0]
    return node


def _arguments(node: Node) -> tuple[Node, ...]:
    return tuple(_whole(one) for one in node.arguments)


def _is_elementwise(node: Node) -> bool:
    return node.operation != "linear" and renders(node.operation)


def _read(outputs: Sequence[Node]) -> list[Node]:
    """Return the nodes that the values of the outputs depend on, in order, without views."""
    found: dict[int, Node] = {}
    waiting = list(outputs)
    while waiting:
        node = waiting.pop()
        if node.index not in found:
            found[node.index] = node
            waiting.extend(_arguments(node))
    return [found[index] for index in sorted(found)]


def _strides(axes: Sequence[int]) -> tuple[int, ...]:
    return tuple(math.prod(axes[place + 1 :]) for place in range(len(axes)))


def _moved(node: Node, source: Value, result: Value) -> Move:
    """Return the move of an operation on axes that computes nothing."""
    given, axes = node.arguments[0].axes, node.axes
    of, to = _strides(given), _strides(axes)
    if node.operation == "expand":
        repeated = tuple(
            0 if size == 1 and asked != 1 else step for size, asked, step in zip(given, axes, of, strict=True)
        )
        return Move(source, result, axes, (0, repeated), (0, to))
    first, _ = node.details
    if node.operation == "part":
        return Move(source, result, axes, (first, of), (0, to))
    return Move(source, result, given, (0, of), (first, to), clears=True)


def decomposed(outputs: Sequence[Node]) -> dict[int, Node]:
    """Return for each node that outputs read the one in its place: made of operations with a rendering."""
    found: dict[int, Node] = {}
    for node in needed(list(outputs)):
        arguments = tuple(found[one.index] for one in node.arguments)
        row = None if node.operation in LEAVES or node.operation == "linear" else operation(node.operation)
        if row is not None and row.decomposition is not None and not renders(node.operation):
            whole: Node = row.decomposition(*arguments, *node.details)
            found[node.index] = _simple(whole)
        elif all(one is other for one, other in zip(arguments, node.arguments, strict=True)):
            found[node.index] = node
        else:
            found[node.index] = node.trace.make(
                node.operation, arguments, node.width, node.name, node.value, node.axes, node.details
            )
    return found


def _simple(node: Node) -> Node:
    """Return a decomposition whose own operations have renderings."""
    return decomposed([node])[node.index]
