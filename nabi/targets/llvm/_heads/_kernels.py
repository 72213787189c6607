"""Writes the two kernels of a program with heads: every (row, head) by itself, step by step.

Forward, the state of a head stays in a thread's working memory; at the start of every chunk of steps it is
copied for the backward pass. Backward, chunk by chunk from the last: the steps of a chunk are computed again
into a ring of states that fits into the second-level cache, then the derivative goes through them backward.
No thread waits for another.

Where steps multiply weights, a thread takes four rows together, step by step: loops of one row after the
other, then a product for all that still have a step. Rows are sorted by length, so these come first.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from llvmlite import ir

from nabi.ir import Node
from nabi.native.kernel_function import KernelFunction, smaller
from nabi.native.vectors import BYTE, INDEX, Loop, Vectors, index
from nabi.targets.llvm._heads._loops import StepWriter
from nabi.targets.llvm._heads._plan import HeadsKernel, Target
from nabi.targets.llvm._heads._product_loops import write_product
from nabi.targets.llvm._heads._products import Product
from nabi.targets.llvm._heads._schedule import Schedule
from nabi.targets.llvm._heads._shapes import REDUCTIONS

__all__ = ["write_module"]


def write_module(kernel: HeadsKernel) -> ir.Module:
    """Write the module of a kernel."""
    writer = _Forward(kernel) if kernel.name == "forward" else _Backward(kernel)
    return writer.write()


@dataclass(eq=False)
class _Step:
    """Where a step finds its values and leaves its results.

    Attributes:
        memory: of values, by node.
        before: what is copied first: from, to, how many numbers, and whether they are added.
        after: what is copied last.
        adds: sums over the steps, by node.
        overwritten: states whose memory gets the new value, by that value.
        moved: states whose new value lies beside the old one.
        lines: how far values of the next row are, by node, where they are in no working memory.
    """

    memory: dict[int, Any]
    lines: dict[int, Any] = field(default_factory=dict)
    before: list[tuple[Any, Any, int, bool]] = field(default_factory=list)
    after: list[tuple[Any, Any, int, bool]] = field(default_factory=list)
    adds: dict[int, Any] = field(default_factory=dict)
    overwritten: dict[int, Node] = field(default_factory=dict)
    moved: list[int] = field(default_factory=list)


class _Writer:
    """What both directions share."""

    def __init__(self, kernel: HeadsKernel) -> None:
        self.kernel, self.heads = kernel, kernel.places.heads
        self.lanes = kernel.machine.lanes(kernel.dtype)
        self.k = KernelFunction(
            kernel.name, kernel.dtype, self.lanes, kernel.arguments, kernel.machine.architecture
        )
        self.b, self.v = self.k.b, self.k.v

    def write(self) -> ir.Module:
        """Write the kernel."""
        b, k, together = self.b, self.k, self.kernel.together
        self.pairs = b.mul(k["batch"], index(self.heads.count))
        first = b.sdiv(b.mul(self.pairs, k.thread), k.threads)
        stop = b.sdiv(b.mul(self.pairs, b.add(k.thread, index(1))), k.threads)
        start = b.mul(k.thread, index(self.kernel.scratch_size * together))
        at = 0
        self._own: dict[str, Any] = {}
        for name, size in self.kernel.scratch.items():
            self._own[name] = self.v.address(k["scratch"], b.add(start, index(at)))
            at += size
        loop = Loop(b, first, stop, together)
        self._first = loop.at
        self.count = smaller(b, index(together), b.sub(stop, loop.at)) if together > 1 else index(1)
        heads = index(self.heads.count)
        self.row, self.head, self.scratch = b.sdiv(loop.at, heads), b.srem(loop.at, heads), self._own
        lengths = b.gep(k["lengths"], [self.row], source_etype=INDEX)
        # Rows are sorted by length: no later one of a block has more steps.
        self.steps = b.load(lengths, align=8, typ=INDEX)
        self.block()
        loop.close()
        b.ret_void()
        return k.module

    def enter(self, number: Any) -> None:
        """Turn to one of the (row, head) that are computed together."""
        b = self.b
        if self.kernel.together == 1:
            return
        self.row, self.head = b.add(self._first, number), index(0)
        move = b.mul(number, index(self.kernel.scratch_size))
        self.scratch = {name: self.v.address(place, move) for name, place in self._own.items()}

    @contextmanager
    def each(self, count: Any) -> Iterator[None]:
        """Write a loop over so many of the (row, head) that are computed together."""
        if self.kernel.together == 1:
            yield
            return
        loop = Loop(self.b, 0, count)
        self.enter(loop.at)
        yield
        loop.close()

    def active(self, step: Any) -> Any:
        """Return how many of them have a step."""
        b, k = self.b, self.k
        if self.kernel.together == 1:
            return self.count
        first, stop = (
            b.load(b.gep(k["offset"], [at], source_etype=INDEX), align=8, typ=INDEX)
            for at in (step, b.add(step, index(1)))
        )
        return smaller(b, self.count, b.sub(b.sub(stop, first), self._first))

    def block(self) -> None:
        """Write everything for the (row, head) that are computed together."""
        raise NotImplementedError

    def share(self, name: str, row: Any, width: int, size: int) -> Any:
        """Return where a head's share lies in an array of rows."""
        b = self.b
        at = b.add(b.mul(row, index(width)), b.mul(self.head, index(size)))
        return self.v.address(self.k[name], at)

    def copy(self, source: Any, target: Any, size: int, add: bool = False) -> None:
        """Copy numbers, or add them to what is there."""
        lanes = self.lanes
        while size % lanes:
            lanes //= 2
        v = Vectors(self.b, self.kernel.dtype, lanes)
        loop = Loop(self.b, 0, size, lanes)
        value = v.load(source, loop.at)
        v.store(v.add(v.load(target, loop.at), value) if add else value, target, loop.at)
        loop.close()

    def clear(self, target: Any, size: int) -> None:
        """Set numbers to zero."""
        lanes = self.lanes
        while size % lanes:
            lanes //= 2
        v = Vectors(self.b, self.kernel.dtype, lanes)
        loop = Loop(self.b, 0, size, lanes)
        v.store(v.zero, target, loop.at)
        loop.close()

    def row_of(self, step: Any) -> Any:
        """Return the row of this sequence's step."""
        place = self.b.gep(self.k["offset"], [step], source_etype=INDEX)
        return self.b.add(self.b.load(place, align=8, typ=INDEX), self.row)

    def clear_where(self, flags: str, row: Any, states: Mapping[int, Any]) -> None:
        """Set states to zero where a row has a flag, if the kernel knows such flags."""
        if flags not in self.k.arguments:
            return
        b = self.b
        place = b.gep(self.k[flags], [row], source_etype=BYTE)
        with b.if_then(b.icmp_unsigned("!=", b.load(place, align=1, typ=BYTE), BYTE(0))):
            for i, state in states.items():
                self.clear(state, self.kernel.sizes[i])

    def inputs(self, row: Any, step: _Step) -> None:
        """Say where the values from outside the loop lie for a row."""
        b = self.b
        for j, node in enumerate(self.kernel.inputs):
            line = step.lines[node.index] = self.k[f"line_in_{j}"]
            at = b.mul(row, line)
            if not self.heads.is_shared(node):
                at = b.add(at, b.mul(self.head, index(self.heads.size(node))))
            step.memory[node.index] = self.v.address(self.k[f"in_{j}"], at)

    def columns(self, row: Any) -> list[tuple[Target, Any, Any]]:
        """Return where the values that are wanted outside the loop go, and how far those of the next row."""
        b, found = self.b, []
        for j, target in enumerate(self.kernel.columns):
            line = self.k[f"line_out_{j}"]
            at = b.add(b.mul(row, line), b.mul(self.head, index(self.heads.size(target.node))))
            found.append((target, self.v.address(self.k[f"out_{j}"], at), line))
        return found

    def scratch_of(self, schedule: Schedule, prefix: str) -> dict[int, Any]:
        """Return the working memory of what a schedule keeps."""
        found = {i: self.scratch[name] for i in schedule.kept if (name := f"{prefix}_{i}") in self.scratch}
        for name, product in self.products(prefix):
            found.update({n.index: self.v.address(self.scratch[name], at) for n, at in product.results})
        return found

    def products(self, prefix: str) -> list[tuple[str, Product]]:
        """Return the products of a schedule."""
        return [(name, one) for name, one in self.kernel.products.items() if name.startswith(prefix)]

    def place(
        self,
        targets: Sequence[tuple[Target, Any]],
        step: _Step,
        prefix: str,
        columns: Sequence[tuple[Target, Any, Any]] = (),
    ) -> None:
        """Say where targets lie; what no loop writes there is copied before or after the loops."""
        results = {node.index for _, product in self.products(prefix) for node, _ in product.results}
        placed: dict[int, Any] = {index: step.memory[index] for index in results}
        for target, pointer, line in [*((*one, None) for one in targets), *columns]:
            size = self.heads.size(target.node)
            if target.root is None:
                step.before.append((self._given(target.node, step.memory), pointer, size, False))
            elif target.root.index in placed:
                step.after.append((placed[target.root.index], pointer, size, False))
            else:
                placed[target.root.index] = step.memory[target.root.index] = pointer
                if line is not None:
                    step.lines[target.root.index] = line

    def _given(self, node: Node, memory: dict[int, Any]) -> Any:
        return memory[self._found(node, memory)]

    def _found(self, node: Node, memory: dict[int, Any]) -> int:
        while node.index not in memory:
            node = node.arguments[0]
        return node.index

    def run(
        self,
        schedule: Schedule,
        prefix: str,
        active: Any,
        step_of: Callable[[], _Step],
        begin: Callable[[], None],
        end: Callable[[_Step], None],
    ) -> None:
        """Write a step of the (row, head) that have one: loops for each, and products for all.

        Args:
            schedule: the loops.
            prefix: of the names of its memory.
            active: how many have a step.
            step_of: says where values lie for the one that is turned to.
            begin: writes what comes before the loops.
            end: writes what comes after them.
        """
        # Loops before every product, none if it comes first.
        parts: list[tuple[list[Any], int]] = []
        for is_product, some in groupby(schedule.loops, lambda loop: loop.product is not None):
            if not is_product:
                parts.append((list(some), 0))
                continue
            if not parts:
                parts.append(([], 0))
            parts[-1] = (parts[-1][0], len(list(some)))
        if not parts or parts[-1][1]:
            parts.append(([], 0))
        products = iter(self.products(prefix))
        for number, (loops, count) in enumerate(parts):
            with self.each(active):
                if number == 0:
                    begin()
                step = step_of()
                if number == 0:
                    self._copies(step.before)
                if loops:
                    self._loops(schedule, step, loops)
                if number == len(parts) - 1:
                    self._copies(step.after)
                    end(step)
            for _ in range(count):
                self._product(*next(products), active, step_of)

    def _copies(self, copies: Sequence[tuple[Any, Any, int, bool]]) -> None:
        for source, target, size, add in copies:
            self.copy(source, target, size, add)

    def _loops(self, schedule: Schedule, step: _Step, loops: Sequence[Any]) -> None:
        # A sum over an axis that a loop's registers cannot carry adds up in memory, over the steps as well.
        memory, adds = step.memory, step.adds
        running = frozenset(i for i in adds if i in memory and memory[i] is adds[i])
        adds = {i: place for i, place in adds.items() if i not in running}
        StepWriter(
            self.b, self.kernel.dtype, self.lanes, schedule, memory, adds, running, step.overwritten
        ).write(loops)

    def _product(self, name: str, product: Product, active: Any, step_of: Callable[[], _Step]) -> None:
        b, kernel = self.b, self.kernel
        self.enter(index(0))
        step, own, result = step_of(), index(kernel.scratch_size), self.scratch[name]
        found = [self._found(node, step.memory) for node in product.operands]
        pieces = [(step.memory[place], step.lines.get(place, own)) for place in found]

        def places(number: Any) -> tuple[list[Any], Any]:
            moved = [self.v.address(place, b.mul(number, line)) for place, line in pieces]
            return moved, self.v.address(result, b.mul(number, own))

        widths = [node.width or 1 for node in product.operands]
        weights, registers = self.k[f"weights_{name}"], kernel.machine.registers
        write_product(b, self.v, weights, widths, places, active, product.width, registers)


