"""Recurrent layers: a cell over time, both directions, and a layer at every step."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from nabi import layers
from nabi.errors import ArgumentError
from nabi.interchange._onnx._writer._further_inputs import with_further_inputs
from nabi.interchange._onnx._writer._writing import (
    Mask,
    UnwritableError,
    Value,
    Writing,
    changed,
    masked,
    numbers,
)
from nabi.ir import Program
from nabi.scan import initial_states, lowered
from nabi.targets.onnx import Direction, write_layer

__all__ = [
    "Run",
    "equations_of",
    "run_directions",
    "run_over_time",
    "write_bidirectional",
    "write_rnn",
    "write_stack",
]


class Run(NamedTuple):
    """A cell that is run over time: its program, its weights, its direction, and its initial states."""

    program: Program
    weights: Sequence[Any]
    reverse: bool = False
    states: tuple[str, ...] | None = None


class _Result(NamedTuple):
    outputs: str  # [B, T, H], zero on steps that do not count
    states: tuple[str, ...]
    last: str  # [B, H], the output of the last step that counts
    lengths: str | None  # how many steps of each row count


def run_over_time(w: Writing, runs: Sequence[Run], x: Value, name: str) -> list[_Result]:
    """Run cells that read the same `[B, T, D]`.

    Steps that count are moved to the front of their rows where they do not stand there, so that the operators
    of ONNX, which know lengths and no masks, serve for every mask.
    """
    graph, mask = w.graph, x.mask
    packed = w.packed(mask) if mask is not None and mask.lengths is None else None
    lengths = None if mask is None else mask.lengths if packed is None else packed.lengths
    steps = x.name if packed is None else w.take_steps(x.name, packed.order, f"{name}_packed")
    directions = [_direction(w, run, x, name) for run in runs]
    results = []
    written = write_layer(graph, directions, graph.transpose(steps, 1, 0, 2), lengths, name)
    for run, (y, last) in zip(runs, written, strict=True):
        outputs = graph.transpose(y, 1, 0, 2, name=f"{name}_rows")
        if packed is not None and mask is not None:
            spread = w.take_steps(outputs, packed.place, f"{name}_spread")
            outputs = w.where(mask, spread, 0.0, name=f"{name}_at_steps")
        results.append(_Result(outputs, last[run.program.readouts :], last[0], lengths))
    return results


def run_directions(w: Writing, network: Any, x: Value, name: str) -> tuple[Value, list[_Result]]:
    """Run layers on top of each other, each in the directions of the network.

    Args:
        w: the graph.
        network: with `recurrent`, layers of `layers.RNN`, those of each direction beside each other, and the
            number of `directions`.
        x: what the first layer reads, `[B, T, D]`.
        name: of the layers; their numbers are added.

    Returns:
        The outputs of the last layer, and what its directions have found.
    """
    results: list[_Result] = []
    for first in range(0, len(network.recurrent), network.directions):
        runs = [
            Run(layer.program(), layer.cell_parameters(), bool(direction))
            for direction, layer in enumerate(network.recurrent[first : first + network.directions])
        ]
        results = run_over_time(w, runs, x, f"{name}_{first // network.directions}")
        outputs = [result.outputs for result in results]
        both = outputs[0] if len(outputs) == 1 else w.graph.add("Concat", outputs, f"{name}_both", axis=2)
        x = Value(both, (None, None, None), x.mask)
    return x, results


def _direction(w: Writing, run: Run, x: Value, name: str) -> Direction:
    """Return a run as it is written: what the cell computes from weights alone is stored as numbers."""
    program, weights, states = run.program, tuple(run.weights), run.states
    with torch.no_grad():
        if states is None and not program.starts_with_zeros:
            like = torch.empty(0, device=weights[0].device if weights else None)
            first = [numbers(state) for state in initial_states(program, weights, 1, like)]
            rows = w.graph.size(x.name, 0, f"{name}_rows")
            found = []
            for state, values in zip(program.state_names, first, strict=True):
                shape = w.graph.add("Concat", [rows, w.graph.ints(values.shape[1])], axis=0)
                given = w.graph.constant(values, f"{name}_{state}_0")
                found.append(w.graph.add("Expand", [given, shape], f"{name}_{state}_first"))
            states = tuple(found)
        program, weights, _ = lowered(program, weights)
    return Direction(program, tuple(numbers(one) for one in weights), run.reverse, states)


def equations_of(layer: Any) -> list[Any]:
    """Return the layers that have the equations and weights of a recurrent layer, one for each of a stack.

    Raises:
        UnwritableError: if its cell is computed by torch code.
    """
    try:
        return layers.stack_of_equations(layer)
    except ArgumentError as problem:
        raise UnwritableError(str(problem)) from None


def _check(w: Writing, layer: Any, x: Value) -> None:
    if layer.time_major:
        raise UnwritableError("time_major=True is not written; put the batch first")
    if layer.stateful and not w.stateful:
        raise UnwritableError("it keeps its states; pass stateful=True to have them as inputs and outputs")
    if len(x.shape) != 3:
        raise UnwritableError(f"expected an input (batch, time, features), got the shape {x.shape}")


def _initial(
    w: Writing, name: str, stack: Sequence[Any], given: Sequence[Value] | None
) -> list[tuple[str, ...] | None]:
    """Return the initial states of each layer of a stack; with `stateful` they are inputs of the file."""
    programs = [one.program() for one in stack]
    if given is not None:
        names = iter([one.name for one in given])
        return [tuple(next(names) for _ in program.state_names) for program in programs]
    if not w.stateful:
        return [None] * len(stack)
    found: list[tuple[str, ...] | None] = []
    for place, program in enumerate(programs):
        label = name if len(stack) == 1 else f"{name}_{place}"
        pairs = zip(program.state_names, program.state_widths, strict=True)
        found.append(tuple(w.state(f"{label}_{state}", ["batch", width]) for state, width in pairs))
    return found


def write_rnn(
    w: Writing, layer: Any, x: Any, initial_state: Any = None, mask: Any = None, **inputs: Any
) -> Any:
    """Write a recurrent layer; its outputs, then its final states if `return_state`."""
    x, given = _with_states(x, initial_state)
    x = masked(w, x, mask)
    _check(w, layer, x)
    stack = equations_of(layer)
    firsts = _initial(w, layer.name, stack, given)
    value, finals, result = x, [], None
    for place, (one, first) in enumerate(zip(stack, firsts, strict=True)):
        program, label = one.program(), layer.name if len(stack) == 1 else f"{layer.name}_{place}"
        value = with_further_inputs(w, program, value, inputs, label)
        run = Run(program, one.cell_parameters(), layer.go_backwards, first)
        (result,) = run_over_time(w, [run], value, label)
        finals += _keep(w, given is None, first, result.states, program.state_widths)
        value = Value(result.outputs, (*x.shape[:2], program.output_width), x.mask)
    assert result is not None
    width = stack[-1].program().output_width
    if layer.return_sequences:
        last = None
        if x.mask is not None and x.mask.lengths is not None:
            last = _last(w, layer.name, x.mask, result, firsts[-1] is not None)
        output = _sequence(w, layer, value, last)
    else:
        last = _last(w, layer.name, x.mask, result, firsts[-1] is not None)
        if x.mask is not None and layer.zero_output_for_mask:
            start, end = (0, 1) if layer.go_backwards else (-1, None)
            counts = w.graph.cut(x.mask.name, start, end, 1, f"{layer.name}_last_counts")
            last = w.graph.add("Where", [counts, last, w.graph.number(0.0)], f"{layer.name}_or_zero")
        output = Value(last, (x.shape[0], width))
    return [output, *finals] if layer.return_state else output


def _with_states(x: Any, initial_state: Any) -> tuple[Value, list[Value] | None]:
    if isinstance(x, list):  # Keras 2: a list of the inputs and then the states
        x, initial_state = x[0], x[1:] or initial_state
    if initial_state is None:
        return x, None
    return x, _leaves(initial_state)


def _leaves(nested: Any) -> list[Value]:
    if isinstance(nested, Value):
        return [nested]
    if not isinstance(nested, list | tuple):
        raise UnwritableError("an initial state that is no output of a layer is not written")
    return [leaf for one in nested for leaf in _leaves(one)]


def _keep(
    w: Writing, own: bool, first: tuple[str, ...] | None, last: Sequence[str], widths: Sequence[int]
) -> list[Value]:
    """Return final states as values, and say what the states of the file's input become."""
    if own and first is not None:
        for old, new, width in zip(first, last, widths, strict=True):
            w.next_state(old, new, ["batch", width])
    return [Value(name, (None, width)) for name, width in zip(last, widths, strict=True)]


