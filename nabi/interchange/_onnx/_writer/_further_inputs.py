"""What a cell reads beside its input, put behind the input in the rows that its function takes."""

from collections.abc import Mapping
from typing import Any

from nabi.interchange._onnx._writer._writing import UnwritableError, Value, Writing, changed
from nabi.ir import Input, Program

__all__ = ["check_writable", "with_further_inputs"]


def check_writable(program: Program, given: Input) -> None:
    """Refuse an input that is counted from lengths, masks and resets.

    Raises:
        UnwritableError: if it is such an input.
    """
    if given.name == "position":
        cell = type(program.cell).__name__
        raise UnwritableError(f"{cell} reads position, the number of a step, which is not written")


def with_further_inputs(
    w: Writing, program: Program, x: Value, inputs: Mapping[str, Any], name: str
) -> Value:
    """Return the rows that a program reads: the input and, behind it, what else it reads at every step.

    Args:
        w: the file.
        program: the program.
        x: its input, `[B, T, D]`.
        inputs: the others by name: `[B, T]` or `[B, T, width]`, of a sequence `[B, width]`, or a number.
        name: of the layer.

    Raises:
        UnwritableError: if one is missing, or has no rendering.
    """
    if len(program.inputs) == 1 or not x.name:
        return x
    graph = w.graph
    lead = [graph.size(x.name, 0), graph.size(x.name, 1)]
    parts = [x.name]
    for given in program.inputs[1:]:
        check_writable(program, given)
        width = given.width or 1
        value, label = inputs.get(given.name), f"{name}_{given.name}"
        if value is None and given.default is None:
            raise UnwritableError(f"{type(program.cell).__name__} reads {given.name}, which is not given")
        if value is None:
            value = Value(graph.number(float(given.default or 0.0)), ())
        elif not isinstance(value, Value):
            raise UnwritableError(f"{given.name}: only an output of a layer or an input is written")
        row = value.name
        rank = len(value.shape)
        if given.per_sequence and rank == 2:
            row = graph.add("Unsqueeze", [row, graph.ints(1)], f"{label}_row")
        elif not given.per_sequence and rank == 2:
            row = graph.add("Unsqueeze", [row, graph.ints(2)], f"{label}_column")
        shape = graph.add("Concat", [*lead, graph.ints(width)], f"{label}_shape", axis=0)
        parts.append(graph.add("Expand", [row, shape], f"{label}_rows"))
    joined = graph.add("Concat", parts, f"{name}_inputs", axis=-1)
    return changed(x, joined, (*x.shape[:2], program.row_size))
