"""Recurrent layers of any cell, one step of each."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from nabi import layers
from nabi.errors import ArgumentError
from nabi.ir import Program
from nabi.scan import initial_states, lowered
from nabi.shipping._program._equation_layer import UnshippableError
from nabi.shipping._program._instructions import Numbers, Value
from nabi.shipping._program._lowering import decomposed, lower
from nabi.shipping._program._step_program import State, StepLayer, settle_states

__all__ = ["cell_layer", "recurrent_layers"]


def recurrent_layers(layer: Any, x: Value, *, backwards: bool = False) -> list[StepLayer]:
    """Return a recurrent layer as steps: one for each cell of a stack.

    `backwards` says whether its steps are read from the last one to the first.

    Raises:
        UnshippableError: if it cannot go step by step, or its cell is torch code.
    """
    if layer.go_backwards and not backwards:
        raise UnshippableError("it reads from the last step to the first, and a stream has no last step")
    if layer.return_state:
        raise UnshippableError(
            "it returns its states; build the model without return_state, and read states from the stream"
        )
    found: list[StepLayer] = []
    stack = equations_of(layer)
    for place, one in enumerate(stack):
        name = layer.name if len(stack) == 1 else f"{layer.name}_{place}"
        found.append(cell_layer(name, one.program(), one.cell_parameters(), x))
        x = found[-1].output
    return found


def equations_of(layer: Any) -> list[Any]:
    """Return the layers that have the equations and weights of a recurrent layer, one for each of a stack.

    Raises:
        UnshippableError: if its cell is computed by torch code.
    """
    try:
        return layers.stack_of_equations(layer)
    except ArgumentError as problem:
        raise UnshippableError(str(problem)) from None


def cell_layer(name: str, program: Program, weights: Sequence[torch.Tensor], x: Value) -> StepLayer:
    """Return one step of a cell.

    Args:
        name: of the layer.
        program: of the cell.
        weights: in the order of its families.
        x: what it reads.

    Raises:
        UnshippableError: if it reads something beside its input that has no default.
    """
    cell = type(program.cell).__name__
    whole = program
    with torch.no_grad():
        weights = [one.detach().cpu().float() for one in weights]
        like = torch.empty(0)
        first = [one.numpy()[0] for one in initial_states(program, weights, 1, like)]
        program, weights, _ = lowered(program, weights)
    leaves: dict[str, Value | float] = {"x": x}
    for given in program.inputs[1:]:
        if given.default is None:
            raise UnshippableError(f"{cell} reads {given.name}, which a step is not given")
        if given.name != "position":
            leaves[given.name] = float(given.default)
    if any(given.name == "position" for given in program.inputs):
        raise UnshippableError(f"{cell} reads position, the number of a step, which is not counted")
    olds = [
        Value(state, width, "state")
        for state, width in zip(program.state_names, program.state_widths, strict=True)
    ]
    leaves |= {old.name: old for old in olds}
    nodes = list(program.results.values())
    places = decomposed(nodes)
    names = {places[index].index: label for index, label in program.names.items() if index in places}
    body = lower([places[node.index] for node in nodes], leaves, _numbers(program, weights), names)
    news = body.results[program.readouts :]
    instructions, output = settle_states(
        body.instructions, body.results[0], list(zip(olds, news, strict=True))
    )
    states = tuple(
        State(old.name, old, np.ascontiguousarray(numbers, np.float32), not isinstance(start, str))
        for old, numbers, start in zip(olds, first, whole.initial, strict=True)
    )
    title = f"{cell} of {program.output_width} units"
    return StepLayer(name, title, whole.equations, tuple(instructions), states, output)


def _numbers(program: Program, weights: Sequence[torch.Tensor]) -> dict[str, Numbers]:
    """Return the weights of each gate by name."""
    arrays = [one.numpy() for one in weights]
    found = {}
    for name in program.trace.parameters:
        try:
            place, rows = program.family_of(name)
        except KeyError:
            continue
        found[name] = arrays[place][rows]
    return found
