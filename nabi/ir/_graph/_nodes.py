"""The nodes of a traced step, and the trace that creates them.

A step is a graph of nodes. Leaves are the input, the states, the parameters, random inputs, constants
and (in a derivative) cotangents; the others are linear maps, elementwise operations and reductions.
Every node knows its width: the number of units in a row, or None for a scalar, which broadcasts over the
units. It knows the axes into which the units are divided, usually one, and whether it has rows: a value
computed only from parameters and numbers is the same for every row of a batch and every time step, and
broadcasts over them.
"""

import linecache
import math
import os
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Literal

from nabi.errors import CellError
from nabi.ir._graph._axes import broadcast_shape, show_shape
from nabi.ir._graph._numbers import NUMBERS, is_number
from nabi.ir._graph._operations import OPERATIONS
from nabi.ir._graph._value import Value
from nabi.ir.derived import Derived
from nabi.ir.initial import InitialValue

__all__ = [
    "LEAVES", "Change", "Family", "Input", "Node", "Noise", "Parameter", "Part", "Trace", "apply",
    "current_trace", "needed",
]  # fmt: skip

LEAVES = frozenset({"input", "state", "parameter", "matrix", "noise", "constant", "cotangent"})
_WITH_ROWS = frozenset({"input", "state", "noise", "cotangent"})
_OUR_FILES = os.path.dirname(os.path.dirname(__file__)) + os.sep
_NOT_THE_STEP = frozenset({"torch", "numpy"})
"""Packages whose functions call back when given a value; their lines are not the user's code."""

current_trace: "ContextVar[Trace | None]" = ContextVar("nabi_trace", default=None)
"""The trace of the step being traced, None outside a step."""


@dataclass(frozen=True)
class Parameter:
    """A weight of one gate: a matrix (units × operand width), a vector (units) or a scalar.

    Attributes:
        name: as in the equations, for example `W_xf` or `b_f`.
        gate: the gate it belongs to, for example `f`.
        family: the name of the tensor that holds it together with those of the other gates.
        shape: its own shape; `(1,)` for a scalar.
        role: `input`, `recurrent`, `bias`, `peephole`, `gain` or `parameter`; determines its initial values
            where the cell declares none.
        initial: the initial value that the cell declares, or None.
        trained: whether it is learned; if not, it keeps its initial value.
        scalar: whether it is one number for all units.
        letter: its letter in the equations, where the family has a longer name; "" for the family's.
        derived: how it is computed from other parameters, or None where it is kept itself.
        sources: the names of these.
    """

    name: str
    gate: str
    family: str
    shape: tuple[int, ...]
    role: str
    initial: InitialValue | None = None
    trained: bool = True
    scalar: bool = False
    letter: str = ""
    derived: Derived | None = None
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Family:
    """The tensor that holds one kind of parameter for all gates, with stacked rows.

    Attributes:
        name: `W_x`, `W_h`, `b`, ...
        gates: the gates in row order.
        shape: the shape of the whole tensor; rows are outputs, as in torch.
        role: see `Parameter`.
        trained: whether the tensor is learned, or keeps its initial values.
    """

    name: str
    gates: tuple[str, ...]
    shape: tuple[int, ...]
    role: str
    trained: bool = True

    def rows(self, gate: str) -> slice:
        """Return the rows of one gate."""
        size = self.shape[0] // len(self.gates)
        start = self.gates.index(gate) * size
        return slice(start, start + size)


@dataclass(frozen=True)
class Noise:
    """A random input of a step, drawn outside it.

    `dropout` draws 0 with probability `rate`, else `1 / (1 - rate)`; `keep` draws 1 with probability
    `rate`, else 0 (zoneout). One draw serves a whole sequence unless `per_step`. `weights` draws as `dropout`
    does, once for all sequences, the mask of a derived weight of a `shape`; steps don't read it.
    """

    name: str
    width: int
    rate: float
    kind: Literal["dropout", "keep", "weights"]
    per_step: bool
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class Input:
    """Something that a step reads from outside: `x`, and what else the cell names.

    Kernels read all of them from one row, side by side.

    Attributes:
        name: `x`, or the name of a keyword argument of the step.
        width: numbers in a row; None for one that broadcasts over the units.
        start: its first column in a row of all inputs.
        per_sequence: whether it is given once for a whole sequence instead of at every step.
        default: what it is where it is not given; None if it must be.
        learns: whether it has a gradient.
    """

    name: str
    width: int | None
    start: int = 0
    per_sequence: bool = False
    default: float | None = None
    learns: bool = True

    @property
    def columns(self) -> slice:
        """Its columns in a row of all inputs."""
        return slice(self.start, self.start + (self.width or 1))


