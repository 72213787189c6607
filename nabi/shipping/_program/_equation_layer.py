"""Layers as equations in the language of cells: dense layers, activations, normalization, pooling.

So the same few instructions serve for all of them, and for cells.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nabi.ir import Node, Parameter, Trace
from nabi.ir.functions import ACTIVATIONS
from nabi.shipping._program._instructions import Numbers, Value
from nabi.shipping._program._lowering import decomposed, lower
from nabi.shipping._program._step_program import State, StepLayer, settle_states
from nabi.targets.eager import added_operation

__all__ = ["UnshippableError", "activated", "equation_layer", "named_activation"]


class UnshippableError(Exception):
    """A layer has no rendering as machine code for one step; the message says why."""


def named_activation(layer: Any) -> str:
    """Return the name of the activation of a layer.

    Raises:
        UnshippableError: if it is a function of the user's.
    """
    function = layer.activation
    name = str(getattr(function, "__name__", function))
    if function is added_operation(name) or str(getattr(function, "__module__", "")).startswith("nabi."):
        return name
    raise UnshippableError(f"its activation {name} is a function of your own")


def activated(name: str, x: Node) -> Node:
    """Return an activation by its name in `nabi.activations`.

    Raises:
        UnshippableError: if it has no rendering.
    """
    if name in _OWN:
        return _OWN[name](x)
    if name not in ACTIVATIONS:
        raise UnshippableError(f"its activation {name} has no rendering in machine code")
    return ACTIVATIONS[name](x)


def _log_softmax(x: Node) -> Node:
    shifted = x - x.trace.apply("max", x)
    return shifted - x.trace.apply("log", x.trace.apply("sum", x.trace.apply("exp", shifted)))


def _relu6(x: Node) -> Node:
    return x.trace.apply("minimum", x.trace.apply("relu", x), 6.0)


_OWN: dict[str, Callable[[Node], Node]] = {"log_softmax": _log_softmax, "relu6": _relu6}


class Equations:
    """The equations of a layer, while they are written.

    Args:
        widths: of what it reads: `x`, or `x0`, `x1`, ... if there are several.

    Attributes:
        weights: its weights by name.
        new: what its states become, by name; filled by whoever writes the equations.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        self.trace = Trace("step")
        self.weights: dict[str, Numbers] = {}
        self.new: dict[str, Node] = {}
        names = ["x"] if len(widths) == 1 else [f"x{number}" for number in range(len(widths))]
        self.inputs = [
            self.trace.leaf("input", name, width) for name, width in zip(names, widths, strict=True)
        ]

    @property
    def x(self) -> Node:
        """The first input."""
        return self.inputs[0]

    def state(self, name: str, width: int) -> Node:
        """Return what a state was after the step before."""
        return self.trace.leaf("state", name, width)

    def vector(self, name: str, numbers: Any) -> Node:
        """Return a weight of one number for each unit."""
        values = np.asarray(numbers, np.float32).reshape(-1)
        self.weights[name] = values
        return self.trace.leaf("parameter", name, len(values))

    def product(self, name: str, matrix: Any, x: Node) -> Node:
        """Return the product of a matrix `[units, columns]` with a value."""
        values = np.ascontiguousarray(matrix, np.float32)
        self.weights[name] = values
        shape = (int(values.shape[0]), int(values.shape[1]))
        self.trace.parameters[name] = Parameter(name, "", name, shape, "input")
        return self.trace.linear(self.trace.leaf("matrix", name, shape[0]), x)

    def apply(self, name: str, *values: Node | float) -> Node:
        """Apply an operation of the language."""
        return self.trace.apply(name, *values)


def equation_layer(
    name: str,
    title: str,
    text: Sequence[str],
    sources: Sequence[Value],
    write: Callable[[Equations], Node],
    initial: Mapping[str, Numbers] | None = None,
) -> StepLayer:
    """Return a layer of equations.

    Args:
        name, title: see `StepLayer`.
        text: its equations.
        sources: what it reads.
        write: writes its equations and returns its output.
        initial: the states that it reads by `Equations.state` and writes to `Equations.new`, as they are
            before the first step.
    """
    equations = Equations([source.width for source in sources])
    output = write(equations)
    inputs = equations.inputs
    for one, source in zip(inputs, sources, strict=True):
        if output is one:
            return StepLayer(name, title, tuple(text), (), (), source)
    nodes = [output, *equations.new.values()]
    places = decomposed(nodes)
    leaves: Mapping[str, Value | float] = {
        one.name: source for one, source in zip(inputs, sources, strict=True)
    }
    values = initial or {}
    olds = {one: Value(one, len(numbers), "state") for one, numbers in values.items()}
    names = {places[output.index].index: "y"}
    asked = [places[node.index] for node in nodes]
    body = lower(asked, {**leaves, **olds}, equations.weights, names)
    pairs = [(olds[one], new) for one, new in zip(equations.new, body.results[1:], strict=True)]
    instructions, result = settle_states(body.instructions, body.results[0], pairs)
    states = tuple(State(one, old, values[one]) for one, old in olds.items())
    return StepLayer(name, title, tuple(text), tuple(instructions), states, result)