class _Forward(_Writer):
    def block(self) -> None:
        kernel, b = self.kernel, self.b
        widths = kernel.program.state_widths
        with self.each(self.count):
            for i, size in kernel.sizes.items():
                place = self.share(f"initial_{i}", self.row, widths[i], size)
                self.copy(place, self.scratch[f"state_{i}"], size)
        loop = Loop(b, 0, self.steps)
        at = loop.at
        self.run(
            kernel.schedule, "value", self.active(at),
            lambda: self._step(at), lambda: self._begin(at), lambda step: self._end(step, at),
        )  # fmt: skip
        loop.close()
        with self.each(self.count):
            for i, size in kernel.sizes.items():
                place = self.share(f"final_{i}", self.row, widths[i], size)
                self.copy(self.scratch[f"state_{i}"], place, size)

    def _begin(self, at: Any) -> None:
        kernel, k, b = self.kernel, self.k, self.b
        self.clear_where("zero", self.row_of(at), {i: self.scratch[f"state_{i}"] for i in kernel.sizes})
        if not kernel.save:
            return
        widths, chunk = kernel.program.state_widths, index(kernel.chunk)
        with b.if_then(b.icmp_signed("==", b.srem(at, chunk), index(0))):
            start = b.add(b.mul(b.sdiv(at, chunk), k["batch"]), self.row)
            for i, size in kernel.sizes.items():
                place = self.share(f"check_{i}", start, widths[i], size)
                self.copy(self.scratch[f"state_{i}"], place, size)

    def _step(self, at: Any) -> _Step:
        kernel, row = self.kernel, self.row_of(at)
        step = _Step(self.scratch_of(kernel.schedule, "value"))
        self.inputs(row, step)
        step.memory.update({leaf.index: self.scratch[f"state_{i}"] for i, leaf in kernel.leaves.items()})
        targets: list[tuple[Target, Any]] = []
        for i, target in kernel.states.items():
            root = target.root
            if (
                root is not None
                and root.index not in step.overwritten
                and kernel.is_overwritten(kernel.leaves[i], root)
            ):
                step.overwritten[root.index] = kernel.leaves[i]
                targets.append((target, self.scratch[f"state_{i}"]))
            else:
                step.moved.append(i)
                targets.append((target, self.scratch[f"next_{i}"]))
        self.place(targets, step, "value", self.columns(row))
        return step

    def _end(self, step: _Step, at: Any) -> None:
        kernel, widths = self.kernel, self.kernel.program.state_widths
        for i in step.moved:
            self.copy(self.scratch[f"next_{i}"], self.scratch[f"state_{i}"], kernel.sizes[i])
        for i in kernel.keep:
            if i in kernel.sizes:
                size = kernel.sizes[i]
                place = self.share(f"rows_{i}", self.row_of(at), widths[i], size)
                self.copy(self.scratch[f"state_{i}"], place, size)