@dataclass(frozen=True, eq=False, repr=False)
class Node(Value):
    """One value of a step for every row of a batch, `[batch, width]`.

    Attributes:
        trace: the trace it belongs to.
        index: its position in the trace.
        operation: an operation of the table, a linear map, or the kind of a leaf.
        arguments: the nodes it is computed from.
        width: units in a row, or None for a scalar.
        name, value: of a leaf, of a constant.
        axes: those into which the units are divided, such as heads × keys × values; none of a scalar.
        details: what an operation on axes means besides its argument: an axis, or numbers of the last axis.
        reads_state, reads_cotangent: whether it depends on a state, on a cotangent.
        has_rows: whether it can differ between rows; if not, it depends only on weights and numbers.
        letter: what the cell calls it whose step is being traced, where that is not its name: the input or a
            state of a cell within another.
    """

    trace: "Trace"
    index: int
    operation: str
    arguments: "tuple[Node, ...]"
    width: int | None
    name: str = ""
    value: float = 0.0
    axes: tuple[int, ...] = ()
    details: tuple[int, ...] = ()
    reads_state: bool = False
    reads_cotangent: bool = False
    has_rows: bool = False
    letter: str = ""

    def __repr__(self) -> str:
        label = self.name or (f"{self.value:g}" if self.operation == "constant" else f"%{self.index}")
        return f"{label}[{show_shape(self.axes)}]"


@dataclass(frozen=True)
class Change:
    """How a wrapper changes the products of a cell: functions of the gate, the letter and a value.

    Attributes:
        operand: gives the value that a matrix is multiplied with.
        product: gives the value in the place of the product.
        weight: how a matrix is computed from others, an object of `nabi.ir.derived`; what the cell says of a
            matrix itself comes first.
        only_states: whether only matrices that are multiplied with values of states are computed so.
        stride: how many steps lie between an input and the one before it.
    """

    operand: Callable[[str, str, Node], Node] | None = None
    product: Callable[[str, str, Node], Node] | None = None
    weight: Derived | None = None
    only_states: bool = False
    stride: int = 1


@dataclass(frozen=True)
class Part:
    """The cell whose step is being called, within a trace.

    Attributes:
        cell: the cell; None before the first.
        prefix: stands in the names of its weights after their letter.
        lines: the values of a state at earlier steps, for each that has a delay, the last one first.
        further: its inputs beside `x`, by name.
    """

    cell: object = None
    prefix: str = ""
    lines: dict[str, list[Node]] = field(default_factory=dict)
    further: Mapping[str, Any] = field(default_factory=dict)

    def named(self, name: str) -> str:
        """Return the name of a weight or random input of this cell: `W_xf` becomes `W_inner_xf`."""
        if not self.prefix:
            return name
        base, _, rest = name.partition("_")
        return f"{base}_{self.prefix}_{rest}" if rest else f"{base}_{self.prefix}"


