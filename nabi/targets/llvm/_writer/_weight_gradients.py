"""What backward kernels share: gradients of inputs, and those of weights.

Operands of products are laid in panels, then multiplied.
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from nabi.ir import LEAVES, Node, Program
from nabi.native.kernel_function import KernelFunction
from nabi.native.vectors import index, loop_over
from nabi.targets.llvm._plan._backward import BackwardKernel
from nabi.targets.llvm._plan._schedule import Schedule
from nabi.targets.llvm._plan._tiles import Columns
from nabi.targets.llvm._writer._gradients import GradientWriter, Side
from nabi.targets.llvm._writer._passes import Place
from nabi.targets.llvm._writer._products import Panel
from nabi.targets.llvm._writer._step_memory import StepMemory

__all__ = ["WeightGradients"]


class WeightGradients(StepMemory):
    """The base of writers of backward kernels.

    Args:
        k, program, schedule, flags, kept: as of `StepMemory`.
        kernel: the kernel.
    """

    panel_line: Any
    first_row: Any

    def __init__(
        self,
        k: KernelFunction,
        program: Program,
        schedule: Schedule,
        flags: bool,
        kept: Sequence[int],
        kernel: BackwardKernel,
    ) -> None:
        super().__init__(k, program, schedule, flags, kept)
        self.kernel, self.derivative = kernel, program.derivative
        self.gradients = GradientWriter(k, kernel.machine.registers)
        self.panels = {
            node.index: (width, len(nodes), slot)
            for width, nodes in kernel.values.panels.items()
            for slot, node in enumerate(nodes)
        }

    def columns(self, width: int) -> Columns:
        return Columns(width, self.kernel.lanes, 1)

    def store_input(self, node: Node, value: Any, place: Place) -> None:
        """Store a value as the gradient of the inputs that it is the cotangent of."""
        for given, cotangent in zip(self.program.inputs, self.derivative.inputs, strict=True):
            if node is cotangent:
                address = self.row_of_input("input_gradient", given, place.row)
                self.v.store(value, self.column(address, place), 0, place.mask)

    def clear_inputs(self, rows: Any) -> None:
        """Zero the gradients of inputs without a cotangent, in this thread's share of a chunk's rows."""
        k, b, v = self.k, self.b, self.v
        self.base_row = self.first_row
        for given, cotangent in zip(self.program.inputs, self.derivative.inputs, strict=True):
            if cotangent is not None:
                continue
            columns = self.columns(given.width or 1)
            first, stop = k.part_of_all(rows)
            with loop_over(b, first, stop) as row, loop_over(b, 0, columns.count) as vector:
                address = self.row_of_input("input_gradient", given, row)
                v.store(v.zero, address, b.mul(vector, index(v.lanes)), columns.mask(v, vector))

    def lay_operands(self, start: Any, stop: Any) -> None:
        """Store the input and the states that products read in panels."""
        k, b, v = self.k, self.b, self.v
        operands = [node for node in self.kernel.operands if node.operation in LEAVES]
        if not operands:
            return
        with loop_over(b, start, stop) as step:
            self.enter(step)
            shift = b.sub(self.row_start, self.first_row)
            first, end = k.part_of_all(self.active)
            with loop_over(b, first, end) as row:
                at = b.mul(b.add(shift, row), index(v.lanes))
                for node in operands:
                    source = self.row_of_leaf(node, row)
                    target = v.address(k[f"operand_{node.index}"], at)
                    columns = self.columns(node.width or 1)
                    with loop_over(b, 0, columns.count) as vector:
                        value = v.load(source, b.mul(vector, index(v.lanes)), columns.mask(v, vector))
                        v.store(value, target, b.mul(vector, self.panel_line))

    def all_gradients(self, rows: Any, add: Any, zeros: Any = None) -> None:
        """Write the gradients of all weights from the panels.

        Args:
            rows: how many rows the panels hold.
            add: a flag, whether to add to what is there.
            zeros: in how many rows, the first ones, states are zero; None if nobody knows of any.
        """
        program, v, b = self.program, self.v, self.k.b
        for name, cotangent, operand in self.kernel.values.pairs:
            family, found = program.family_of(name)
            shape = program.families[family].shape
            side = Side(self.panel(cotangent), cotangent.width or 1)
            read = Side(Panel(self.k[f"operand_{operand.index}"], self.panel_line), operand.width or 1)
            gradient = self.k[f"gradient_{family}"]
            count = rows
            if zeros is not None and operand.operation == "state":
                side, read, count = self._after(side, zeros), self._after(read, zeros), b.sub(rows, zeros)
            if self.kernel.columns_first[family]:
                target = v.address(gradient, found.start * shape[1])
                self.gradients.product(
                    count, side, read, target, shape[1], self._adds(name, cotangent, operand, add)
                )
            else:
                target = v.address(gradient, found.start)
                self.gradients.product(
                    count, read, side, target, shape[0], self._adds(name, cotangent, operand, add)
                )
        vectors: dict[int, list[tuple[Side, Any]]] = {}
        for name, cotangent in self.derivative.vectors.items():
            family, found = program.family_of(name)
            target = v.address(self.k[f"gradient_{family}"], found.start)
            width = cotangent.width or 1
            vectors.setdefault(width, []).append((Side(self.panel(cotangent), width), target))
        for members in vectors.values():
            self.gradients.totals(rows, [side for side, _ in members], [target for _, target in members], add)

    def _after(self, side: Side, rows: Any) -> Side:
        """Return a side without its first rows."""
        start = self.v.address(side.panel.start, self.b.mul(rows, index(self.v.lanes)))
        return Side(Panel(start, side.panel.stride, side.panel.slot), side.width)

    def clear(self) -> None:
        """Zero the gradients of weights without a contribution: nothing else writes them."""
        k, b, v, program = self.k, self.b, self.v, self.program
        derived = {name for name, _, _ in self.kernel.values.pairs} | set(self.derivative.vectors)
        for parameter in program.parameters:
            if parameter.name in derived:
                continue
            family, found = program.family_of(parameter.name)
            shape, rows = program.families[family].shape, found.stop - found.start
            if len(shape) == 1:
                lines, width, apart, start = 1, rows, 0, found.start
            elif self.kernel.columns_first[family]:
                lines, width, apart, start = rows, shape[1], shape[1], found.start * shape[1]
            else:
                lines, width, apart, start = shape[1], rows, shape[0], found.start
            target, columns = v.address(k[f"gradient_{family}"], start), self.columns(width)
            first, stop = k.part_of_all(index(lines))
            with loop_over(b, first, stop) as line, loop_over(b, 0, columns.count) as vector:
                at = b.add(b.mul(line, index(apart)), b.mul(vector, index(v.lanes)))
                v.store(v.zero, target, at, columns.mask(v, vector))

    def _adds(self, name: str, cotangent: Node, operand: Node, add: Any) -> Any:
        """Return whether a product adds to its gradient, as the second use of a matrix does."""
        uses = [pair for pair in self.kernel.values.pairs if pair[0] == name]
        first = uses[0][1] is cotangent and uses[0][2] is operand
        return add if first else ir.Constant(ir.IntType(1), 1)

    def panel(self, node: Node) -> Panel:
        width, slots, slot = self.panels[node.index]
        start = self.v.address(self.k[f"panel_{width}"], self.b.mul(self.panel_line, index(slot)))
        return Panel(start, self.b.mul(self.panel_line, index(slots)), self.panel_line)