def _sequence(w: Writing, layer: Any, value: Value, last: str | None) -> Value:
    """Return the outputs of all steps, in the order of their computation, filled on masked steps.

    `last` is what steps behind the last one repeat, where the steps that count come first.
    """
    mask = value.mask
    name = value.name
    if layer.go_backwards:
        name = w.flipped(name, f"{layer.name}_flipped")
        mask = None if mask is None else Mask(w.flipped(mask.name, f"{layer.name}_mask_flipped"))
    if mask is not None and last is not None and not layer.go_backwards and not layer.zero_output_for_mask:
        repeated = w.graph.add("Unsqueeze", [last, w.graph.ints(1)], f"{layer.name}_repeated")
        name = w.graph.add("Where", [w.column(mask), name, repeated], f"{layer.name}_filled")
    elif mask is not None and not layer.zero_output_for_mask:
        packed = w.packed(mask)
        front = w.take_steps(name, packed.order, f"{layer.name}_front")
        repeated = w.take_steps(front, packed.place, f"{layer.name}_repeated")
        name = w.where(Mask(packed.started), repeated, 0.0, name=f"{layer.name}_filled")
    return changed(value, name, mask=mask)


def _last(w: Writing, name: str, mask: Mask | None, result: _Result, has_states: bool) -> str:
    """Return the output of the last step; zero for rows without one, whatever their state is."""
    last = result.last
    if mask is None or not has_states or result.lengths is None:
        return last
    graph = w.graph
    empty = graph.add("Equal", [result.lengths, graph.constant(np.int32(0))], f"{name}_empty")
    column = graph.add("Unsqueeze", [empty, graph.ints(1)], f"{name}_empty_rows")
    return graph.add("Where", [column, graph.number(0.0), last], f"{name}_last")