@dataclass
class Trace:
    """Collects the nodes of one step; equal nodes are created once."""

    cell: str
    training: bool = False
    nodes: list[Node] = field(default_factory=list)
    parameters: dict[str, Parameter] = field(default_factory=dict)
    noises: dict[str, Noise] = field(default_factory=dict)
    delays: dict[str, Node] = field(default_factory=dict)
    """States that hold the input of an earlier step, and what each holds next: the input, or such a state."""
    inputs: dict[str, Input] = field(default_factory=dict)
    frames: dict[int, tuple[FrameType, Part]] = field(default_factory=dict)
    """Calls of `step` and whose they are; their variable names are read when they return."""
    older: dict[str, tuple[str, int]] = field(default_factory=dict)
    """States that hold older values of others: of which, and how many steps ago."""
    shown: dict[str, Node] = field(default_factory=dict)
    """Values that are returned beside the states: to what runs a program, states that nothing reads."""
    part: Part = field(default_factory=Part)
    changes: list[Change] = field(default_factory=list)
    _known: dict[tuple[object, ...], Node] = field(default_factory=dict)

    @property
    def is_current(self) -> bool:
        """Whether its step is being traced."""
        return current_trace.get() is self

    def where(self) -> str:
        """Return the cell and the line of the user's step being traced, for error messages."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if not _is_no_step(frame):
                # Code compiled from a string has no source lines; quote its caller's line instead.
                line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
                if line:
                    return f"{self.cell}, line {frame.f_lineno}: «{line}»"
                if frame.f_code.co_name == "step":
                    break
            frame = frame.f_back
        return self.cell

    def make(
        self,
        operation: str,
        arguments: tuple[Node, ...],
        width: int | None,
        name: str = "",
        value: float = 0.0,
        axes: tuple[int, ...] | None = None,
        details: tuple[int, ...] = (),
    ) -> Node:
        """Return the node with these parts, created on first use; unless stated, its units are one axis."""
        # A cell inside a cell has copies of nodes, which differ in the letter they have there.
        arguments = tuple(self.nodes[node.index] for node in arguments)
        if axes is None:
            axes = () if width is None else (width,)
        # The sign distinguishes 0.0 from -0.0, which compare equal.
        key = (
            operation, tuple(node.index for node in arguments), width, name, value,
            math.copysign(1.0, value), axes, details,
        )  # fmt: skip
        if key not in self._known:
            self._known[key] = Node(
                self,
                len(self.nodes),
                operation,
                arguments,
                width,
                name,
                value,
                axes,
                details,
                operation == "state" or any(node.reads_state for node in arguments),
                operation == "cotangent" or any(node.reads_cotangent for node in arguments),
                operation in _WITH_ROWS or any(node.has_rows for node in arguments),
            )
            self.nodes.append(self._known[key])
            self.note_frames()
        return self._known[key]

    def note_frames(self) -> None:
        """Remember the calls of `step` that are active."""
        frame = sys._getframe(1)
        while frame is not None:
            if frame.f_code.co_name == "step":
                self.frames.setdefault(id(frame), (frame, self.part))
            if frame.f_back is None:
                return
            frame = frame.f_back

    def leaf(self, kind: str, name: str, width: int | None, shape: tuple[int, ...] | None = None) -> Node:
        """Return a leaf: the input, a state, a parameter vector, a matrix, noise or a cotangent."""
        return self.make(kind, (), width, name, axes=shape)

    def input(self, name: str, width: int | None, **about: Any) -> Node:
        """Add an input behind those that there are, and return its leaf."""
        start = sum(known.width or 1 for known in self.inputs.values())
        self.inputs[name] = Input(name, width, start, **about)
        return self.leaf("input", name, width)

    def as_operand(self, node: Node) -> Node:
        """Return an input of one number as one unit, for a weight to be applied to."""
        is_number = node.operation == "input" and node.width is None
        return self.leaf("input", node.name, 1) if is_number else node

    def delayed(self, value: Node) -> Node:
        """Return the value that the input, or such a value of it, had a step before."""
        source, steps = self.source(value)
        name = f"{source.name}{steps + 1}"
        self.delays.setdefault(name, self.nodes[value.index])
        return self.leaf("state", name, value.width)

    def source(self, value: Node) -> tuple[Node, int]:
        """Return the input that an earlier one is a value of, and from how many steps ago."""
        steps = 0
        while value.operation == "state":
            value, steps = self.delays[value.name], steps + 1
        return value, steps

    def constant(self, value: float) -> Node:
        """Return a constant."""
        return self.make("constant", (), None, "", float(value))

    def spread(self, scalar: Node, width: int) -> Node:
        """Return a vector with the same scalar in every unit."""
        return self.make("spread", (scalar,), width)

    # Axes.

    def view(self, value: Node, shape: tuple[int, ...]) -> Node:
        """Return a value with other axes; its units and their order stay."""
        if value.operation == "view" and value.arguments[0].axes == shape:
            return value.arguments[0]
        return value if value.axes == shape else self._on_axes("view", value, shape)

    def broadcast(self, value: Node, shape: tuple[int, ...]) -> Node:
        """Return a value repeated along the axes of a shape, which it lacks or of which it has 1."""
        value = self.view(value, value.axes + (1,) * (len(shape) - len(value.axes)))
        return value if value.axes == shape else self._on_axes("expand", value, shape)

    def with_axis(self, value: Node, axis: int) -> Node:
        """Return a value with one more axis, of 1."""
        return self.view(value, (*value.axes[:axis], 1, *value.axes[axis:]))

    def reduce_axis(self, name: str, value: Node, axis: int) -> Node:
        """Return the sum or maximum along an axis, which is then gone; `axis` counts from the first."""
        shape = value.axes[:axis] + value.axes[axis + 1 :]
        # Of a single number there is nothing to reduce.
        if value.axes[axis] == 1:
            return self.view(value, shape)
        return self._on_axes(name, value, shape, (axis,))

    def along_axis(self, name: str, value: Node, axis: int) -> Node:
        """Return a value of the same axes, made along one of them: `axis_softmax`, `axis_norm`."""
        return self._on_axes(name, value, value.axes, (axis,))

    def section(self, value: Node, first: int, stop: int) -> Node:
        """Return the numbers from `first` up to `stop` of the last axis."""
        if (first, stop) == (0, value.axes[-1]):
            return value
        return self._on_axes("part", value, (*value.axes[:-1], stop - first), (first, stop))

    def pad(self, value: Node, before: int, after: int) -> Node:
        """Return a value with zeros around it in the last axis."""
        if not before and not after:
            return value
        shape = (*value.axes[:-1], before + value.axes[-1] + after)
        return self._on_axes("pad", value, shape, (before, after))

    def _on_axes(self, name: str, value: Node, shape: tuple[int, ...], details: tuple[int, ...] = ()) -> Node:
        return self.make(name, (value,), math.prod(shape), axes=shape, details=details)

    # Linear maps and operations of the table.

    def linear(self, matrix: Node, operand: Node) -> Node:
        """Return the product of a parameter matrix with a row, as a single node."""
        shape = self.parameters[matrix.name].shape
        if operand.width is not None:
            operand = self.view(operand, (operand.width,))
        if operand.width != shape[1]:
            raise CellError(
                f"{self.where()}: {matrix.name} is {shape[0]} × {shape[1]} and cannot be applied to "
                f"{operand!r}, which has width {operand.width}"
            )
        return self.make("linear", (matrix, operand), shape[0])

    def linear_transposed(self, pairs: "list[tuple[Node, Node]]") -> Node:
        """Return the sum of products with transposed matrices, the gradient of `linear`."""
        columns = self.parameters[pairs[0][0].name].shape[1]
        return self.make("linear_transposed", tuple(node for pair in pairs for node in pair), columns)

    def apply(self, name: str, *values: Node | float) -> Node:
        """Apply an operation of the table; see the function `apply`."""
        nodes = [_as_node(self, name, value) for value in values]
        folded = _fold(name, nodes)
        if folded is not None:
            return folded
        if OPERATIONS[name].reduction:
            return self.make(name, tuple(nodes), None)
        if OPERATIONS[name].across is not None:
            return self._across(name, nodes)
        shapes = {node.axes for node in nodes if node.width is not None}
        if len(shapes) > 1:
            nodes = self._aligned(name, nodes, shapes)
        vector = next((node for node in nodes if node.width is not None), None)
        if vector is None:
            return self.make(name, tuple(nodes), None)
        return self.make(name, tuple(nodes), vector.width, axes=vector.axes)

    def _aligned(self, name: str, nodes: list[Node], shapes: set[tuple[int, ...]]) -> list[Node]:
        """Bring values of different axes to one shape."""
        listed = " and ".join(f"{node!r}" for node in nodes if node.width is not None)
        if all(len(shape) == 1 for shape in shapes):
            widths = {shape[0] for shape in shapes}
            raise CellError(f"{self.where()}: {name} of {listed}: the widths {_join(widths)} differ")
        shape = broadcast_shape(tuple(shapes))
        if shape is None:
            raise CellError(
                f"{self.where()}: {name} of {listed}: the axes do not fit; they are aligned from the first, "
                "and split(a, heads, keys) divides the units of a value into axes"
            )
        return [node if node.width is None else self.broadcast(node, shape) for node in nodes]

    def _across(self, name: str, nodes: list[Node]) -> Node:
        """Apply an operation whose units read other units: its second argument is a number."""
        value, number = nodes
        width_of = OPERATIONS[name].across
        assert width_of is not None
        if value.width is None:
            raise CellError(f"{self.where()}: {name} of {value!r}, which is one number for all units")
        if number.operation != "constant":
            raise CellError(f"{self.where()}: {name}: expected a number, got {number!r}")
        try:
            return self.make(name, (value, number), width_of(value.width, number.value))
        except ValueError as problem:
            raise CellError(f"{self.where()}: {name} of {value!r}: {problem}") from None


def apply(name: str, *values: Node | float) -> Node:
    """Apply an operation of the table; widths must agree, scalars broadcast over the units.

    Raises:
        CellError: widths differ, a value is neither of this step nor a number, or a whole matrix is used like
            a vector.
    """
    trace = next((value.trace for value in values if isinstance(value, Node)), None) or current_trace.get()
    if trace is None:
        raise CellError(f"{name}: equations can only be used inside step()")
    return trace.apply(name, *values)


def needed(outputs: "tuple[Node | None, ...] | list[Node]") -> tuple[Node, ...]:
    """Return the nodes that the outputs are computed from, in order."""
    found: dict[int, Node] = {}
    waiting = [node for node in outputs if node is not None]
    while waiting:
        node = waiting.pop()
        if node.index not in found:
            found[node.index] = node
            waiting.extend(node.arguments)
    return tuple(found[index] for index in sorted(found))


def _as_node(trace: Trace, name: str, value: object) -> Node:
    """Return the argument of an operation as a node of the step."""
    if is_number(value):
        try:
            return trace.constant(float(value))  # type: ignore[arg-type]
        except OverflowError:
            raise CellError(f"{trace.where()}: {name}: the number has no place in a float64") from None
    if not isinstance(value, Node):
        raise CellError(f"{trace.where()}: {name} takes values of the step and numbers, {_not(value)}")
    if value.trace is not trace:
        raise CellError(f"{trace.where()}: {name} mixes values of two different steps")
    if value.operation == "matrix":
        raise CellError(f"{trace.where()}: {value.name} is a matrix; it only enters a linear map")
    return value


def _not(value: object) -> str:
    kind = type(value)
    if kind.__module__.partition(".")[0] == "torch":
        return (
            f"not {kind.__name__}; use float(t) for one number and self.bias or self.gain for a learned "
            "vector; a step of torch tensors can be run as a torch module"
        )
    if kind.__module__.partition(".")[0] == "numpy":
        return f"not {kind.__name__}; use float(a) for one number, and self.bias or self.gain for a vector"
    return f"not {kind.__name__}"


def _is_no_step(frame: FrameType) -> bool:
    """Return whether a running line is not the user's code."""
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    return package in _NOT_THE_STEP or frame.f_code.co_filename.startswith(_OUR_FILES)


