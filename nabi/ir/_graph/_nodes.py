"""The nodes of a traced step, and the trace that creates them.

A step is a graph of nodes. Leaves are the input, the states, the parameters, random inputs, constants
and (in a derivative) cotangents; the others are linear maps, elementwise operations and reductions.
Every node knows its width: the number of units in a row, or None for a scalar, which broadcasts over the
units. It also knows whether it has rows: a value computed only from parameters and numbers is the same for
every row of a batch and every time step, and broadcasts over them.
"""

import linecache
import math
import os
import sys
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import FrameType
from typing import Literal

from nabi.errors import CellError
from nabi.ir._graph._numbers import NUMBERS, is_number
from nabi.ir._graph._operations import OPERATIONS
from nabi.ir._graph._value import Value
from nabi.ir.derived import Derived
from nabi.ir.initial import InitialValue

__all__ = ["LEAVES", "Family", "Node", "Noise", "Parameter", "Trace", "apply", "current_trace", "needed"]

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
        reads_state, reads_cotangent: whether it depends on a state, on a cotangent.
        has_rows: whether it can differ between rows; if not, it depends only on weights and numbers.
    """

    trace: "Trace"
    index: int
    operation: str
    arguments: "tuple[Node, ...]"
    width: int | None
    name: str = ""
    value: float = 0.0
    reads_state: bool = False
    reads_cotangent: bool = False
    has_rows: bool = False

    def __repr__(self) -> str:
        label = self.name or (f"{self.value:g}" if self.operation == "constant" else f"%{self.index}")
        return f"{label}[{self.width if self.width is not None else 1}]"


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
    frames: dict[int, FrameType] = field(default_factory=dict)
    """Active calls of `step`; their variable names are read when they return."""
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
    ) -> Node:
        """Return the node with these parts, created on first use."""
        # The sign distinguishes 0.0 from -0.0, which compare equal.
        key = (
            operation, tuple(node.index for node in arguments), width, name, value, math.copysign(1.0, value)
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
                operation == "state" or any(node.reads_state for node in arguments),
                operation == "cotangent" or any(node.reads_cotangent for node in arguments),
                operation in _WITH_ROWS or any(node.has_rows for node in arguments),
            )
            self.nodes.append(self._known[key])
            self._note_frames()
        return self._known[key]

    def _note_frames(self) -> None:
        frame = sys._getframe(2)
        while frame is not None:
            if frame.f_code.co_name == "step":
                self.frames.setdefault(id(frame), frame)
            if frame.f_back is None:
                return
            frame = frame.f_back

    def leaf(self, kind: str, name: str, width: int | None) -> Node:
        """Return a leaf: the input, a state, a parameter vector, a matrix, noise or a cotangent."""
        return self.make(kind, (), width, name)

    def delayed(self, value: Node) -> Node:
        """Return the value that the input, or such a value of it, had a step before."""
        source, steps = value, 1
        while source.operation == "state":
            source, steps = self.delays[source.name], steps + 1
        name = f"{source.name}{steps}"
        self.delays.setdefault(name, value)
        return self.leaf("state", name, value.width)

    def constant(self, value: float) -> Node:
        """Return a constant."""
        return self.make("constant", (), None, "", float(value))

    def spread(self, scalar: Node, width: int) -> Node:
        """Return a vector with the same scalar in every unit."""
        return self.make("spread", (scalar,), width)

    def linear(self, matrix: Node, operand: Node) -> Node:
        """Return the product of a parameter matrix with a row, as a single node."""
        shape = self.parameters[matrix.name].shape
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
        widths = {node.width for node in nodes if node.width is not None}
        if len(widths) > 1:
            listed = " and ".join(f"{node!r}" for node in nodes if node.width is not None)
            raise CellError(f"{self.where()}: {name} of {listed}: the widths {_join(widths)} differ")
        return self.make(name, tuple(nodes), next(iter(widths), None))


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
