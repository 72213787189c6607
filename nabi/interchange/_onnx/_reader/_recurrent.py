"""Nodes RNN, GRU and LSTM: recurrent layers with lengths, initial states and what is asked for."""

from typing import Any

import numpy as np

from nabi import layers
from nabi.interchange._onnx._reader._builder import Builder
from nabi.interchange._onnx._reader._call import Call
from nabi.interchange._onnx._reader._operators import Recurrence, recurrence_of, set_recurrent_weights
from nabi.interchange._onnx._reader._refusal import Refusal
from nabi.interchange._onnx._reader._values import Axes, Axis, Const, Group, Value
from nabi.layers import SymbolicTensor

__all__ = ["recurrent"]


def recurrent(builder: Builder, call: Call) -> list[Any]:
    """Make the layers of a node RNN, GRU or LSTM; return Y, Y_h and, for an LSTM, Y_c."""
    found = recurrence_of(call)
    x = call.input(0, "X")
    if not isinstance(x, Value):
        raise Refusal("X: expected sequences, got a constant")
    steps, rows, features = _axes_of(builder, x, found.batch_first)
    if x.kind == "int":
        raise Refusal("X: expected floating-point numbers, got integers", damaged=True)
    if builder.static(features) != found.inputs:
        width = builder.static(features)
        raise Refusal(f"X has {width} features, and W has weights for {found.inputs}", damaged=True)
    batch = (builder.batch,)
    symbol = builder.arranged(x, (batch, steps, features))
    names = [*call.node.output, "", "", ""][:3]
    wants = [bool(name) and name in builder.used for name in names]
    if not any(wants):
        return [None] * len(call.node.output)
    only_last = names[0] in builder.only_last
    mask = _mask(builder, call, symbol, rows)
    states = _initial(builder, call, found, symbol, x.kind)
    sequence = wants[0] and not only_last
    ends = wants[1] or only_last
    with_states = wants[2] or (ends and (sequence or mask is not None))
    options = {"return_sequences": sequence, "return_state": with_states}
    outputs, finals = _run(builder, call, found, symbol, x.kind, options, states, mask)
    directions: Group = () if len(found.directions) == 1 else (Axis("directions", 2),)
    units: Group = (Axis("units", found.units),)
    merged = directions + units
    axes_of_end: Axes = (rows, directions, units) if found.batch_first else (directions, rows, units)

    def end(number: int) -> Value:
        if finals is None:
            joined = outputs
        else:
            parts = [states_of[number] for states_of in finals]
            joined = parts[0] if len(parts) == 1 else builder.plain(layers.Concatenate, kind=x.kind)(parts)
        return Value(joined, (batch, merged), axes_of_end, x.kind)

    made: list[Any] = [None, end(0) if wants[1] else None, end(1) if wants[2] else None]
    if wants[0]:
        seen: Axes = (
            (rows, steps, directions, units) if found.batch_first else (steps, directions, rows, units)
        )
        if only_last:
            made[0] = Value(end(0).symbol, (batch, merged), seen, x.kind, names[0], steps[0])
        else:
            # The last step is the final state only forwards and without lengths.
            alone = found.backwards == [False] and mask is None and len(steps) == 1
            made[0] = Value(outputs, (batch, steps, merged), seen, x.kind, names[0] if alone else "")
    return made[: len(call.node.output)]


def _axes_of(builder: Builder, x: Value, batch_first: bool) -> tuple[Group, Group, Group]:
    """Return the axes of time, batch and features, having learned which axis of an input is the batch."""
    if len(x.axes) != 3:
        raise Refusal(f"X: expected 3 axes, got {len(x.axes)}", damaged=True)
    rows, steps = x.axes[:2] if batch_first else (x.axes[1], x.axes[0])
    batch = builder.batch
    if rows == (batch,):
        return steps, rows, x.axes[2]
    if rows == ():
        if batch in (*steps, *x.axes[2]):
            builder.no_batch()
        return steps, rows, x.axes[2]
    if len(rows) == 1:
        builder.learn_batch(rows[0])
    raise Refusal("its sequences are put together from several axes")


def _mask(builder: Builder, call: Call, x: SymbolicTensor, rows: Group) -> SymbolicTensor | None:
    given = call.optional(4)
    if given is None:
        return None
    if isinstance(given, Const):
        constant = builder.constant(given, "sequence_lens").ravel()
        if constant.size and x.shape[1] is not None and (constant == x.shape[1]).all():
            return None
        raise Refusal("sequence_lens is a constant, so every batch would have the same lengths")
    if len(given.axes) == 1 and given.axes[0] != rows and len(given.axes[0]) == 1:
        builder.learn_batch(given.axes[0][0])
    if given.axes != (rows,) or not rows:
        raise Refusal(f"sequence_lens: expected one length for each sequence, got axes {list(given.axes)}")
    lengths = builder.arranged(given, ((builder.batch,),))
    layer = layers.SequenceMask(name=builder.name(f"{call.name or call.kind.lower()}_mask"))
    found: SymbolicTensor = layer([x, lengths])
    builder.note("a sequence of length 0 leaves its initial state as it is, where ONNX Runtime returns zeros")
    return found