class _Backward(_Writer):
    def block(self) -> None:
        kernel, b = self.kernel, self.b
        widths = kernel.program.state_widths
        with self.each(self.count):
            for i, size in kernel.sizes.items():
                place = self.share(f"final_{i}", self.row, widths[i], size)
                self.copy(place, self.scratch[f"cotangent_{i}"], size)
        chunk = index(kernel.chunk)
        chunks = b.sdiv(b.add(self.steps, index(kernel.chunk - 1)), chunk)
        outer = Loop(b, 0, chunks)
        number = b.sub(b.sub(chunks, index(1)), outer.at)
        first = b.mul(number, chunk)
        count = smaller(b, chunk, b.sub(self.steps, first))
        with self.each(self.active(first)):
            row = b.add(b.mul(number, self.k["batch"]), self.row)
            for i, size in kernel.sizes.items():
                self.copy(self.share(f"check_{i}", row, widths[i], size), self.scratch[f"ring_{i}"], size)
        forward = Loop(b, 0, count)
        self._replay(forward.at, b.add(first, forward.at))
        forward.close()
        back = Loop(b, 0, count)
        slot = b.sub(b.sub(count, index(1)), back.at)
        self._back(slot, b.add(first, slot))
        back.close()
        outer.close()
        with self.each(self.count):
            for i, size in kernel.sizes.items():
                place = self.share(f"initial_{i}", self.row, widths[i], size)
                self.copy(self.scratch[f"cotangent_{i}"], place, size)

    def _slot(self, name: str, slot: Any, size: int, after: int = 0) -> Any:
        at = self.b.mul(self.b.add(slot, index(after)) if after else slot, index(size))
        return self.v.address(self.scratch[name], at)

    def _ring(self, slot: Any) -> dict[int, Any]:
        """Return where the states before and after a step lie, and its saved values."""
        kernel = self.kernel
        found = {
            leaf.index: self._slot(f"ring_{i}", slot, kernel.sizes[i]) for i, leaf in kernel.leaves.items()
        }
        for (target, _), pointer in zip(self._replayed(slot), self._places(slot), strict=True):
            if target.root is not None:
                found.setdefault(target.root.index, pointer)
        return found

    def _places(self, slot: Any) -> list[Any]:
        return [pointer for _, pointer in self._replayed(slot)]

    def _replayed(self, slot: Any) -> list[tuple[Target, Any]]:
        kernel = self.kernel
        if kernel.zeros:
            places = [self._slot(f"after_{i}", slot, size) for i, size in kernel.sizes.items()]
        else:
            places = [self._slot(f"ring_{i}", slot, size, after=1) for i, size in kernel.sizes.items()]
        places += [self._slot(f"saved_{n.index}", slot, self.heads.size(n)) for n in kernel.saved]
        return list(zip(kernel.replayed, places, strict=True))

    def _replay(self, slot: Any, at: Any) -> None:
        kernel = self.kernel

        def before() -> dict[int, Any]:
            return {i: self._slot(f"ring_{i}", slot, size) for i, size in kernel.sizes.items()}

        def step_of() -> _Step:
            step = _Step(self.scratch_of(kernel.replay, "replay"))
            self.inputs(self.row_of(at), step)
            places = before()
            step.memory.update({leaf.index: places[i] for i, leaf in kernel.leaves.items()})
            self.place(self._replayed(slot), step, "replay")
            return step

        def end(_step: _Step) -> None:
            if kernel.zeros:
                for i, size in kernel.sizes.items():
                    after = self._slot(f"after_{i}", slot, size)
                    self.copy(after, self._slot(f"ring_{i}", slot, size, after=1), size)

        def begin() -> None:
            self.clear_where("zero", self.row_of(at), before())

        self.run(kernel.replay, "replay", self.active(at), step_of, begin, end)

    def _back(self, slot: Any, at: Any) -> None:
        self.run(
            self.kernel.schedule, "value", self.active(at),
            lambda: self._step(slot, at), lambda: self._begin(at), lambda step: self._end(step, at),
        )  # fmt: skip

    def _begin(self, at: Any) -> None:
        kernel, row = self.kernel, self.row_of(at)
        for i in kernel.given:
            size = kernel.sizes[i]
            place = self.share(f"given_{i}", row, kernel.program.state_widths[i], size)
            self.copy(place, self.scratch[f"cotangent_{i}"], size, add=True)

    def _step(self, slot: Any, at: Any) -> _Step:
        kernel, row = self.kernel, self.row_of(at)
        step = _Step(self.scratch_of(kernel.schedule, "value"))
        self.inputs(row, step)
        step.memory.update(self._ring(slot))
        for i, leaf in kernel.cotangent_leaves.items():
            step.memory[leaf.index] = self.scratch[f"cotangent_{i}"]
        targets: list[tuple[Target, Any]] = []
        for i, target in kernel.cotangents.items():
            root, leaf = target.root, kernel.cotangent_leaves[i]
            if root is not None and root.index not in step.overwritten and kernel.is_overwritten(leaf, root):
                step.overwritten[root.index] = leaf
                targets.append((target, self.scratch[f"cotangent_{i}"]))
            else:
                step.moved.append(i)
                targets.append((target, self.scratch[f"next_{i}"]))
        self.place(targets, step, "value", self.columns(row))
        for name, target in kernel.sums.items():
            size = self.heads.size(target.node)
            place = self.share(f"sum_{name}", self.row, target.node.width or 1, size)
            self._sum(target, place, size, step)
        return step

    def _end(self, step: _Step, at: Any) -> None:
        kernel = self.kernel
        for i in kernel.sizes:
            if i not in kernel.cotangents:
                self.clear(self.scratch[f"cotangent_{i}"], kernel.sizes[i])
        for i in step.moved:
            self.copy(self.scratch[f"next_{i}"], self.scratch[f"cotangent_{i}"], kernel.sizes[i])
        cotangents = {i: self.scratch[f"cotangent_{i}"] for i in kernel.sizes}
        self.clear_where("cut", self.row_of(at), cotangents)

    def _sum(self, target: Target, place: Any, size: int, step: _Step) -> None:
        """Say how a value is summed over the steps."""
        root = target.root
        if root is None:
            step.before.append((self._given(target.node, step.memory), place, size, True))
            return
        readers = self._readers(root)
        if root.operation in REDUCTIONS and not readers and root.index not in step.adds:
            axis, shape = self.heads.axis(root), self.heads.shape(root.arguments[0])
            if root.operation == "axis_sum" and axis < len(shape) - 2:
                step.memory[root.index] = step.adds[root.index] = place
                return
        step.after.append((step.memory[root.index], place, size, True))

    def _readers(self, root: Node) -> bool:
        return any(
            argument.index == root.index
            for loop in self.kernel.schedule.loops
            for item in loop.items
            for argument in item.arguments
        )
