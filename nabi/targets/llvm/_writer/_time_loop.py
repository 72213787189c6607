"""The loop over the steps of a chunk: each row and each block of vectors goes through time by itself.

What is carried from step to step (states, or their cotangents) stays in registers. Rows and units do not
depend on each other, so threads divide them as they like and wait for nobody on the way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nabi.ir import LEAVES, Node
from nabi.native.vectors import Loop, index, loop_over
from nabi.targets.llvm._plan._schedule import Pass, Schedule
from nabi.targets.llvm._plan._tiles import Columns, Tile
from nabi.targets.llvm._writer._passes import PassWriter, Place, Values

__all__ = ["Carried", "write_time_loop"]


@dataclass(frozen=True)
class Carried:
    """One value carried from step to step.

    Attributes:
        leaf: the node that reads it.
        result: the node that gives it to the next step; None for zeros.
        source: the address at which it begins, by sequence.
        target: the address at which it ends.
        entering: what becomes of it when a step begins, by row and place.
        leaving: what becomes of the result when a step ends.
    """

    leaf: Node
    result: Node | None
    source: Callable[[Any], Any]
    target: Callable[[Any], Any]
    entering: Callable[[Any, Place], Any] = lambda value, place: value
    leaving: Callable[[Any, Place], Any] = lambda value, place: value


def write_time_loop(
    memory: Any, schedule: Schedule, tiles: dict[Pass, Tile], carried: Sequence[Carried], backward: bool
) -> None:
    """Write the loop.

    Args:
        memory: the kernel's memory, which is also the frame of the values.
        schedule: what a step computes: passes without sums, one for each width.
        tiles: how many vectors of units go through time together.
        carried: the values carried.
        backward: whether from the last step to the first.
    """
    passes = {found.width: found for found in schedule.passes}
    for width in dict.fromkeys([*passes, *(one.leaf.width or 1 for one in carried)]):
        found = passes.get(width) or Pass(0, width)
        own = [one for one in carried if one.leaf.width == width]
        _Width(memory, schedule, found, tiles.get(found, Tile(1, 1)).vectors, own).write(backward)


class _Width:
    """Writes the loop for the values of one width."""

    def __init__(
        self, memory: Any, schedule: Schedule, found: Pass, vectors: int, carried: Sequence[Carried]
    ) -> None:
        self.memory, self.v, self.b, self.found, self.carried = memory, memory.v, memory.b, found, carried
        self.columns = Columns(found.width, self.v.lanes, vectors)
        self.passes = PassWriter(
            memory.v, schedule, {found: Tile(1, vectors)}, memory, memory.kernel.machine.registers
        )
        results = [one.result for one in carried if one.result is not None]
        self.fixed = _fixed([*found.stores, *results], schedule)

    def write(self, backward: bool) -> None:
        memory, b, k = self.memory, self.b, self.memory.k
        sequences = memory.sequences
        many = b.icmp_signed(">=", sequences, b.mul(k.shares, index(2)))
        rows, blocks = k.part_of_all(sequences), k.part_of_all(index(self.columns.tiles))
        first = b.select(many, rows[0], index(0)), b.select(many, index(0), blocks[0])
        stop = b.select(many, rows[1], sequences), b.select(many, index(self.columns.tiles), blocks[1])
        with loop_over(b, first[1], stop[1]) as block:
            start = b.mul(block, index(self.columns.vectors))
            vectors = [b.add(start, index(n)) for n in range(self.columns.vectors)]
            masks = [self.columns.mask(self.v, vector) for vector in vectors]
            places = [Place(index(0), vector, mask) for vector, mask in zip(vectors, masks, strict=True)]
            fixed = [self._load_fixed(place) for place in places]
            with loop_over(b, first[0], stop[0]) as sequence:
                self._sequence(sequence, places, fixed, backward)

    def _load_fixed(self, place: Place) -> dict[int, Any]:
        """Load what is the same at every step."""
        values = Values(self.found.level, place)
        return {node.index: self.passes.value(node, values) for node in self.fixed}

    def _sequence(
        self, sequence: Any, places: Sequence[Place], fixed: Sequence[dict[int, Any]], backward: bool
    ) -> None:
        memory, b, v = self.memory, self.b, self.v
        end = memory.end_of(sequence)

        def each(address: Callable[[Any], Any]) -> list[Any]:
            row = address(sequence)
            return [memory.column(row, place) for place in places]

        begin = [
            v.load(address, 0, place.mask)
            for one in self.carried
            for address, place in zip(each(one.source), places, strict=True)
        ]
        loop = Loop(b, memory.first_step, end, 1, begin)
        step = loop.at
        if backward:
            step = b.sub(b.sub(b.add(memory.first_step, end), index(1)), loop.at)
        memory.enter_row(step, sequence)
        row = memory.row_at(step, sequence)
        held = iter(loop.carried)
        entered = [[next(held) for _ in places] for _ in self.carried]
        stored, leaving = [], []
        for n, place in enumerate(places):
            here = Place(row, place.vector, place.mask)
            values = Values(self.found.level, here, known=dict(fixed[n]))
            for one, old in zip(self.carried, entered, strict=True):
                values.known[one.leaf.index] = one.entering(old[n], here)
            stored.append([(node, self.passes.value(node, values), here) for node in self.found.stores])
            results = [
                v.zero if c.result is None else self.passes.value(c.result, values) for c in self.carried
            ]
            leaving.append([c.leaving(r, here) for c, r in zip(self.carried, results, strict=True)])
            memory.store_entered([(one.leaf, values.known[one.leaf.index]) for one in self.carried], here)
        for group in stored:
            for node, value, here in group:
                memory.store(node, value, here)
        last = loop.close([leaving[n][i] for i in range(len(self.carried)) for n in range(len(places))])
        ends = iter(last)
        for one in self.carried:
            for address, place in zip(each(one.target), places, strict=True):
                v.store(next(ends), address, 0, place.mask)


def _fixed(roots: Sequence[Node], schedule: Schedule) -> list[Node]:
    """Return parameters and values without rows that a step reads."""
    found: dict[int, Node] = {}
    seen: set[int] = set()
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if node.index in seen:
            continue
        seen.add(node.index)
        if node.operation == "parameter" or (not node.has_rows and node.operation not in LEAVES):
            found[node.index] = node
        elif not schedule.at_hand(node):
            waiting.extend(node.arguments)
    return [found[i] for i in sorted(found)]
