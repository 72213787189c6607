"""Kernels of steps without a product in their loop: chunk by chunk, products of all rows, then the loop.

They take the arguments of other kernels, and further arrays that hold values of the rows of a chunk.
"""

from collections.abc import Iterable, Mapping

from nabi._once import cached_property
from nabi._record import record
from nabi.ir import LEAVES, Node, Program
from nabi.native import Machine
from nabi.targets.llvm._plan._backward import BackwardKernel
from nabi.targets.llvm._plan._forward import ForwardKernel
from nabi.targets.llvm._plan._operand_groups import Weights, most_given
from nabi.targets.llvm._plan._saved_values import Values
from nabi.targets.llvm._plan._schedule import Pass, Schedule, is_across, is_reduction, make_schedule
from nabi.targets.llvm._plan._strata import BackwardStrata, Strata, strata_of
from nabi.targets.llvm._plan._tiles import Columns, Tile, choose_tile

__all__ = ["CHUNK_ROWS", "ChunkedBackward", "ChunkedForward", "Stage", "padded"]

CHUNK_ROWS = 256
"""Rows of a chunk of steps at most: many for the products, few enough to stay in a near cache."""


@record
class Stage:
    """Passes over all rows of a chunk, with their packed weights."""

    schedule: Schedule
    tiles: dict[Pass, Tile]
    weights: Weights


@record
class ChunkMemories:
    """The arrays of a forward kernel: `sizes` elements for any rows, `early_lines` for each of a chunk."""

    sizes: dict[str, int]
    early_lines: dict[str, int]


def padded(width: int, lanes: int) -> int:
    """Return how many elements whole vectors of so many units take."""
    return Columns(width, lanes, 1).count * lanes


