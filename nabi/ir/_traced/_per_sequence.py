"""What a step computes from inputs that are given once for a sequence: taken out of the loop over time.

Values that depend on nothing else (`W_si s`, or `σ(W_si s + b_i)`) are the same at every step. A program
with such inputs is run as two parts: these values, once for every sequence, and a step that reads them as
inputs.
"""

from nabi.ir._graph._nodes import Node, Trace
from nabi.ir._traced._traced import Traced

__all__ = ["of_sequences", "without_sequences"]


def of_sequences(program: Traced) -> tuple[Node, ...]:
    """Return the values that the rest of the step reads of those that are the same for a whole sequence."""
    same = _same_in_a_sequence(program)
    read = {
        argument.index: argument
        for node in program.nodes
        if node.index not in same
        for argument in node.arguments
        if argument.index in same
    }
    read.update({output.index: output for output in program.results.values() if output.index in same})
    return tuple(read[index] for index in sorted(read))


def _same_in_a_sequence(program: Traced) -> set[int]:
    """Return the nodes that depend on an input of a sequence, and on nothing that changes within one."""
    drawn_once = {noise.name for noise in program.noises if not noise.per_step}
    given_once = {given.name for given in program.inputs if given.per_sequence}
    constant: set[int] = set()
    found: set[int] = set()
    for node in program.nodes:
        if not node.has_rows or (node.operation == "noise" and node.name in drawn_once):
            constant.add(node.index)
        elif node.operation == "input" and node.name in given_once:
            found.add(node.index)
        elif node.arguments and all(a.index in constant or a.index in found for a in node.arguments):
            (found if any(a.index in found for a in node.arguments) else constant).add(node.index)
    return found


def without_sequences(
    program: Traced, values: tuple[Node, ...]
) -> tuple[Trace, Node | None, tuple[Node, ...], dict[int, str]]:
    """Trace a step again with some of its values as inputs in the place of those of sequences.

    Args:
        program: the program.
        values: from `of_sequences`.

    Returns:
        The new trace, in which inputs are `x`, others of a step, and one for each value; the output that is
        no state, or None; the new states; and the names of values.
    """
    old = program.trace
    trace = Trace(old.cell, old.training, noises=dict(old.noises), older=dict(old.older))
    made: dict[int, Node] = {}
    for given in program.inputs:
        if not given.per_sequence:
            trace.input(given.name, given.width, default=given.default, learns=given.learns)
    for number, value in enumerate(values):
        made[value.index] = trace.input(f"sequence_{number}", value.width)
    waiting = list(program.results.values())
    kept: set[int] = set()
    while waiting:
        node = waiting.pop()
        if node.index not in kept and node.index not in made:
            kept.add(node.index)
            waiting.extend(node.arguments)
    families = {
        old.parameters[node.name].family
        for node in program.nodes
        if node.index in kept and node.name in old.parameters
    }
    # A family has all its gates or none, so that its tensor can be handed on as it is.
    trace.parameters.update({p.name: p for p in program.parameters if p.family in families})
    for node in program.nodes:
        if node.index in kept:
            arguments = tuple(made[argument.index] for argument in node.arguments)
            made[node.index] = trace.make(node.operation, arguments, node.width, node.name, node.value)
    trace.delays.update({name: made[value.index] for name, value in old.delays.items()})
    trace.shown.update({name: made[value.index] for name, value in old.shown.items()})
    names = {made[i].index: name for i, name in program.names.items() if i in kept}
    readout = None if program.readout is None else made[program.readout.index]
    return trace, readout, tuple(made[output.index] for output in program.outputs), names
