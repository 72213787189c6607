"""The forward kernel: a program over packed rows, step by step, as one function."""

from nabi._once import cached_property
from nabi._record import record
from nabi.ir import Node, Program
from nabi.native import Machine
from nabi.targets.llvm._plan._operand_groups import (
    Weights,
    exchange_sizes,
    most_given,
    places_of,
    scale_name,
    start_name,
)
from nabi.targets.llvm._plan._saved_values import Values, values_of
from nabi.targets.llvm._plan._schedule import Pass, Schedule
from nabi.targets.llvm._plan._tiles import Tile, choose_tile, dot_tile, side_by_side

__all__ = ["ForwardKernel"]

_WIDEST = 1 << 15
"""Units of an operand whose products with bytes are added up in int32: half of what fits."""


@record
class ForwardKernel:
    """The parameters of a forward kernel; batch sizes and lengths are not among them.

    Attributes:
        program: the program.
        dtype: `"float32"` or `"float64"`.
        machine: the machine.
        save: whether a backward pass will follow.
        keep: the states whose value at every step is returned.
        flags: whether states may be reset to zero between steps.
        columns_first: for each family whether the weights of one output are contiguous in memory (as in
            torch)
            rather than those of one input (as in Keras).
        few_rows: whether products that read the input are computed before the steps, for many rows at once.
        in_place: whether the products of a step read the unpacked weights.
        is_packed: whether the weights have been packed by an earlier run with the same memory.
        weight_type: `"int8"`, `"float16"` or `"bfloat16"` if packed weights are stored so.
    """

    program: Program
    dtype: str
    machine: Machine
    save: bool
    keep: tuple[int, ...]
    flags: bool
    columns_first: tuple[bool, ...]
    few_rows: bool
    in_place: bool = False
    is_packed: bool = False
    weight_type: str = ""

    name = "forward"
    family_step = 2

    @property
    def key(self) -> tuple[str, ...]:
        """The key of its code."""
        options = (
            self.save, self.keep, self.flags, self.columns_first, self.few_rows, self.in_place,
            self.is_packed, self.weight_type,
        )  # fmt: skip
        return (self.name, type(self).__name__, self.program.key, self.dtype, *map(str, options))

    @cached_property
    def values(self) -> Values:
        """The values saved for the derivative."""
        return values_of(self.program)

    @cached_property
    def schedule(self) -> Schedule:
        """The computations of a step."""
        return self.values.forward(self.save)

    @cached_property
    def lanes(self) -> int:
        """Elements of a vector."""
        return self.machine.lanes(self.dtype)

    @cached_property
    def tiles(self) -> dict[Pass, Tile]:
        """The register tile of every pass."""
        return {found: self._tile(found) for found in self.schedule.passes}

    def _tile(self, found: Pass) -> Tile:
        registers, width, lanes = self.machine.registers, found.width, self.lanes
        if self.by_dots:
            return dot_tile(len(found.sums), registers, width, lanes)
        if len(found.sums) > 1 and not (self.few_rows or self.in_place or self.weight_type):
            places = places_of(found, self.program)
            tile = None if places is None else side_by_side(places, registers, width=width, lanes=lanes)
            if tile is not None:
                return tile
        given = 0 if self.few_rows or self.in_place else most_given(found)
        return choose_tile(
            len(found.sums), registers, few_rows=self.few_rows, width=width, lanes=lanes, given=given
        )

    @property
    def by_dots(self) -> bool:
        """Whether int8 weights are multiplied by dot products of bytes, whose sums int32 must hold."""
        if self.weight_type != "int8" or not self.machine.has_byte_products:
            return False
        return all((o.width or 1) <= _WIDEST for p in self.schedule.passes for o in p.operands)

    @cached_property
    def weights(self) -> Weights:
        """The packed weights and early sums of the passes."""
        return Weights("w", self.schedule, self.tiles, self.lanes, self.few_rows, in_place=self.in_place)

    @property
    def in_place_rows(self) -> int:
        """Rows that are multiplied with unpacked weights at a time, so that their sums fit into registers."""
        return 4 if self.machine.registers >= 32 else 2

    @cached_property
    def kept_numbers(self) -> tuple[Node, ...]:
        """Reductions that are kept for every row."""
        return self.values.saved_numbers if self.save else ()

    @property
    def recorded_states(self) -> tuple[int, ...]:
        """States that are kept for the derivative and not returned."""
        return tuple(i for i in range(len(self.program.state_names)) if self.save and i not in self.keep)

    @cached_property
    def exchange(self) -> dict[str, int]:
        """The values that passes exchange within a step: elements per row of the batch."""
        sizes = exchange_sizes(self.schedule, self.kept_numbers)
        for i, width in enumerate(self.program.state_widths):
            if i not in self.keep and not self.save:
                sizes[f"state_{i}"] = 2 * width
        return sizes

    @cached_property
    def arguments(self) -> tuple[str, ...]:
        """The names of the arguments, in order."""
        program = self.program
        names = ["barriers", "split_units", "batch", "steps", "chunks", "chunk_rows", "chunk_start", "offset"]
        names += ["from_zeros", "x"]
        for i in range(len(program.families)):
            names += [f"family_{i}", f"line_{i}"]
        for i in range(len(program.state_names)):
            names += [f"initial_{i}", f"final_{i}"]
            names += [f"state_{i}"] if i in self.keep or self.save else []
        names += [f"noise_{i}" for i in range(len(program.noises))]
        names += ["zero", "zeros"] if self.flags else []
        if self.save:
            names += [f"saved_{width}" for width in self.values.slots]
            names += [f"number_{node.index}" for node in self.kept_numbers]
        if self.weight_type == "int8":
            names += map(scale_name, self.weights.factor_sizes)
            names += map(start_name, self.weights.factor_sizes) if self.by_dots else []
        return (*names, *self.exchange, *self.weights.sizes, *self.weights.early_lines)