def write_bidirectional(
    w: Writing, layer: Any, x: Any, initial_state: Any = None, mask: Any = None, **inputs: Any
) -> Any:
    """Write both directions: one operator where both are the same one of ONNX."""
    x, given = _with_states(x, initial_state)
    x = masked(w, x, mask)
    if w.stateful:
        raise UnwritableError("it reads from both ends and goes on from no state, as stateful=True asks")
    halves = (layer.forward_layer, layer.backward_layer)
    stacks = []
    for one in halves:
        _check(w, one, x)
        stacks.append(equations_of(one))
    if any(len(stack) > 1 for stack in stacks):
        raise UnwritableError(
            "stacked cells in both directions are not written; use one Bidirectional for each cell"
        )
    runs = []
    rest = given
    for one, (cell,) in zip(halves, stacks, strict=True):
        program = cell.program()
        count = len(program.state_names)
        first = None if rest is None else tuple(state.name for state in rest[:count])
        rest = None if rest is None else rest[count:]
        runs.append(Run(program, cell.cell_parameters(), one.go_backwards, first))
    joined = with_further_inputs(w, runs[0].program, x, inputs, layer.name)
    if runs[0].reverse:
        results = [run_over_time(w, [run], joined, f"{layer.name}_{n}")[0] for n, run in enumerate(runs)]
    else:
        results = run_over_time(w, runs, joined, layer.name)
    outputs = []
    for run, result in zip(runs, results, strict=True):
        width = run.program.output_width
        if layer.return_sequences:
            outputs.append(Value(result.outputs, (*x.shape[:2], width), x.mask))
        else:
            last = _last(w, layer.name, x.mask, result, given is not None)
            outputs.append(Value(last, (x.shape[0], width)))
    if layer.return_sequences and runs[0].reverse:
        # The forward layer's order is that of its computation.
        mask_back = None if x.mask is None else Mask(w.flipped(x.mask.name, f"{layer.name}_mask_flipped"))
        outputs = [changed(one, w.flipped(one.name), mask=mask_back) for one in outputs]
    merged = _merged(w, layer, *outputs)
    states = [
        Value(name, (None, width))
        for run, result in zip(runs, results, strict=True)
        for name, width in zip(result.states, run.program.state_widths, strict=True)
    ]
    found = [*merged, *states] if layer.return_state else merged
    return found if len(found) > 1 else found[0]


def _merged(w: Writing, layer: Any, forward: Value, backward: Value) -> list[Value]:
    graph, pair = w.graph, [forward.name, backward.name]
    if layer.merge_mode is None:
        return [forward, backward]
    if layer.merge_mode == "concat":
        width = (forward.shape[-1] or 0) + (backward.shape[-1] or 0)
        both = graph.add("Concat", pair, f"{layer.name}_both", axis=-1)
        return [changed(forward, both, (*forward.shape[:-1], width))]
    operator = "Mul" if layer.merge_mode == "mul" else "Add"
    found = graph.add(operator, pair, f"{layer.name}_{layer.merge_mode}")
    if layer.merge_mode == "ave":
        found = graph.add("Mul", [found, graph.number(0.5)], f"{layer.name}_mean")
    return [changed(forward, found)]


def write_stack(w: Writing, stack: Sequence[Any], x: Value, before: str = "") -> Value:
    """Write recurrent layers on top of each other; their states are zero, or inputs and outputs of the file.

    `before` stands before the names of the states.
    """
    for number, layer in enumerate(stack):
        program = layer.program()
        x = with_further_inputs(w, program, x, {}, f"{before}recurrent_{number}")
        first: tuple[str, ...] | None = None
        pairs = list(zip(program.state_names, program.state_widths, strict=True))
        if w.stateful:
            first = tuple(w.state(f"{before}{state}_{number}", ["batch", width]) for state, width in pairs)
        run = Run(program, layer.cell_parameters(), False, first)
        (result,) = run_over_time(w, [run], x, f"{before}recurrent_{number}")
        for given, value, (_, width) in zip(first or (), result.states, pairs, strict=False):
            w.next_state(given, value, ["batch", width])
        x = Value(result.outputs, (None, None, program.output_width), x.mask)
    return x
