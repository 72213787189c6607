"""Writes the two kernels of a program with heads: every (row, head) by itself, step by step.

Forward, the state of a head stays in a thread's working memory; at the start of every chunk of steps it is
copied for the backward pass. Backward, chunk by chunk from the last: the steps of a chunk are computed again
into a ring of states that fits into the second-level cache, then the derivative goes through them backward.
No thread waits for another.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from llvmlite import ir

from nabi.ir import Node
from nabi.native.kernel_function import KernelFunction, smaller
from nabi.native.vectors import BYTE, INDEX, Loop, Vectors, index
from nabi.targets.llvm._heads._loops import StepWriter
from nabi.targets.llvm._heads._plan import HeadsKernel, Target
from nabi.targets.llvm._heads._schedule import Schedule
from nabi.targets.llvm._heads._shapes import REDUCTIONS

__all__ = ["write_module"]


def write_module(kernel: HeadsKernel) -> ir.Module:
    """Write the module of a kernel."""
    writer = _Forward(kernel) if kernel.name == "forward" else _Backward(kernel)
    return writer.write()


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
        b, k = self.b, self.k
        heads = index(self.heads.count)
        pairs = b.mul(k["batch"], heads)
        first = b.sdiv(b.mul(pairs, k.thread), k.threads)
        stop = b.sdiv(b.mul(pairs, b.add(k.thread, index(1))), k.threads)
        start = b.mul(k.thread, index(self.kernel.scratch_size))
        at = 0
        self.scratch: dict[str, Any] = {}
        for name, size in self.kernel.scratch.items():
            self.scratch[name] = self.v.address(k["scratch"], b.add(start, index(at)))
            at += size
        loop = Loop(b, first, stop)
        self.row, self.head = b.sdiv(loop.at, heads), b.srem(loop.at, heads)
        lengths = b.gep(k["lengths"], [self.row], source_etype=INDEX)
        self.steps = b.load(lengths, align=8, typ=INDEX)
        self.pair()
        loop.close()
        b.ret_void()
        return k.module

    def pair(self) -> None:
        """Write everything for one head of one row."""
        raise NotImplementedError

    def share(self, name: str, row: Any, width: int, size: int) -> Any:
        """Return where a head's share lies in an array of rows."""
        b = self.b
        at = b.add(b.mul(row, index(width)), b.mul(self.head, index(size)))
        return self.v.address(self.k[name], at)

    def copy(self, source: Any, target: Any, size: int, *, add: bool = False) -> None:
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

    def inputs(self, row: Any) -> dict[int, Any]:
        """Return where the values from outside the loop lie for a row."""
        b, found = self.b, {}
        for j, node in enumerate(self.kernel.inputs):
            at = b.mul(row, self.k[f"line_in_{j}"])
            if not self.heads.is_shared(node):
                at = b.add(at, b.mul(self.head, index(self.heads.size(node))))
            found[node.index] = self.v.address(self.k[f"in_{j}"], at)
        return found

    def scratch_of(self, schedule: Schedule, prefix: str) -> dict[int, Any]:
        """Return the working memory of what a schedule keeps."""
        return {i: self.scratch[f"{prefix}_{i}"] for i in schedule.kept}

    def place(
        self,
        targets: Sequence[tuple[Target, Any]],
        memory: dict[int, Any],
    ) -> list[tuple[Any, Any, int]]:
        """Say where targets lie; copy what no loop computes; return what is to be copied after the loops."""
        later: list[tuple[Any, Any, int]] = []
        placed: dict[int, Any] = {}
        for target, pointer in targets:
            size = self.heads.size(target.node)
            if target.root is None:
                self.copy(self._given(target.node, memory), pointer, size)
            elif target.root.index in placed:
                later.append((placed[target.root.index], pointer, size))
            else:
                placed[target.root.index] = memory[target.root.index] = pointer
        return later

    def _given(self, node: Node, memory: dict[int, Any]) -> Any:
        while node.index not in memory:
            node = node.arguments[0]
        return memory[node.index]

    def run(
        self,
        schedule: Schedule,
        memory: dict[int, Any],
        adds: dict[int, Any] | None = None,
        overwritten: dict[int, Node] | None = None,
    ) -> None:
        """Write the loops of a step."""
        adds = adds or {}
        # A sum over an axis that a loop's registers cannot carry adds up in memory, over the steps as well.
        running = frozenset(i for i in adds if i in memory and memory[i] is adds[i])
        adds = {i: place for i, place in adds.items() if i not in running}
        StepWriter(
            self.b, self.kernel.dtype, self.lanes, schedule, memory, adds, running, overwritten
        ).write()


