"""The backward kernel: the derivative over packed rows, last step first, as one function.

Cotangents of products are kept only for a chunk of steps, in panels that are read at once for the gradients
of the weights and of the input.
"""

from nabi._once import cached_property
from nabi._record import record
from nabi.ir import LEAVES, Node, Program
from nabi.native import Machine
from nabi.targets.llvm._plan._operand_groups import Weights, exchange_sizes, most_given
from nabi.targets.llvm._plan._saved_values import Values, values_of
from nabi.targets.llvm._plan._schedule import Pass, Schedule
from nabi.targets.llvm._plan._tiles import Columns, Tile, choose_tile

__all__ = ["BackwardKernel"]


@record
class BackwardKernel:
    """The parameters of a backward kernel; batch sizes and lengths are not among them.

    Attributes:
        program: the program.
        dtype: `"float32"` or `"float64"`.
        machine: the machine.
        keep: the states whose rows the forward pass returned; it recorded the others.
        given: the states whose value at every step has a cotangent.
        zeros: whether states may have been reset to zero between steps.
        cuts: whether gradients may be cut between steps.
        columns_first: as in the forward kernel; gradients have the layout of their weights.
        need_input: whether the gradient of the input is needed.
        need_weights: whether the gradients of the families are needed.
        few_rows: whether a step has fewer rows than an ideal register tile.
        in_place: whether the products of a step read the unpacked weights.
    """

    program: Program
    dtype: str
    machine: Machine
    keep: tuple[int, ...]
    given: tuple[int, ...]
    zeros: bool
    cuts: bool
    columns_first: tuple[bool, ...]
    need_input: bool
    need_weights: bool
    few_rows: bool
    in_place: bool = False

    name = "backward"

    @property
    def family_step(self) -> int:
        """The number of arguments for each family."""
        return 3 if self.need_weights else 2

    @property
    def recorded_states(self) -> tuple[int, ...]:
        """States whose rows the forward pass recorded without returning them."""
        return tuple(i for i in range(len(self.program.state_names)) if i not in self.keep)

    @property
    def key(self) -> tuple[str, ...]:
        """The key of its code."""
        options = (
            self.keep, self.given, self.zeros, self.cuts, self.columns_first, self.need_input,
            self.need_weights, self.few_rows, self.in_place,
        )  # fmt: skip
        return (self.name, type(self).__name__, self.program.key, self.dtype, *map(str, options))

    @cached_property
    def values(self) -> Values:
        """The values saved by the forward pass."""
        return values_of(self.program)

    @cached_property
    def schedule(self) -> Schedule:
        """The computations of a step of the derivative."""
        return self.values.backward(self.need_input)

    @cached_property
    def input_schedule(self) -> Schedule | None:
        """The part of the input's gradient computed for all rows of a chunk at once."""
        apart = self.need_input and self.values.inputs_apart
        return self.values.input_schedule() if apart else None

    @cached_property
    def lanes(self) -> int:
        """Elements of a vector."""
        return self.machine.lanes(self.dtype)

    @cached_property
    def tiles(self) -> dict[Pass, Tile]:
        """The register tile of every pass of a step."""
        return {found: self._tile(found, self.few_rows) for found in self.schedule.passes}

    @cached_property
    def input_tiles(self) -> dict[Pass, Tile]:
        """The register tile of every pass over the rows of a chunk."""
        passes = self.input_schedule.passes if self.input_schedule is not None else ()
        return {found: self._tile(found, False) for found in passes}

    def _tile(self, found: Pass, few_rows: bool) -> Tile:
        registers, lanes = self.machine.registers, self.lanes
        given = 0 if few_rows or self.in_place else most_given(found, self.values.panel_slots)
        return choose_tile(
            len(found.sums), registers, few_rows=few_rows, width=found.width, lanes=lanes, given=given
        )

    @cached_property
    def weights(self) -> Weights:
        """The packed weights of the passes of a step."""
        slots = self.values.panel_slots
        return Weights("w", self.schedule, self.tiles, self.lanes, slots=slots, in_place=self.in_place)

    @cached_property
    def input_weights(self) -> Weights | None:
        """The packed weights of the passes over the rows of a chunk."""
        if self.input_schedule is None:
            return None
        return Weights("v", self.input_schedule, self.input_tiles, self.lanes, slots=self.values.panel_slots)

    @property
    def packed(self) -> dict[str, int]:
        """The number of elements of all packed weights."""
        sizes = dict(self.weights.sizes)
        sizes.update(self.input_weights.sizes if self.input_weights is not None else {})
        return sizes

    @cached_property
    def exchange(self) -> dict[str, int]:
        """The values that passes exchange within a step: elements per row of the batch."""
        sizes = exchange_sizes(self.schedule)
        sizes.update({f"carry_{i}": 2 * width for i, width in enumerate(self.program.state_widths)})
        return sizes

    @cached_property
    def operands(self) -> tuple[Node, ...]:
        """The nodes that are stored in panels for the gradients of weights."""
        return self.values.operands if self.need_weights else ()

    @cached_property
    def panels(self) -> dict[str, int]:
        """The number of elements of every panel per row of a chunk."""
        sizes = {}
        for width, nodes in self.values.panels.items():
            sizes[f"panel_{width}"] = Columns(width, self.lanes, 1).count * len(nodes) * self.lanes
        for node in self.operands:
            width = node.width or 1
            sizes[f"operand_{node.index}"] = Columns(width, self.lanes, 1).count * self.lanes
        return sizes

    @cached_property
    def arguments(self) -> tuple[str, ...]:
        """The names of the arguments, in order."""
        program = self.program
        names = ["barriers", "split_units", "batch", "steps", "chunks", "chunk_start", "offset", "chunk_rows"]
        names += ["from_zeros", "x"]
        names += ["input_gradient"] if self.need_input else []
        for i in range(len(program.families)):
            names += [f"family_{i}", f"line_{i}"]
            names += [f"gradient_{i}"] if self.need_weights else []
        for i in range(len(program.state_names)):
            names += [f"initial_{i}", f"state_{i}", f"final_gradient_{i}", f"initial_gradient_{i}"]
            names += [f"given_{i}"] if i in self.given else []
        names += [f"noise_{i}" for i in range(len(program.noises))]
        names += ["zero", "zeros"] if self.zeros else []
        names += ["cut"] if self.cuts else []
        names += [f"saved_{width}" for width in self.values.slots]
        names += [f"number_{node.index}" for node in self.values.saved_numbers]
        return (*names, *self.exchange, *self.panels, *self.packed)

    @property
    def computed_operands(self) -> tuple[Node, ...]:
        """Operands that the passes of a step recompute."""
        return tuple(node for node in self.values.operands if node.operation not in LEAVES)
