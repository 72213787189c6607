"""A recurrent layer as ONNX: one direction or both, as an operator of ONNX or as a Scan."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi.ir import Program
from nabi.targets.onnx._activations import Activation
from nabi.targets.onnx._recognise import Operator, recognise
from nabi.targets.onnx._scan import DOMAIN, cell_function
from nabi.targets.onnx._scope import GraphScope

__all__ = ["Direction", "write_layer"]

Array = npt.NDArray[Any]

_DEFAULTS = {
    "RNN": (Activation("Tanh"),),
    "GRU": (Activation("Sigmoid"), Activation("Tanh")),
    "LSTM": (Activation("Sigmoid"), Activation("Tanh"), Activation("Tanh")),
}


@dataclass(frozen=True)
class Direction:
    """One run of a cell over time.

    Attributes:
        program: of the cell, at inference.
        weights: the tensors of `program.families`, as the program takes them.
        reverse: whether it goes from the last valid step to the first; outputs stay at their steps.
        states: names of the initial states, each `[N, width]`; None for zeros.
    """

    program: Program
    weights: tuple[Array, ...]
    reverse: bool = False
    states: tuple[str, ...] | None = None


def write_layer(
    graph: GraphScope, directions: Sequence[Direction], x: str, lengths: str | None, name: str
) -> list[tuple[str, tuple[str, ...]]]:
    """Write a layer of one or two directions that read the same input.

    Args:
        graph: where.
        directions: what is run; two are one operator where both are the same one of ONNX, the first forward.
        x: `[T, N, inputs]`.
        lengths: `[N]`, int32, how many steps of each row count; None for all.
        name: of the layer, for names of weights and results.

    Returns:
        For each direction the outputs `[T, N, width]`, zero on steps that do not count, and the final states,
        each `[N, width]`, behind the output of the last step where that is no state.
    """
    found = [recognise(direction.program) for direction in directions]
    if len(directions) == 2:
        first, second = found
        fits = first is not None and second is not None and first.is_run_with(second)
        given = {direction.states is None for direction in directions}
        if fits and len(given) == 1 and [one.reverse for one in directions] == [False, True]:
            return _operator(graph, [one for one in found if one], directions, x, lengths, name)
    results = []
    for operator, direction in zip(found, directions, strict=True):
        label = name if len(directions) == 1 else f"{name}_{'backward' if direction.reverse else 'forward'}"
        if operator is None:
            results.append(_function(graph, direction, x, lengths, label))
        else:
            results += _operator(graph, [operator], [direction], x, lengths, label)
    return results


def _operator(
    graph: GraphScope,
    operators: Sequence[Operator],
    directions: Sequence[Direction],
    x: str,
    lengths: str | None,
    name: str,
) -> list[tuple[str, tuple[str, ...]]]:
    kind = operators[0]
    names = directions[0].program.state_names
    stacked = [
        operator.weights(direction.program, direction.weights)
        for operator, direction in zip(operators, directions, strict=True)
    ]
    w, r, b = (np.stack(same) for same in list(zip(*stacked, strict=True))[:3])
    weights = [graph.constant(w, f"{name}_W"), graph.constant(r, f"{name}_R")]
    weights.append(graph.constant(b, f"{name}_B") if b.any() else "")
    initial = [_joined(graph, directions, place, f"{name}_{names[place]}") for place in range(len(names))]
    inputs = [x, *weights, lengths or "", *initial]
    peepholes = [one[3] for one in stacked]
    if any(one is not None for one in peepholes):
        blank = np.zeros(3 * kind.units, np.float32)
        inputs.append(graph.constant(np.stack([blank if p is None else p for p in peepholes]), f"{name}_P"))
    while not inputs[-1]:
        inputs.pop()
    way = "bidirectional" if len(directions) == 2 else "reverse" if directions[0].reverse else "forward"
    outputs = graph.several(
        kind.kind,
        inputs,
        [f"{name}_Y", *(f"{name}_Y_{state}" for state in names)],
        hidden_size=kind.units,
        direction=way,
        clip=kind.clip,
        **{**_activations(operators), **kind.attributes},
    )
    cut = [
        graph.split(one, [1] * len(directions), 0 if place else 1, [one] * len(directions))
        for place, one in enumerate(outputs)
    ]
    results = []
    for number, direction in enumerate(directions):
        label = name if len(directions) == 1 else f"{name}_{number}"
        y, *last = (
            graph.add("Squeeze", [pieces[number], graph.ints(axis)], f"{label}_{what}")
            for pieces, axis, what in zip(cut, (1, *[0] * len(names)), ("outputs", *names), strict=True)
        )
        if lengths is not None and direction.states is not None:
            last = [
                _unread(graph, lengths, old, new) for old, new in zip(direction.states, last, strict=True)
            ]
        results.append((y, tuple(last)))
    return results


def _unread(graph: GraphScope, lengths: str, old: str, new: str) -> str:
    """Return the initial state of rows without steps, for which ONNX Runtime gives zeros."""
    empty = graph.add("Equal", [lengths, graph.constant(np.int32(0))], "is_empty")
    column = graph.add("Unsqueeze", [empty, graph.ints(1)], "is_empty_row")
    return graph.add("Where", [column, old, new], new)


def _activations(operators: Sequence[Operator]) -> dict[str, Any]:
    """Return the attributes for activations; none where they are the operator's own."""
    used = [one for operator in operators for one in operator.activations]
    if tuple(used) == _DEFAULTS[operators[0].kind] * len(operators):
        return {}
    alphas = [float(one.alpha) for one in used if one.alpha is not None]
    betas = [float(one.beta) for one in used if one.beta is not None]
    return {
        "activations": [one.name for one in used],
        "activation_alpha": alphas or None,
        "activation_beta": betas or None,
    }


def _joined(graph: GraphScope, directions: Sequence[Direction], place: int, name: str) -> str:
    """Return an initial state of all directions, `[directions, N, width]`; nothing for zeros."""
    given = [one.states[place] for one in directions if one.states is not None]
    if not given:
        return ""
    rows = [graph.add("Unsqueeze", [one, graph.ints(0)], f"{name}_first") for one in given]
    return rows[0] if len(rows) == 1 else graph.add("Concat", rows, f"{name}_both", axis=0)


def _function(
    graph: GraphScope, direction: Direction, x: str, lengths: str | None, name: str
) -> tuple[str, tuple[str, ...]]:
    program = direction.program.as_states
    function = cell_function(graph, program, reverse=direction.reverse, lengths=lengths is not None)
    weights = [
        graph.constant(
            np.asarray(values.T if values.ndim == 2 else values, np.float32), f"{name}_{family.name}"
        )
        for family, values in zip(program.families, direction.weights, strict=True)
    ]
    states = direction.states
    if states is None:
        rows = graph.size(x, 1, f"{name}_rows")
        states = tuple(
            graph.zeros([rows, graph.ints(width)], f"{name}_{state}_first")
            for state, width in zip(program.state_names, program.state_widths, strict=True)
        )
    elif direction.program.readouts:
        rows = graph.size(x, 1, f"{name}_rows")
        states = (graph.zeros([rows, graph.ints(program.state_widths[0])], f"{name}_nothing"), *states)
    y, *last = graph.several(
        function.name,
        [x, *weights, *states, *([lengths] if lengths else [])],
        [f"{name}_outputs", *(f"{name}_{state}" for state in program.state_names)],
        domain=DOMAIN,
    )
    return y, tuple(last)