class _Forward(_Writer):
    def pair(self) -> None:
        kernel, k, b = self.kernel, self.k, self.b
        widths = kernel.program.state_widths
        for i, size in kernel.sizes.items():
            self.copy(self.share(f"initial_{i}", self.row, widths[i], size), self.scratch[f"state_{i}"], size)
        loop = Loop(b, 0, self.steps)
        row = self.row_of(loop.at)
        self.clear_where("zero", row, {i: self.scratch[f"state_{i}"] for i in kernel.sizes})
        if kernel.save:
            chunk = index(kernel.chunk)
            with b.if_then(b.icmp_signed("==", b.srem(loop.at, chunk), index(0))):
                start = b.add(b.mul(b.sdiv(loop.at, chunk), k["batch"]), self.row)
                for i, size in kernel.sizes.items():
                    place = self.share(f"check_{i}", start, widths[i], size)
                    self.copy(self.scratch[f"state_{i}"], place, size)
        memory = self.scratch_of(kernel.schedule, "value")
        memory.update(self.inputs(row))
        memory.update({leaf.index: self.scratch[f"state_{i}"] for i, leaf in kernel.leaves.items()})
        targets: list[tuple[Target, Any]] = []
        overwritten: dict[int, Node] = {}
        moved = []
        for i, target in kernel.states.items():
            root = target.root
            if (
                root is not None
                and root.index not in overwritten
                and kernel.is_overwritten(kernel.leaves[i], root)
            ):
                overwritten[root.index] = kernel.leaves[i]
                targets.append((target, self.scratch[f"state_{i}"]))
            else:
                moved.append(i)
                targets.append((target, self.scratch[f"next_{i}"]))
        for j, target in enumerate(kernel.columns):
            at = b.mul(row, self.k[f"line_out_{j}"])
            at = b.add(at, b.mul(self.head, index(self.heads.size(target.node))))
            targets.append((target, self.v.address(self.k[f"out_{j}"], at)))
        later = self.place(targets, memory)
        self.run(kernel.schedule, memory, None, overwritten)
        for source, target_place, size in later:
            self.copy(source, target_place, size)
        for i in moved:
            self.copy(self.scratch[f"next_{i}"], self.scratch[f"state_{i}"], kernel.sizes[i])
        for i in kernel.keep:
            if i in kernel.sizes:
                size = kernel.sizes[i]
                self.copy(self.scratch[f"state_{i}"], self.share(f"rows_{i}", row, widths[i], size), size)
        loop.close()
        for i, size in kernel.sizes.items():
            self.copy(self.scratch[f"state_{i}"], self.share(f"final_{i}", self.row, widths[i], size), size)