def _join(widths: set[int]) -> str:
    return " and ".join(str(width) for width in sorted(widths))


def _is(node: Node, value: float) -> bool:
    return node.operation == "constant" and node.value == value


def _fold(name: str, nodes: list[Node]) -> Node | None:
    """Fold constants, and remove operations without effect.

    These are `1 * a`, `a + 0`, `a - 0`, `a / 1`, `-(-a)`, and the reduction of a scalar.
    """
    if all(node.operation == "constant" for node in nodes):
        if name in NUMBERS:
            return nodes[0].trace.constant(NUMBERS[name](*(node.value for node in nodes)))
        decomposition = OPERATIONS[name].decomposition
        if decomposition is not None:
            whole: Node = decomposition(*nodes)
            return whole
    if OPERATIONS[name].reduction and nodes[0].width is None:
        return nodes[0]
    if name == "mul" and _is(nodes[0], 1.0):
        return nodes[1]
    if name in ("mul", "div") and _is(nodes[1], 1.0):
        return nodes[0]
    if name == "add" and _is(nodes[0], 0.0):
        return nodes[1]
    if name in ("add", "sub") and _is(nodes[1], 0.0):
        return nodes[0]
    if name == "neg" and nodes[0].operation == "neg":
        return nodes[0].arguments[0]
    return None