def loop_tile(schedule: Schedule, states: int, machine: Machine, lanes: int) -> dict[Pass, Tile]:
    """Return how many vectors of units go through the time loop together, to hide each other's latency."""
    found = {}
    for one in schedule.passes:
        count = Columns(one.width, lanes, 1).count
        most = max(1, machine.registers // 4 // max(1, states))
        # Vectors of a block beyond the width are wasted work: at most one in eight.
        sizes = [n for n in (4, 3, 2) if n <= most and (-(-count // n) * n - count) * 8 <= count]
        found[one] = Tile(1, next((n for n in sizes if one.width % lanes or count % n == 0), 1))
    return found


def _held(read: Iterable[Node], elsewhere: set[int]) -> tuple[Node, ...]:
    """Return the values among those that passes load which have no other place."""
    found = {
        node.index: node
        for node in read
        if node.operation not in LEAVES and not is_reduction(node) and node.index not in elsewhere
    }
    return tuple(found[i] for i in sorted(found))


def _states(read: Iterable[Node], program: Program) -> frozenset[int]:
    """Return the states among the values that passes load."""
    names = {node.name for node in read if node.operation == "state"}
    return frozenset(i for i, name in enumerate(program.state_names) if name in names)


def _numbers(schedules: list[Schedule], kept: tuple[Node, ...]) -> list[str]:
    """Return the names of reductions that only the rows of a chunk have."""
    nodes = {
        n.index: n for s in schedules for item in s.order if not isinstance(item, Pass) for n in item.nodes
    }
    elsewhere = {node.index for node in kept}
    return [f"number_{i}" for i, node in sorted(nodes.items()) if i not in elsewhere and is_reduction(node)]


def _strata(kernel: ForwardKernel | BackwardKernel) -> Strata:
    found = strata_of(kernel.program)
    assert found is not None
    return found


def _stage(
    name: str,
    schedule: Schedule,
    kernel: ForwardKernel | BackwardKernel,
    slots: Mapping[int, int] | None = None,
) -> Stage:
    registers, lanes = kernel.machine.registers, kernel.lanes
    tiles = {
        one: choose_tile(
            len(one.sums),
            registers,
            few_rows=False,
            width=one.width,
            lanes=lanes,
            given=0 if kernel.in_place else most_given(one, slots),
        )
        for one in schedule.passes
    }
    return Stage(
        schedule, tiles, Weights(name, schedule, tiles, lanes, slots=slots, in_place=kernel.in_place)
    )


class ChunkedForward(ForwardKernel):
    """The forward kernel of a step whose loop holds no product."""

    @cached_property
    def strata(self) -> Strata:
        """What is computed before, within and after the loop."""
        return _strata(self)

    @cached_property
    def values(self) -> Values:
        """The values saved for the derivative."""
        return self.strata.values

    @cached_property
    def schedules(self) -> tuple[Schedule, Schedule, Schedule]:
        """What is computed before, within and after the loop."""
        return self.strata.forward(self.save)

    @cached_property
    def schedule(self) -> Schedule:
        """What the loop computes."""
        return self.schedules[1]

    @cached_property
    def before(self) -> Stage:
        """The passes before the loop."""
        return _stage("w", self.schedules[0], self)

    @cached_property
    def after(self) -> Stage:
        """The passes after it."""
        return _stage("v", self.schedules[2], self)

    @cached_property
    def once(self) -> Stage:
        """What depends on weights and numbers alone."""
        return _stage("u", make_schedule(self.strata.once, lambda node: False), self)

    @cached_property
    def loop_tiles(self) -> dict[Pass, Tile]:
        """How many vectors of units the loop computes together."""
        return loop_tile(self.schedule, len(self.strata.loop), self.machine, self.lanes)

    @cached_property
    def tiles(self) -> dict[Pass, Tile]:
        """The tile of every pass, for the listing."""
        return {**self.before.tiles, **self.loop_tiles, **self.after.tiles}

    @cached_property
    def held(self) -> tuple[Node, ...]:
        """Values of a chunk that have no other place."""
        elsewhere = {node.index for node in self.program.plan.outputs}
        elsewhere |= {node.index for node in self.values.saved} if self.save else set()
        elsewhere |= {node.index for node in self.strata.once}
        return _held((node for schedule in self.schedules for node in schedule.read()), elsewhere)

    @cached_property
    def old(self) -> frozenset[int]:
        """States whose old values passes read."""
        read = [*self.schedules[0].read(), *self.schedules[2].read()]
        # Each of a chain of shifted states takes over the old value of another.
        return _states(read, self.program).union(self.strata.shifted)

    @cached_property
    def weights(self) -> ChunkMemories:  # type: ignore[override]
        """The packed weights, values computed once, and arrays for the rows of a chunk."""
        sizes = {**self.before.weights.sizes, **self.after.weights.sizes}
        sizes |= {f"once_{n.index}": padded(n.width or 1, self.lanes) for n in self.strata.once}
        lines = {f"held_{n.index}": padded(n.width or 1, self.lanes) for n in self.held}
        widths = self.program.state_widths
        lines |= {f"old_{i}": padded(widths[i], self.lanes) for i in sorted(self.old)}
        lines |= {
            f"state_{i}": width
            for i, width in enumerate(widths)
            if i not in self.keep and not self.save and i not in self.strata.shifted
        }
        lines |= dict.fromkeys(_numbers(list(self.schedules), self.kept_numbers), 1)
        return ChunkMemories(sizes, lines)

    @property
    def exchange(self) -> dict[str, int]:
        """Nothing that has a place for each sequence of a batch: final states serve as that."""
        return {}


class ChunkedBackward(BackwardKernel):
    """The backward kernel of a step whose loop holds no product."""

    @cached_property
    def strata(self) -> Strata:
        """What is computed before, within and after the loop."""
        return _strata(self)

    @cached_property
    def values(self) -> Values:
        """The values saved for the derivative."""
        return self.strata.values

    @property
    def parts(self) -> BackwardStrata:
        """What is computed before, within and after the loop."""
        return self.strata.backward

    @cached_property
    def schedule(self) -> Schedule:
        """What the loop computes."""
        return self.parts.loop

    @cached_property
    def stages(self) -> dict[str, Stage]:
        """The passes beside the loop, in order: `begin`, `end`, one for each shifted state, `input`."""
        parts, slots = self.parts, self.values.panel_slots
        schedules = {"begin": parts.begin, "end": parts.end}
        schedules |= {f"shifted_{i}": schedule for i, schedule in parts.shifted.items()}
        if parts.input is not None and self.need_input:
            schedules["input"] = parts.input
        return {name: _stage(f"w{n}", s, self, slots) for n, (name, s) in enumerate(schedules.items())}

    @cached_property
    def once(self) -> Stage:
        """What depends on weights and numbers alone."""
        return _stage("u", make_schedule(self.strata.once, lambda node: False), self)

    @cached_property
    def loop_tiles(self) -> dict[Pass, Tile]:
        """How many vectors of units the loop computes together."""
        return loop_tile(self.schedule, len(self.strata.loop), self.machine, self.lanes)

    @cached_property
    def tiles(self) -> dict[Pass, Tile]:
        """The tile of every pass, for the listing."""
        return {
            p: tile for stage in self.stages.values() for p, tile in stage.tiles.items()
        } | self.loop_tiles

    @property
    def input_schedule(self) -> Schedule | None:
        """The cotangent of the input is a stage of its own."""
        return None

    @property
    def _schedules(self) -> list[Schedule]:
        return [*(stage.schedule for stage in self.stages.values()), self.schedule]

    @cached_property
    def _read_beside_loop(self) -> list[Node]:
        """What is loaded for the stages, and between them: cotangents of the old values of shifted states."""
        derivative = self.program.derivative
        gathered = [node for i in self.strata.shifted if (node := derivative.states[i]) is not None]
        return [*(n for stage in self.stages.values() for n in stage.schedule.read()), *gathered]

    @cached_property
    def held(self) -> tuple[Node, ...]:
        """Values of a chunk that have no other place; also cotangents that only the loop knows."""
        elsewhere = {node.index for node in self.program.plan.outputs}
        elsewhere |= {node.index for node in (*self.values.saved, *self.strata.once)}
        # What is computed along the units is written row by row, which panels are not.
        panels = (node for nodes in self.values.panels.values() for node in nodes)
        elsewhere |= {node.index for node in panels if not is_across(node)}
        read = self._read_beside_loop
        found = {node.index: node for node in _held([*read, *self.schedule.read()], elsewhere)}
        carried = {self.program.derivative.cotangents[i].index for i in self.strata.loop} - elsewhere
        found |= {node.index: node for node in read if node.index in carried}
        return tuple(found[i] for i in sorted(found))

    @cached_property
    def old(self) -> frozenset[int]:
        """States whose old values passes read."""
        return _states(self._read_beside_loop, self.program)

    @cached_property
    def packed(self) -> dict[str, int]:
        """The number of elements of packed weights, and of values computed once."""
        sizes = {name: size for stage in self.stages.values() for name, size in stage.weights.sizes.items()}
        return sizes | {f"once_{n.index}": padded(n.width or 1, self.lanes) for n in self.strata.once}

    @cached_property
    def exchange(self) -> dict[str, int]:
        """The cotangents carried from chunk to chunk: elements per row of the batch."""
        return {f"carry_{i}": width for i, width in enumerate(self.program.state_widths)}

    @cached_property
    def panels(self) -> dict[str, int]:
        """The number of elements of every panel, and of other values, per row of a chunk."""
        sizes = dict(super().panels)
        widths = self.program.state_widths
        sizes |= {f"held_{n.index}": padded(n.width or 1, self.lanes) for n in self.held}
        sizes |= {f"old_{i}": padded(widths[i], self.lanes) for i in sorted(self.old)}
        outside = sorted((*self.strata.readouts, *self.strata.shifted))
        sizes |= {f"cotangent_{i}": padded(widths[i], self.lanes) for i in outside}
        sizes |= dict.fromkeys(_numbers(self._schedules, self.values.saved_numbers), 1)
        return sizes
