"""Nodes `Scan` and `Loop`: a recurrent layer whose cell is what the body computes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from nabi import cells, layers
from nabi.interchange._onnx._reader._builder import Builder
from nabi.interchange._onnx._reader._call import Call
from nabi.interchange._onnx._reader._loops._body import Body, Counter, Going
from nabi.interchange._onnx._reader._loops._expressions import Expression, Instructions
from nabi.interchange._onnx._reader._refusal import Refusal
from nabi.interchange._onnx._reader._values import Axes, Axis, Const, Group, Value, group_size, static
from nabi.layers import SymbolicTensor
from nabi.targets.onnx import Graph

__all__ = ["loop", "scan"]


@dataclass
class _State:
    """A value that the body hands on to its next step."""

    name: str
    start: Any
    new: Expression
    output: int  # of the node


def loop(builder: Builder, call: Call) -> list[Any]:
    """Make the layer of a `Loop` over the steps of sequences."""
    graph = call.graph("body")
    starts = call.inputs[2:]
    inputs, outputs = [one.name for one in graph.input], [one.name for one in graph.output]
    if len(inputs) != len(starts) + 2 or len(outputs) < len(starts) + 1:
        raise Refusal("its body has other inputs or outputs than the operator states", damaged=True)
    body = Body(builder, call, graph)
    body.names[inputs[0]] = Counter(0)
    body.names[inputs[1]] = Going()
    carried = list(zip(inputs[2:], starts, outputs[1 : len(starts) + 1], strict=True))
    widths: dict[str, int] = {}
    for number, (name, start, new) in enumerate(carried):
        if body.origin(new) == name:
            body.names[name] = start  # handed on as it is
        elif isinstance(start, Const) and start.array.dtype.kind in "iu" and start.array.size == 1:
            body.names[name] = Counter(int(start.array.ravel()[0]))
        else:
            widths[name] = _width(start)
            body.names[name] = Expression("state", widths[name], name=f"s{number + 1}")
    states = []
    for number, (name, start, new) in enumerate(carried):
        if name in widths:
            found = body.expression(new)
            states.append(_State(f"s{number + 1}", start, _of_width(found, widths[name]), number))
        elif isinstance(body.names[name], Counter) and not _counts(body.value(new), body.names[name]):
            raise Refusal(f"its counter {name[:60]!r} does not go up by one")
    body.check_condition(outputs[0])
    scans = [(len(starts) + number, name) for number, name in enumerate(outputs[len(starts) + 1 :])]
    if not body.sequences:
        raise Refusal("it reads no sequence step by step")
    steps = body.sequences[0].axes[0]
    limit = call.optional(0)
    if not (isinstance(limit, Const) and limit.array.size == 1):
        raise Refusal("the number of its steps is computed")
    if limit.array.ravel().tolist()[0] != group_size(steps):
        raise Refusal("it has another number of steps than the sequences that it reads")
    made = [None] * len(call.node.output)
    for number, (name, start, _) in enumerate(carried):
        if name not in widths and not isinstance(body.names[name], Counter):
            made[number] = start
    return _layer(builder, call, body, states, scans, made)


def _counts(new: Any, old: Counter) -> bool:
    return isinstance(new, Counter) and new.start == old.start + 1


def scan(builder: Builder, call: Call) -> list[Any]:
    """Make the layer of a `Scan`."""
    if call.opset < 9:
        raise Refusal("Scan of version 8, which has other inputs")
    graph: Graph = call.graph("body")
    count = call.int("num_scan_inputs")
    inputs, outputs = [one.name for one in graph.input], [one.name for one in graph.output]
    kept = len(call.inputs) - count
    if not 1 <= count <= len(call.inputs) or len(inputs) != len(call.inputs) or len(outputs) < kept:
        raise Refusal("its body has other inputs or outputs than the operator states", damaged=True)
    turns = {*call.ints("scan_input_directions", [0] * count)}
    scans = len(outputs) - kept
    back = {*call.ints("scan_output_directions", [0] * scans)}
    if turns not in ({0}, {1}) or (scans and back not in ({0}, {1})):
        raise Refusal("it runs in two directions")
    body = Body(builder, call, graph)
    axes = call.ints("scan_input_axes", [0] * count)
    for name, value, axis in zip(inputs[kept:], call.inputs[kept:], axes, strict=True):
        if not isinstance(value, Value):
            raise Refusal("it reads a constant step by step")
        place = value.place(axis)
        rest = [group for number, group in enumerate(value.axes) if number != place]
        body.names[name] = body.element(value.seen([value.axes[place], *rest]))
    states = []
    for number, (name, start) in enumerate(zip(inputs[:kept], call.inputs[:kept], strict=True)):
        body.names[name] = Expression("state", _width(start), name=f"s{number + 1}")
    for number, (name, start) in enumerate(zip(inputs[:kept], call.inputs[:kept], strict=True)):
        width = body.names[name].width
        states.append(
            _State(f"s{number + 1}", start, _of_width(body.expression(outputs[number]), width), number)
        )
    if any(call.ints("scan_output_axes", [])):
        raise Refusal("its outputs do not have time first")
    listed = [(kept + number, name) for number, name in enumerate(outputs[kept:])]
    made = [None] * len(call.node.output)
    return _layer(builder, call, body, states, listed, made, turns == {1}, back == {1})


def _width(start: Any) -> int:
    """Return the width of a state from its initial value."""
    if isinstance(start, Const) and start.array.ndim in (1, 2) and start.array.dtype.kind == "f":
        return int(start.array.shape[-1])
    if isinstance(start, Value) and start.kind != "int" and len(start.axes) in (1, 2):
        width = static(start.axes[-1])
        if width is not None:
            return width
    raise Refusal("a state of its loop is no batch of vectors")


def _of_width(value: Expression, width: int) -> Expression:
    if value.width not in (width, 1):
        raise Refusal(f"a state of {width} units becomes one of {value.width}", damaged=True)
    return value


def _layer(
    builder: Builder,
    call: Call,
    body: Body,
    states: list[_State],
    scans: list[tuple[int, str]],
    made: list[Any],
    backwards: bool = False,
    outputs_back: bool = False,
) -> list[Any]:
    names = call.node.output
    wanted = [(place, name) for place, name in scans if place < len(names) and names[place] in builder.used]
    if len({body.origin(name) for _, name in wanted}) > 1:
        raise Refusal("it collects several outputs of each step")
    if not states:
        raise Refusal("it has no state")
    sequences = {id(state.new): state for state in states}
    output = body.expression(wanted[0][1]) if wanted else None
    if output is not None and id(output) not in sequences:
        states = [_State("y", None, output, -1), *states]
    elif output is not None:
        first = sequences[id(output)]
        states = [first, *[state for state in states if state is not first]]
    units = states[0].new.width if states[0].start is None else _width(states[0].start)
    body.placed()
    instructions = Instructions(units)
    widths = {state.name: state.new.width if state.start is None else _width(state.start) for state in states}
    # A new state of width 1, a number for all units, is made as wide as the state.
    outputs = [instructions.place(instructions.wide(state.new, widths[state.name])) for state in states]
    cell = cells.OnnxBody(
        units, body=tuple(instructions.body), widths=tuple(widths.items()), outputs=tuple(outputs)
    )
    x = body.sequence()
    kind = body.sequences[0].kind
    steps: Group = body.sequences[0].axes[0]
    batch = (builder.batch,)
    rows: Axes = (batch,) if body.sequences[0].axes[1] else ()
    ends = [
        state for state in states if 0 <= state.output < len(names) and names[state.output] in builder.used
    ]
    last = {names[place] for place, _ in wanted} & builder.only_last
    sequence = bool(wanted) and not last
    layer = builder.layer(
        call, layers.RNN, cell, kind=kind, return_sequences=sequence, go_backwards=backwards,
        return_state=bool(ends),
    )  # fmt: skip
    named: dict[str, Any] = {}
    starts = [_start(builder, call, state, widths[state.name], x, kind) for state in states]
    if any(one is not None for one in starts):
        named["initial_state"] = [
            _zeros(builder, call, widths[state.name], x, kind) if one is None else one
            for one, state in zip(starts, states, strict=True)
        ]
    result = layer(x, **named)
    with torch.no_grad():
        for family in layer.program().families:
            parts = [instructions.weights[family.name][gate] for gate in family.gates]
            place = layer.family_weight(family)
            place.copy_(torch.from_numpy(np.concatenate(parts)).to(place.dtype))
    finals: list[Any] = []
    if ends:
        result, *finals = result
    for state in ends:
        axis = (Axis("units", widths[state.name]),)
        made[state.output] = Value(finals[states.index(state)], (batch, axis), (*rows, axis), kind)
    for place, _ in wanted:
        axis = (Axis("units", units),)
        seen: Axes = (steps, *rows, axis)
        if last:
            made[place] = Value(result, (batch, axis), seen, kind, names[place], steps[0])
            continue
        symbol = result
        if outputs_back:  # the layer gives its outputs in the order of computation
            symbol = builder.plain(layers.Slice, 1, step=-1, kind=kind)(result)
        alone = not outputs_back and len(steps) == 1
        made[place] = Value(symbol, (batch, steps, axis), seen, kind, names[place] if alone else "")
    return made


def _start(
    builder: Builder, call: Call, state: _State, width: int, x: SymbolicTensor, kind: str
) -> SymbolicTensor | None:
    """Return an initial state; None for zeros."""
    if state.start is None:
        return None
    if isinstance(state.start, Value):
        rows = state.start.axes[:-1]
        if rows and rows[0] not in ((), (builder.batch,)):
            if len(rows[0]) == 1:
                builder.learn_batch(rows[0][0])
            raise Refusal("the batch of an initial state is put together from several axes")
        return builder.arranged(state.start, ((builder.batch,), state.start.axes[-1]))
    array = builder.constant(state.start, "an initial state")
    if not array.any():
        return None
    array = array.reshape(-1, array.shape[-1])
    if (array != array[:1]).any():
        raise Refusal("an initial state is a constant with other numbers for each sequence of the batch")
    made = _zeros(builder, call, width, x, kind, learned=True)
    builder.set_weights(made.call.layer, [array[0]])
    return made


def _zeros(
    builder: Builder, call: Call, width: int, x: SymbolicTensor, kind: str, learned: bool = False
) -> SymbolicTensor:
    name = builder.name(f"{call.name or call.kind.lower()}_start")
    layer: Any = builder.plain(layers.StartState, width, kind=kind, name=name, trainable=learned)
    made: SymbolicTensor = layer(x)
    return made
