"""The values of a step that are returned beside its states."""

from collections.abc import Iterable

from nabi.errors import unknown_name
from nabi.ir._graph._nodes import Node, Trace
from nabi.ir._traced._equations import named_nodes
from nabi.ir._traced._traced import Traced

__all__ = ["add_shown_values", "value_names"]


def value_names(program: Traced) -> tuple[str, ...]:
    """Return the names of the quantities of the equations, in their order: gates, states, the output.

    Example:
        >>> from nabi.cells import GRU
        >>> value_names(GRU(units=2).program(input_size=3))
        ('z', 'r', 'n', 'h')
    """
    return tuple(name for name in named_nodes(program) if name not in program.trace.delays)


def add_shown_values(program: Traced, trace: Trace, values: Iterable[str]) -> list[Node]:
    """Let a trace return further values, and return the states that stand for them.

    A step is traced the same way every time, so a value lies where it lies in the `program` without them.

    Args:
        program: the program of the step without further values.
        trace: a trace of the same step.
        values: names of quantities that are no states and not the output.

    Raises:
        UnknownNameError: there is no such quantity.
    """
    named = {name: one for name, one in named_nodes(program).items() if name not in program.results}
    for name in values:
        if name not in named:
            raise unknown_name("values", name, named)
        node = trace.nodes[named[name].index]
        trace.shown[name] = trace.spread(node, 1) if node.width is None else node
    return [trace.leaf("state", name, value.width, value.axes) for name, value in trace.shown.items()]
