"""What a program computes once a call, from weights alone, and the rest of it.

Derived weights, and values that depend only on weights and numbers, are the same for every row and step.
They are computed by torch before the steps begin. What runs over time is another program, the *lowered* one,
to which they are weights like any other. So a kernel knows nothing of them, and torch's autograd takes their
gradients, sums over rows as those of a bias, back to what is learned.
"""

from dataclasses import dataclass, replace
from math import prod

from nabi.ir._graph._axis_operations import AXIS_OPERATIONS
from nabi.ir._graph._nodes import LEAVES, Node, Parameter, Trace
from nabi.ir._graph._operations import OPERATIONS
from nabi.ir._traced._traced import Traced

__all__ = ["Made", "Rewritten", "rewrite"]


@dataclass(frozen=True, eq=False)
class Made:
    """A weight of the lowered program.

    Attributes:
        derived: parameters whose values are stacked in it, in row order; none for the value of a node.
        node: the value of the original program, spread over the units of the weight.
    """

    derived: tuple[Parameter, ...] = ()
    node: Node | None = None


@dataclass(frozen=True, eq=False)
class Rewritten:
    """The step of the lowered program.

    Attributes:
        trace: its trace.
        states, outputs: its old and new states.
        names: the names of its values.
        made: by the name of a family, how its tensor is made; the others are those of the original program.
    """

    trace: Trace
    states: list[Node]
    outputs: tuple[Node, ...]
    names: dict[int, str]
    made: dict[str, Made]


def rewrite(program: Traced) -> Rewritten | None:
    """Return the step after what is computed once a call; None where nothing is."""
    derived = program.derived
    writer = _Writer(program)
    outputs = writer.outputs()
    if not writer.made and not derived and not any(isinstance(one, str) for one in program.initial):
        return None
    names = {writer.new[i].index: name for i, name in program.names.items() if i in writer.new}
    return Rewritten(writer.trace, writer.states, outputs, names, writer.made)


class _Writer:
    def __init__(self, program: Traced) -> None:
        self._program = program
        self.trace = Trace(program.trace.cell, program.training, inputs=dict(program.trace.inputs))
        self.made: dict[str, Made] = {}
        self.new: dict[int, Node] = {}
        self._families: set[str] = set()
        self._once: dict[tuple[int, int | None], Node] = {}
        known = {node.name: node for node in program.nodes if node.operation == "state"}
        self.states = []
        for name, output in zip(program.state_names, program.outputs, strict=True):
            state = self.trace.leaf("state", name, output.width, output.axes)
            self.states.append(state)
            if name in known:
                self.new[known[name].index] = state

    def outputs(self) -> tuple[Node, ...]:
        """Write the new states."""
        for node in self._program.nodes:
            if node.has_rows and node.index not in self.new:
                self.new[node.index] = self._written(node)
        program = self._program
        # An earlier input stays as it is; the equations know it by this.
        self.trace.older.update(program.trace.older)
        self.trace.delays.update({name: self.new[one.index] for name, one in program.trace.delays.items()})
        shown = program.trace.shown.items()
        self.trace.shown.update({name: self._argument(one, one.axes) for name, one in shown})
        count = len(program.outputs) - len(program.trace.delays) - len(shown)
        found = tuple(self._argument(output, output.axes) for output in program.outputs[:count])
        if program.readout is not None:
            found = (self._argument(program.readout, program.readout.axes), *found)
        noises = {one.name: one for one in self._program.noises if one.kind != "weights"}
        self.trace.noises.update(noises)
        return found

    def _written(self, node: Node) -> Node:
        if node.operation in LEAVES:
            return self.trace.leaf(node.operation, node.name, node.width, node.axes)
        if node.operation == "linear":
            matrix, operand = node.arguments
            return self.trace.make("linear", (self._matrix(matrix), self.new[operand.index]), node.width)
        # What these read may have other axes than they have.
        own = OPERATIONS[node.operation].reduction or OPERATIONS[node.operation] in AXIS_OPERATIONS
        arguments = [self._argument(one, one.axes if own else node.axes) for one in node.arguments]
        return self.trace.make(
            node.operation, tuple(arguments), node.width, axes=node.axes, details=node.details
        )

    def _argument(self, node: Node, axes: tuple[int, ...]) -> Node:
        """Return what stands for a value where one of these axes is read."""
        width = prod(axes) if axes else None
        if node.has_rows:
            return self.new[node.index]
        if node.operation == "constant":
            return self.trace.constant(node.value)
        if node.operation == "parameter" and (node.width is not None or width is None):
            self._keep(node.name)
            return self.trace.leaf("parameter", node.name, node.width)
        if node.operation in ("view", "expand") and node.arguments[0].width is not None:
            # Repeated weights would be a larger tensor, with a larger gradient.
            given = self._argument(node.arguments[0], node.arguments[0].axes)
            return self.trace.make(node.operation, (given,), node.width, axes=node.axes)
        # A number for all units is a vector where a vector is read: its gradient is then a sum over rows.
        width = width if node.width is None else node.width
        if (node.index, width) not in self._once:
            name = self._program.names.get(node.index, "once")
            self._once[node.index, width] = self._weight(name, node, width)
        found = self._once[node.index, width]
        return found if found.width is None else self.trace.view(found, node.axes or axes)

    def _weight(self, name: str, node: Node, width: int | None) -> Node:
        taken = {*self._program.trace.parameters, *(one.name for one in self._program.families), *self.made}
        free = next(free for n in range(len(taken) + 1) if (free := f"{name}{n or ''}") not in taken)
        self.made[free] = Made(node=node)
        shape = (width or 1,)
        self.trace.parameters[free] = Parameter(free, "", free, shape, "parameter", scalar=width is None)
        return self.trace.leaf("parameter", free, width)

    def _matrix(self, matrix: Node) -> Node:
        found = self._program.trace.parameters[matrix.name]
        if found.derived is None:
            self._keep(matrix.name)
        elif matrix.name not in self.trace.parameters:
            self._stack(found)
        return self.trace.leaf("matrix", matrix.name, matrix.width)

    def _stack(self, found: Parameter) -> None:
        """Take in all derived weights of a letter and a shape, which are stacked in one tensor."""
        members = tuple(
            one for one in self._program.derived if (one.family, one.shape) == (found.family, found.shape)
        )
        taken = {one.name for one in self._program.families} | set(self.made)
        name = found.family
        while name in taken:
            name += "_"
        self.made[name] = Made(derived=members)
        for one in members:
            self.trace.parameters[one.name] = replace(
                one, family=name, letter=found.family, trained=True, derived=None, sources=()
            )

    def _keep(self, name: str) -> None:
        """Take in a parameter with all others of its tensor."""
        family = self._program.trace.parameters[name].family
        if family not in self._families:
            self._families.add(family)
            for one in self._program.parameters:
                if one.family == family:
                    self.trace.parameters[one.name] = one
