"""Writes the loops of a schedule for a head: vectors along the last axis, other sums in registers.

Every value lies contiguously, one head's share after the other, so the number of lanes is the largest power
of two that divides the last axis: no loop has a rest.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import inf, prod
from typing import Any

from llvmlite import ir

from nabi.ir import Node
from nabi.native.operations import apply
from nabi.native.vectors import Loop as LlvmLoop, Vectors, index
from nabi.targets.llvm._heads._schedule import Loop, Schedule, source_of
from nabi.targets.llvm._heads._shapes import REDUCTIONS, SUMS

__all__ = ["StepWriter"]

_INT32 = ir.IntType(32)
_UNROLLED = 8
"""Vectors of a row that are computed side by side."""


class StepWriter:
    """Writes one step.

    Args:
        builder: receives the instructions.
        dtype: `"float32"` or `"float64"`.
        lanes: of the machine's vectors.
        schedule: the loops.
        memory: where the values in memory lie for this head, by node.
        adds: values that are also added to memory of their own, by node: sums over the steps.
        running: reductions whose memory is such a sum itself: they add to what is there.
        overwritten: states in whose memory their loop writes the new value, by that value.
    """

    def __init__(
        self,
        builder: ir.IRBuilder,
        dtype: str,
        lanes: int,
        schedule: Schedule,
        memory: Mapping[int, Any],
        adds: Mapping[int, Any],
        running: frozenset[int] = frozenset(),
        overwritten: Mapping[int, Node] | None = None,
    ) -> None:
        self.b, self._dtype, self._lanes = builder, dtype, lanes
        self._schedule, self._heads = schedule, schedule.heads
        self._memory, self._adds, self._running = memory, adds, running
        self._overwritten = overwritten or {}
        self._items: frozenset[int] = frozenset()

    def write(self, loops: Iterable[Loop]) -> None:
        """Write loops of the schedule, in order."""
        for loop in loops:
            self._write(loop)

    def _vectors(self, size: int) -> Vectors:
        lanes = self._lanes
        while size % lanes:
            lanes //= 2
        return Vectors(self.b, self._dtype, lanes)

    def _write(self, loop: Loop) -> None:
        shape = loop.shape
        self._items, self._shape = frozenset(node.index for node in loop.items), shape
        last = shape[-1] if shape else 1
        # Single numbers of a last axis do not lie side by side.
        narrow = any(self._is_narrow(node) for node in loop.items)
        self.v = v = Vectors(self.b, self._dtype, 1) if narrow else self._vectors(last)
        vectors = last // v.lanes
        self._unrolled = unrolled = max(u for u in range(1, _UNROLLED + 1) if vectors % u == 0)
        blocks = vectors // unrolled
        reductions = [node for node in loop.items if node.operation in REDUCTIONS]
        inner = self._inner(reductions, len(shape))
        carried = [n for n in reductions if len(shape) > 1 and self._heads.axis(n) == inner]
        in_registers = {node.index: number for number, node in enumerate(carried)}
        others = [n for n in reductions if n.index not in in_registers]
        for node in others:
            # One pass over a whole row needs no start.
            if node.index in self._running:
                continue
            if self._heads.axis(node) != len(shape) - 1 or blocks > 1:
                self._fill(node, _start(node))
        for node in loop.items:
            if node.operation == "pad":
                self._fill(node, 0.0)
        outer = [self._loop(size) for axis, size in enumerate(shape[:-1]) if axis != inner]
        block = self._loop(blocks) if blocks > 1 else None
        first: Any = index(0)
        if block is not None:
            first = self.b.mul(block.at, index(unrolled * v.lanes))
        rows = None
        start = [v.constant(_start(node)) for node in carried for _ in range(unrolled)]
        if len(shape) > 1:
            rows = LlvmLoop(self.b, 0, shape[inner], carried=start)
        at = [one.at for one in outer]
        if rows is not None:
            at.insert(inner, rows.at)
        sums = self._body(loop, at, first, rows.carried if rows is not None else [], in_registers, blocks)
        if rows is not None:
            sums = rows.close(sums)
        for number, node in enumerate(carried):
            for u in range(unrolled):
                place, value = [one.at for one in outer], sums[number * unrolled + u]
                if node.index in self._running:
                    value = v.add(v.load(self._address(node, place, first, u)), value)
                self._store(node, value, place, first, u)
        if block is not None:
            block.close()
        for one in reversed(outer):
            one.close()

    def _inner(self, reductions: Sequence[Node], count: int) -> int:
        """Return the leading axis that the innermost loop runs over: one whose sums it carries in registers.

        Of three axes, sums over the first would else be loaded and stored for each of its places.
        """
        axes = {self._heads.axis(node) for node in reductions} - {count - 1}
        return count - 2 if not axes or count - 2 in axes else max(axes)

    def _loop(self, size: int) -> LlvmLoop:
        return LlvmLoop(self.b, 0, size)

    def _body(
        self,
        loop: Loop,
        at: Sequence[Any],
        first: Any,
        sums: Sequence[Any],
        carried: Mapping[int, int],
        blocks: int,
    ) -> list[Any]:
        """Write what is done for a block of a row; returns the carried sums."""
        found = list(sums)
        self._splats: dict[tuple[int, str], Any] = {}
        rests: dict[int, Any] = {}
        for u in range(self._unrolled):
            self._known: dict[int, Any] = {}
            for node in loop.items:
                # Before its memory gets the new value.
                if node.index in self._overwritten and self._overwritten[node.index].index in self._memory:
                    self._value(self._overwritten[node.index], at, first, u)
            for node in loop.items:
                if node.index in carried:
                    place = carried[node.index] * self._unrolled + u
                    found[place] = self._combined(node, found[place], at, first, u)
                elif node.operation in REDUCTIONS:
                    self._reduce(node, loop, at, first, u, rests, blocks)
                elif node.operation == "pad":
                    value = self._value(node.arguments[0], at, first, u)
                    if self._is_narrow(node):
                        place = self._in_last(node, loop.shape, at, first, u, node.details[0])
                        self.v.store(value, place)
                    else:
                        self._store(node, value, at, first, u, shift=node.details[0])
                else:
                    value = self._value(node, at, first, u)
                    if node.index in self._schedule.kept:
                        self._store(node, value, at, first, u)
        return found

    def _combined(self, node: Node, old: Any, at: Sequence[Any], first: Any, u: int) -> Any:
        """Return a sum, or a maximum, with one more value."""
        given = node.arguments[0]
        if node.operation not in SUMS:
            return apply(self.v, "maximum", old, self._value(given, at, first, u))
        if self._is_fresh_product(given):
            one, two = (self._value(argument, at, first, u) for argument in given.arguments)
            return self.v.fma(one, two, old)
        return self.v.add(old, self._value(given, at, first, u))

    def _reduce(
        self,
        node: Node,
        loop: Loop,
        at: Sequence[Any],
        first: Any,
        u: int,
        rests: dict[int, Any],
        blocks: int,
    ) -> None:
        """Reduce the last axis, or one that memory has to carry."""
        axis = self._heads.axis(node)
        if axis < len(loop.shape) - 1:
            place = [*at[:axis], *at[axis + 1 :]]
            address = self._address(node, place, first, u)
            self._store(node, self._combined(node, self.v.load(address), at, first, u), place, first, u)
            return
        given = node.arguments[0]
        old = rests.get(node.index)
        rests[node.index] = (
            self._value(given, at, first, u) if old is None else self._combined(node, old, at, first, u)
        )
        if u < self._unrolled - 1:
            return
        value = self._folded(node, rests[node.index])
        if node.operation == "mean":
            value = self.b.fmul(value, ir.Constant(value.type, 1 / self._heads.size(given)))
        self._add(node, None, value, at, None, 0)
        address = self._address(node, at, None, 0)
        if blocks > 1:
            before = self.v.load_scalar(address)
            one = Vectors(self.b, self._dtype, 1)
            if node.operation in SUMS:
                value = self.b.fadd(before, value)
            else:
                both = apply(one, "maximum", one.splat(before), one.splat(value))
                value = self.b.extract_element(both, _INT32(0))
        self.v.store_scalar(value, address)

    def _folded(self, node: Node, value: Any) -> Any:
        """Return the sum or the maximum of all lanes, halves first."""
        lanes = self.v.lanes
        while lanes > 1:
            half = lanes // 2
            one, two = (
                self.b.shuffle_vector(
                    value, ir.Constant(value.type, ir.Undefined),
                    ir.Constant(ir.VectorType(_INT32, half), [_INT32(start + lane) for lane in range(half)]),
                )
                for start in (0, half)
            )  # fmt: skip
            v = Vectors(self.b, self._dtype, half)
            value = v.add(one, two) if node.operation in SUMS else apply(v, "maximum", one, two)
            lanes = half
        return self.b.extract_element(value, _INT32(0))

    def _fill(self, node: Node, value: float) -> None:
        """Set a value to a number, wherever its loop does not write or adds to what is there."""
        size = self._heads.size(node)
        v = self._vectors(size)
        loop = LlvmLoop(self.b, 0, size, v.lanes)
        v.store(v.constant(value), self._memory[node.index], loop.at)
        loop.close()

    # Values -----------------------------------------------------------------------------------------------

    def _is_fresh_product(self, node: Node) -> bool:
        """Return whether a product is computed only for the sum that reads it."""
        places = (self._memory, self._known, self._items)
        return node.operation == "mul" and all(node.index not in place for place in places)

    def _value(self, node: Node, at: Sequence[Any], first: Any, u: int) -> Any:
        """Return a vector of a value: at these places of the leading axes, block and vector of the last."""
        if node.operation == "constant":
            return self.v.constant(node.value)
        if node.index in self._known:
            return self._known[node.index]
        if self._heads.is_number(node) and self._shape:
            found = self._splat(node, (), at)
        elif node.index in self._memory and node.index not in self._items:
            found = self.v.load(self._address(node, at, first, u))
        elif node.operation == "view":
            given = node.arguments[0]
            if self._heads.shape(node) == self._heads.shape(given):
                found = self._value(given, at, first, u)
            else:
                root = source_of(given, self._memory)
                place = self._place(self._memory[root.index], self._heads.shape(node), at, first, u)
                found = self.v.load(place)
        elif node.operation == "spread":
            found = self._value(node.arguments[0], at, first, u)
        elif node.operation == "expand":
            found = self._expanded(node, at, first, u)
        elif node.operation == "part":
            given, start = node.arguments[0], node.details[0]
            if self._is_narrow(node):
                place = self._in_last(given, self._heads.shape(node), at, first, u, start)
            else:
                place = self._address(given, at, first, u, shift=start)
            found = self.v.load(place)
        elif node.operation in ("add", "sub"):
            found = self._sum(node, at, first, u)
        else:
            arguments = [self._value(argument, at, first, u) for argument in node.arguments]
            found = apply(self.v, node.operation, *arguments)
        self._known[node.index] = found
        return found

    def _sum(self, node: Node, at: Sequence[Any], first: Any, u: int) -> Any:
        """Return a sum or difference, with a product as one multiply-add."""
        one, two = node.arguments
        minus = node.operation == "sub"
        for product, other, is_first in ((two, one, False), (one, two, True)):
            if self._is_fresh_product(product):
                a, b = (self._value(argument, at, first, u) for argument in product.arguments)
                c = self._value(other, at, first, u)
                if minus and is_first:
                    c = self.v.neg(c)
                elif minus:
                    a = self.v.neg(a)
                return self.v.fma(a, b, c)
        return apply(self.v, node.operation, *(self._value(n, at, first, u) for n in (one, two)))

    def _expanded(self, node: Node, at: Sequence[Any], first: Any, u: int) -> Any:
        """Return a value that is the same along some axes."""
        given, kept = node.arguments[0], self._heads.kept(node)
        if not kept:
            return self._splat(given, (), at)
        place = [one for one, has in zip(at, kept[:-1], strict=True) if has]
        if kept[-1]:
            return self.v.load(self._address(given, place, first, u))
        return self._splat(given, place, at)

    def _is_narrow(self, node: Node) -> bool:
        """Return whether a value takes one number of each last axis of another, or puts one there."""
        one = {"part": node, "pad": node.arguments[0] if node.arguments else node}.get(node.operation)
        return one is not None and self._heads.axes(one)[-1] == 1

    def _in_last(
        self, whole: Node, shape: tuple[int, ...], at: Sequence[Any], first: Any, u: int, place: int
    ) -> Any:
        """Return the address of one number of the last axis of a value, in a loop over the other axes."""
        root = source_of(whole, self._memory)
        leading = list(at)
        if shape:
            leading.append(self.b.add(first, index(u)))
        return self._place(self._memory[root.index], self._heads.shape(whole), leading, None, 0, place, True)

    def _splat(self, given: Node, place: Sequence[Any], at: Sequence[Any]) -> Any:
        # The same for all vectors of a row.
        key = (given.index, ",".join(str(id(one)) for one in place))
        if key not in self._splats:
            self._splats[key] = self.v.broadcast(self._address(given, place, None, 0))
        return self._splats[key]

    # Memory -----------------------------------------------------------------------------------------------

    def _address(self, node: Node, at: Sequence[Any], first: Any, u: int, shift: int = 0) -> Any:
        """Return the address of a number: places of the leading axes, and of the last if `first` is given."""
        root = node
        while root.index not in self._memory:
            root = root.arguments[0]
        return self._place(self._memory[root.index], self._heads.shape(node), at, first, u, shift)

    def _place(
        self,
        pointer: Any,
        shape: tuple[int, ...],
        at: Sequence[Any],
        first: Any,
        u: int,
        shift: int = 0,
        without_last: bool = False,
    ) -> Any:
        b = self.b
        sizes = shape if first is None and not without_last else shape[:-1]
        steps = [prod(shape[i + 1 :]) for i in range(len(sizes))]
        found: Any = None
        for one, step in zip(at, steps, strict=True):
            term = b.mul(one, index(step)) if step != 1 else one
            found = term if found is None else b.add(found, term)
        if first is not None and shape:
            found = first if found is None else b.add(found, first)
        offset = u * self.v.lanes + shift
        if offset:
            found = index(offset) if found is None else b.add(found, index(offset))
        return self.v.address(pointer, index(0) if found is None else found)

    def _store(self, node: Node, value: Any, at: Sequence[Any], first: Any, u: int, shift: int = 0) -> None:
        shape = self._heads.shape(node)
        self.v.store(value, self._place(self._memory[node.index], shape, at, first, u, shift))
        self._add(node, value, None, at, first, u)

    def _add(self, node: Node, value: Any, scalar: Any, at: Sequence[Any], first: Any, u: int) -> None:
        """Add a value to the sum over all steps."""
        if node.index not in self._adds:
            return
        address = self._place(self._adds[node.index], self._heads.shape(node), at, first, u)
        if value is None:
            self.v.store_scalar(self.b.fadd(self.v.load_scalar(address), scalar), address)
        else:
            self.v.store(self.v.add(self.v.load(address), value), address)


def _start(node: Node) -> float:
    return 0.0 if node.operation in SUMS else -inf