def _initial(
    builder: Builder, call: Call, found: Recurrence, x: SymbolicTensor, kind: str
) -> list[list[SymbolicTensor]] | None:
    """Return the initial states of each direction; None if all are zero."""
    count = 2 if call.kind == "LSTM" else 1
    given = [call.optional(5 + number) for number in range(count)]
    parts = [_parts(builder, call, found, one, f"initial_{'hc'[number]}") for number, one in enumerate(given)]
    if all(one is None for one in parts):
        return None
    states = []
    for direction in range(len(found.directions)):
        own = []
        for part in parts:
            one: Any = None if part is None else part[direction]
            state = one
            if one is None or isinstance(one, np.ndarray):
                state = _start(builder, call, found.units, one, x, kind)
            own.append(state)
        states.append(own)
    return states


def _start(
    builder: Builder, call: Call, units: int, numbers: Any, x: SymbolicTensor, kind: str
) -> SymbolicTensor:
    name = builder.name(f"{call.name or call.kind.lower()}_start")
    dtype = "float64" if kind == "float64" else "float32"
    # Zeros are what the file left out: they are not learned.
    layer = layers.StartState(units, name=name, dtype=dtype, trainable=numbers is not None)
    made: SymbolicTensor = layer(x)
    if numbers is not None:
        builder.set_weights(layer, [numbers])
    return made


def _parts(builder: Builder, call: Call, found: Recurrence, given: Any, what: str) -> list[Any] | None:
    """Return the state of each direction: numbers or a tensor; None for zeros."""
    if given is None:
        return None
    count, units = len(found.directions), found.units
    if isinstance(given, Const):
        array = builder.constant(given, what)
        if array.ndim != 3:
            raise Refusal(f"{what}: expected 3 axes, got {array.ndim}", damaged=True)
        if found.batch_first:
            array = array.transpose(1, 0, 2)
        if array.shape[0] not in (1, count) or array.shape[2] not in (1, units) or not array.shape[1]:
            raise Refusal(
                f"{what}: expected {count} states of {units} units, got {array.shape}", damaged=True
            )
        if not array.any():
            return None
        if (array != array[:, :1]).any():
            raise Refusal(f"{what} is a constant with other numbers for each sequence of the batch")
        return list(np.broadcast_to(array[:, 0], (count, units)))
    if len(given.axes) != 3:
        raise Refusal(f"{what}: expected 3 axes, got {len(given.axes)}", damaged=True)
    rows, directions = given.axes[:2] if found.batch_first else (given.axes[1], given.axes[0])
    if rows not in ((), (builder.batch,)):
        if len(rows) == 1:
            builder.learn_batch(rows[0])
        raise Refusal(f"{what}: its batch is put together from several axes")
    width = given.axes[2]
    if builder.static(width) != units or builder.static(directions) != count:
        sizes = [builder.static(group) for group in (directions, width)]
        raise Refusal(f"{what}: expected {count} states of {units} units, got {sizes}", damaged=True)
    if not directions:
        return [builder.arranged(given, ((builder.batch,), width))]
    symbol = builder.arranged(given, ((builder.batch,), directions, width))
    if count == 1:
        return [builder.plain(layers.Reshape, [units], kind=given.kind)(symbol)]
    return [
        builder.plain(layers.Reshape, [units], kind=given.kind)(
            builder.plain(layers.Slice, 1, one, one + 1, kind=given.kind)(symbol)
        )
        for one in range(count)
    ]


def _run(
    builder: Builder,
    call: Call,
    found: Recurrence,
    x: SymbolicTensor,
    kind: str,
    options: dict[str, bool],
    states: list[list[SymbolicTensor]] | None,
    mask: SymbolicTensor | None,
) -> tuple[Any, list[list[SymbolicTensor]] | None]:
    """Make and call the layers; return the outputs and, where they are asked for, the final states."""
    named: dict[str, Any] = {}
    if mask is not None:
        named["mask"] = mask
    if states is not None:
        named["initial_state"] = [one for own in states for one in own]
    name = builder.name(call.name or call.kind.lower())
    dtype = "float64" if kind == "float64" else "float32"
    both = len(found.directions) == 2
    made = [
        direction.layer(
            go_backwards=backwards, dtype=dtype, name=f"{name}_{'backward' if backwards else 'forward'}"
            if both else name, zero_output_for_mask=options["return_sequences"], **options,
        )
        for direction, backwards in zip(found.directions, found.backwards, strict=True)
    ]  # fmt: skip
    layer = layers.Bidirectional(made[0], backward_layer=made[1], name=name, dtype=dtype) if both else made[0]
    result = layer(x, **named)
    inner = [layer.forward_layer, layer.backward_layer] if both else [layer]
    for one, direction in zip(inner, found.directions, strict=True):
        set_recurrent_weights(one, direction)
    finals = None
    if options["return_state"]:
        result, *rest = result
        each = len(rest) // len(inner)
        finals = [list(rest[each * number : each * (number + 1)]) for number in range(len(inner))]
    if options["return_sequences"] and found.backwards == [True]:
        result = builder.plain(layers.Slice, 1, step=-1, kind=kind)(
            result
        )  # the layer gives its outputs in the order of computation
    elif options["return_sequences"] and mask is not None:
        result = builder.plain(layers.Slice, 1, kind=kind)(
            result
        )  # ends the mask, which the file does not hand on
    return result, finals