class _Backward(_Writer):
    def pair(self) -> None:
        kernel, b = self.kernel, self.b
        widths = kernel.program.state_widths
        for i, size in kernel.sizes.items():
            place = self.share(f"final_{i}", self.row, widths[i], size)
            self.copy(place, self.scratch[f"cotangent_{i}"], size)
        chunk = index(kernel.chunk)
        chunks = b.sdiv(b.add(self.steps, index(kernel.chunk - 1)), chunk)
        outer = Loop(b, 0, chunks)
        number = b.sub(b.sub(chunks, index(1)), outer.at)
        first = b.mul(number, chunk)
        count = smaller(b, chunk, b.sub(self.steps, first))
        row = b.add(b.mul(number, self.k["batch"]), self.row)
        for i, size in kernel.sizes.items():
            self.copy(self.share(f"check_{i}", row, widths[i], size), self.scratch[f"ring_{i}"], size)
        forward = Loop(b, 0, count)
        self._replay(forward.at, self.row_of(b.add(first, forward.at)))
        forward.close()
        back = Loop(b, 0, count)
        slot = b.sub(b.sub(count, index(1)), back.at)
        self._step(slot, self.row_of(b.add(first, slot)))
        back.close()
        outer.close()
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

    def _replay(self, slot: Any, row: Any) -> None:
        kernel = self.kernel
        before = {i: self._slot(f"ring_{i}", slot, size) for i, size in kernel.sizes.items()}
        self.clear_where("zero", row, before)
        memory = self.scratch_of(kernel.replay, "replay")
        memory.update(self.inputs(row))
        for i, leaf in kernel.leaves.items():
            memory[leaf.index] = before[i]
        later = self.place(self._replayed(slot), memory)
        self.run(kernel.replay, memory)
        for source, target, size in later:
            self.copy(source, target, size)
        if kernel.zeros:
            for i, size in kernel.sizes.items():
                after = self._slot(f"after_{i}", slot, size)
                self.copy(after, self._slot(f"ring_{i}", slot, size, after=1), size)

    def _step(self, slot: Any, row: Any) -> None:
        kernel, b = self.kernel, self.b
        widths = kernel.program.state_widths
        for i in kernel.given:
            size = kernel.sizes[i]
            place = self.share(f"given_{i}", row, widths[i], size)
            self.copy(place, self.scratch[f"cotangent_{i}"], size, add=True)
        memory = self.scratch_of(kernel.schedule, "value")
        memory.update(self.inputs(row))
        memory.update(self._ring(slot))
        for i, leaf in kernel.cotangent_leaves.items():
            memory[leaf.index] = self.scratch[f"cotangent_{i}"]
        targets: list[tuple[Target, Any]] = []
        overwritten: dict[int, Node] = {}
        moved = []
        for i, target in kernel.cotangents.items():
            root, leaf = target.root, kernel.cotangent_leaves[i]
            if root is not None and root.index not in overwritten and kernel.is_overwritten(leaf, root):
                overwritten[root.index] = leaf
                targets.append((target, self.scratch[f"cotangent_{i}"]))
            else:
                moved.append(i)
                targets.append((target, self.scratch[f"next_{i}"]))
        for j, target in enumerate(kernel.columns):
            at = b.mul(row, self.k[f"line_out_{j}"])
            at = b.add(at, b.mul(self.head, index(self.heads.size(target.node))))
            targets.append((target, self.v.address(self.k[f"out_{j}"], at)))
        later = self.place(targets, memory)
        adds: dict[int, Any] = {}
        added: list[tuple[Any, Any, int]] = []
        for name, target in kernel.sums.items():
            size = self.heads.size(target.node)
            place = self.share(f"sum_{name}", self.row, target.node.width or 1, size)
            self._sum(target, place, size, memory, adds, added)
        self.run(kernel.schedule, memory, adds, overwritten)
        for source, place, size in later:
            self.copy(source, place, size)
        for source, place, size in added:
            self.copy(source, place, size, add=True)
        for i in kernel.sizes:
            if i not in kernel.cotangents:
                self.clear(self.scratch[f"cotangent_{i}"], kernel.sizes[i])
        for i in moved:
            self.copy(self.scratch[f"next_{i}"], self.scratch[f"cotangent_{i}"], kernel.sizes[i])
        self.clear_where("cut", row, {i: self.scratch[f"cotangent_{i}"] for i in kernel.sizes})

    def _sum(
        self,
        target: Target,
        place: Any,
        size: int,
        memory: dict[int, Any],
        adds: dict[int, Any],
        added: list[tuple[Any, Any, int]],
    ) -> None:
        """Say how a value is summed over the steps."""
        root = target.root
        if root is None:
            self.copy(self._given(target.node, memory), place, size, add=True)
            return
        readers = self._readers(root)
        if root.operation in REDUCTIONS and not readers and root.index not in adds:
            axis, shape = self.heads.axis(root), self.heads.shape(root.arguments[0])
            if root.operation == "axis_sum" and axis < len(shape) - 2:
                memory[root.index] = adds[root.index] = place
                return
        added.append((memory[root.index], place, size))

    def _readers(self, root: Node) -> bool:
        return any(
            argument.index == root.index
            for loop in self.kernel.schedule.loops
            for item in loop.items
            for argument in item.arguments
        )
