"""Nodes that change only the order, number or extent of axes."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from nabi import layers
from nabi.interchange._onnx._reader._builder import Builder
from nabi.interchange._onnx._reader._call import Call, shown
from nabi.interchange._onnx._reader._folding import axes_of, axis_in, numbers
from nabi.interchange._onnx._reader._refusal import Refusal
from nabi.interchange._onnx._reader._values import Axis, Const, Group, Size, Value, atoms, group_size, static

__all__ = ["SHAPE_NODES", "part"]

_FAR = 1 << 30  # beyond any axis: how exporters write "to the end"


def _value(call: Call, number: int = 0) -> Value:
    given = call.input(number)
    if not isinstance(given, Value):
        raise Refusal("it puts something computed into a constant")
    return given


def _same(builder: Builder, call: Call) -> list[Any]:
    return [_value(call)]


def _shape(builder: Builder, call: Call) -> list[Any]:
    value = _value(call)
    sizes = np.empty(len(value.axes), object)
    sizes[:] = [group_size(group) for group in value.axes]
    sizes = sizes[call.int("start", 0) : call.int("end", None)]
    plain = not any(isinstance(one, Size) for one in sizes)
    return [Const(sizes.astype(np.int64) if plain else sizes)]


def _transpose(builder: Builder, call: Call) -> list[Any]:
    value = _value(call)
    order = call.ints("perm", list(range(len(value.axes)))[::-1])
    if sorted(order) != list(range(len(value.axes))):
        raise Refusal(f"perm: {order} of a tensor of {len(value.axes)} axes", damaged=True)
    return [value.seen([value.axes[place] for place in order])]


def _squeeze(builder: Builder, call: Call) -> list[Any]:
    value = _value(call)
    axes = axes_of(call, 13)
    places = (
        [place for place, group in enumerate(value.axes) if static(group) == 1]
        if axes is None
        else [axis_in(axis, len(value.axes)) for axis in axes]
    )
    for place in places:
        group = value.axes[place]
        if static(group) != 1:
            if group == (builder.batch,):
                builder.no_batch()
            raise Refusal(
                f"it squeezes axis {place}, whose size is {static(group) or 'open'}, not 1", damaged=True
            )
        if group == (builder.batch,):
            builder.no_batch()
        value = _without(value, group)
    return [value.seen([group for place, group in enumerate(value.axes) if place not in places])]


def _without(value: Value, group: Group) -> Value:
    """Return a value with axes of size 1 that are no longer seen as axes; what holds them keeps its shape."""
    for axis in group:
        value = Value(
            value.symbol,
            tuple(tuple(one for one in held if one is not axis) for held in value.held),
            tuple(tuple(one for one in seen if one is not axis) for seen in value.axes),
            value.kind,
            value.source,
            value.last,
        )
    return value


def _unsqueeze(builder: Builder, call: Call) -> list[Any]:
    value = _value(call)
    axes = axes_of(call, 13)
    if axes is None:
        raise Refusal("axes are missing", damaged=True)
    rank = len(value.axes) + len(axes)
    places = {axis_in(axis, rank) for axis in axes}
    rest = iter(value.axes)
    return [value.seen([() if place in places else next(rest) for place in range(rank)])]


def _reshape(builder: Builder, call: Call) -> list[Any]:
    wanted = numbers(call.input(1), "shape")
    frozen: dict[Axis, int] = {}
    result = _reshaped(_value(call), wanted, bool(call.int("allowzero", 0)), frozen)
    for axis, size in frozen.items():
        builder.note(
            f"node {shown(call.node)} has the size {size} for {axis.name}, which is open elsewhere in the "
            "file; nabi leaves it open"
        )
    return [result]


def _reshaped(value: Value, wanted: list[Any], allow_zero: bool, frozen: dict[Axis, int]) -> Value:
    """Return a value with its axes split and put together so that they have certain sizes."""
    wanted = list(wanted)
    if allow_zero and 0 in wanted:
        raise Refusal("shape: an axis of size 0", damaged=True)
    if wanted.count(-1) > 1 or any(isinstance(one, int) and one < -1 for one in wanted):
        raise Refusal(f"shape: {wanted} has several sizes to be found", damaged=True)
    for place, size in enumerate(wanted):
        if isinstance(size, int) and size == 0 and not allow_zero:
            if place >= len(value.axes):
                raise Refusal(
                    "shape: a size of 0 stands for an axis that the input does not have", damaged=True
                )
            wanted[place] = group_size(value.axes[place])
    open_place = wanted.index(-1) if -1 in wanted else len(wanted)
    value, first = _matched(value, wanted[:open_place], False, 0, frozen)
    value, last = _matched(value, wanted[open_place + 1 :][::-1], True, len(atoms(first)), frozen)
    last = tuple(group[::-1] for group in last[::-1])
    own = atoms(value.axes)
    middle = own[len(atoms(first)) : len(own) - len(atoms(last))]
    if -1 in wanted:
        return value.seen([*first, middle, *last])
    if static(middle) != 1:
        raise Refusal(f"shape: {wanted} does not hold the elements of {list(value.axes)}", damaged=True)
    for axis in middle:
        value = _without(value, (axis,))
    return value.seen([tuple(axis for axis in group if axis not in middle) for group in (*first, *last)])


def _matched(
    value: Value, sizes: list[Any], backwards: bool, taken: int, frozen: dict[Axis, int]
) -> tuple[Value, tuple[Group, ...]]:
    """Return the axes, taken in order, whose sizes multiply to each of the wanted ones."""
    groups: list[Group] = []
    for wanted in sizes:
        group: Group = ()
        size: Any = 1
        while True:
            own = atoms(value.axes)
            used = sum(len(one) for one in groups) + len(group)
            left = own[taken:][::-1] if backwards else own
            if size == wanted and not (
                wanted == 1 and not group and left[used : used + 1] and left[used].size == 1
            ):
                break
            if used >= len(left):
                raise Refusal(f"shape: {wanted} does not fit to axes of {list(value.axes)}", damaged=True)
            axis = left[used]
            whole = size * (Size(1, (axis,)) if axis.size is None else axis.size)
            if isinstance(wanted, int) and isinstance(whole, int) and whole > wanted and axis.size:
                if wanted % size or axis.size % (wanted // size):
                    raise Refusal(f"shape: {wanted} does not fit to axes of {list(value.axes)}", damaged=True)
                here = wanted // size
                parts = (axis.size // here, here) if backwards else (here, axis.size // here)
                value = value.split(axis, parts)
                continue
            if isinstance(wanted, int) and isinstance(whole, Size):
                if group or wanted == 1:
                    raise Refusal(f"shape: {wanted} is put together from open axes, {list(group)} and {axis}")
                frozen[axis] = wanted  # an exporter wrote the size that an open axis had in its example
                group = (axis,)
                break
            group, size = (*group, axis), whole
            if size == wanted and wanted == 1:
                break
        groups.append(group)
    return value, tuple(groups)


def _flatten(builder: Builder, call: Call) -> list[Any]:
    value = _value(call)
    place = call.int("axis", 1)
    if not -len(value.axes) <= place <= len(value.axes):
        raise Refusal(f"axis {place} of a tensor of {len(value.axes)} axes", damaged=True)
    place = place % len(value.axes) if place < 0 else place
    return [value.seen([atoms(value.axes[:place]), atoms(value.axes[place:])])]


def _expand(builder: Builder, call: Call) -> list[Any]:
    value = _value(call)
    wanted = numbers(call.input(1), "shape")
    rank = max(len(wanted), len(value.axes))
    axes = ((),) * (rank - len(value.axes)) + value.axes
    for group, size in zip(reversed(axes), reversed(wanted), strict=False):
        own = group_size(group)
        if size not in (1, own) and not (isinstance(size, int) and size == -1):
            raise Refusal(f"it repeats an axis of size {own} to {size}")
    return [value.seen(axes)]


def part(
    builder: Builder, call: Call, value: Value, place: int, start: int | None, stop: int | None, step: int = 1
) -> Value:
    """Return a part of an axis."""
    group = value.axes[place]
    size = static(group)
    if size is not None:
        taken = range(size)[start:stop:step]
        if len(taken) == size and step == 1:
            return value
        if not taken:
            raise Refusal(f"it takes no step of an axis of {size}", damaged=True)
        length: int | None = len(taken)
        last_only = taken[0] == size - 1 and len(taken) == 1
    else:
        if (start or 0) == 0 and stop is None and step == 1:
            return value
        length = 1 if start is not None and _next(start) == stop and step > 0 else None
        last_only = start == -1 and stop is None
        first_only = not start and stop == 1 and step == 1
        length = 1 if last_only or first_only else length
    if group == (builder.batch,) or builder.batch in group:
        if size == 1 or length is None or value.source:
            raise Refusal("it takes a part of the batch")
        builder.no_batch()
    rest = [one for number, one in enumerate(value.axes) if number != place]
    new: Group = () if length == 1 else (Axis(f"part of {group[0].name if group else 1}", length),)
    if start is None and stop is None and step == -1:
        new = group  # as long as before
    if last_only and group == (value.last,):
        return Value(
            value.symbol, value.held, (*value.axes[:place], (), *value.axes[place + 1 :]), value.kind
        )
    if last_only and value.source and len(group) == 1 and group[0] in value.held[1]:
        builder.read_last.add(value.source)
    elif value.source:
        builder.read_fully.add(value.source)
    layout = builder.natural(value)
    if group not in layout:
        layout = (*builder.layout(rest), group)
    symbol = builder.arranged(value, layout, last=True)
    where = layout.index(group)
    symbol = builder.layer(call, layers.Slice, where, start, stop, step, kind=value.kind)(symbol)
    held = (*layout[:where], new, *layout[where + 1 :])
    return Value(symbol, held, (*value.axes[:place], new, *value.axes[place + 1 :]), value.kind)


def _next(start: int) -> int | None:
    return None if start == -1 else start + 1


def _slice(builder: Builder, call: Call) -> list[Any]:
    value = _value(call)
    if call.opset < 10:
        starts, ends = call.ints("starts"), call.ints("ends")
        axes, steps = call.ints("axes", None), None
    else:
        starts, ends = numbers(call.input(1), "starts"), numbers(call.input(2), "ends")
        axes, steps = (
            None if call.optional(number) is None else numbers(call.optional(number), "axes or steps")
            for number in (3, 4)
        )
    axes = list(range(len(starts))) if axes is None else axes
    for axis, start, stop, step in zip(axes, starts, ends, steps or [1] * len(starts), strict=True):
        place = axis_in(axis, len(value.axes))
        whole = group_size(value.axes[place])
        if stop == whole:
            stop = None
        if isinstance(start, Size) or isinstance(stop, Size) or not step:
            raise Refusal("it takes a part of an axis that depends on the size of an open axis")
        if step < 0:
            stop = None if stop is None or stop < -_FAR else stop
            start = None if start == -1 or start > _FAR else start
        else:
            stop = None if stop is None or stop > _FAR else stop
            start = None if start == 0 else start
        if start == -1 and isinstance(stop, int) and stop == 0:
            raise Refusal("it takes no step of an axis", damaged=True)
        value = part(builder, call, value, place, start, stop, step)
    return [value]


def _gather(builder: Builder, call: Call) -> list[Any]:
    table, indices = call.input(0), call.input(1)
    if isinstance(table, Const) and isinstance(indices, Value):
        return [_embedding(builder, call, builder.constant(table, "the table"), indices)]
    value = _value(call)
    place = value.place(call.int("axis", 0))
    where = builder.constant(indices, "indices") if isinstance(indices, Const) else None
    if where is None or where.dtype.kind not in "iu":
        raise Refusal("it takes elements at places that are computed")
    if where.ndim == 0:
        index = int(where)
        size = static(value.axes[place])
        if size is not None:
            index = axis_in(index, size, "index") - (size if index < 0 else 0)
            if index == size - 1:
                index = -1
        taken = part(builder, call, value, place, index, _next(index))
        if size == 1:
            taken = _without(taken, taken.axes[place])
        return [taken.seen([group for number, group in enumerate(taken.axes) if number != place])]
    if where.ndim != 1 or where.size > 64:
        raise Refusal("it takes elements in a new order")
    listed = where.tolist()
    steps = {b - a for a, b in itertools.pairwise(listed)}
    if len(listed) == 1:
        return [part(builder, call, value, place, listed[0], _next(listed[0]))]
    if steps in ({1}, {-1}) and min(listed) >= 0:
        step = steps.pop()
        stop = listed[-1] + step
        return [part(builder, call, value, place, listed[0], None if stop < 0 else stop, step)]
    raise Refusal(f"it takes elements in a new order, {listed[:9]}")


def _embedding(builder: Builder, call: Call, table: Any, ids: Value) -> Value:
    if table.ndim != 2 or call.int("axis", 0) not in (0, -2) or table.dtype.kind != "f":
        raise Refusal("it takes elements of a constant at places that are computed, other than an embedding")
    if ids.kind != "int":
        raise Refusal("indices: expected whole numbers", damaged=True)
    layout = builder.natural(ids)
    width = Axis("features", table.shape[1])
    kind = "float64" if table.dtype == np.float64 else "float32"
    layer = builder.layer(call, layers.Embedding, *table.shape, kind=kind)
    symbol = layer(builder.arranged(ids, layout))
    builder.set_weights(layer, [table])
    return Value(symbol, (*layout, (width,)), (*ids.axes, (width,)), kind)


def _split(builder: Builder, call: Call) -> list[Any]:
    value = _value(call)
    place = value.place(call.int("axis", 0))
    sizes = call.ints("split", None) if call.opset < 13 else None
    if call.opset >= 13 and call.optional(1) is not None:
        sizes = numbers(call.optional(1), "split")
    whole = static(value.axes[place])
    if whole is None:
        raise Refusal("it splits an open axis")
    if sizes is None:
        each = -(-whole // max(len(call.node.output), 1))
        sizes = [min(each, whole - each * number) for number in range(len(call.node.output))]
    if sum(sizes) != whole or len(sizes) != len(call.node.output) or min(sizes) < 1:
        raise Refusal(f"split: {sizes} of an axis of {whole}", damaged=True)
    ends = list(itertools.accumulate(sizes))
    parts = []
    for size, end in zip(sizes, ends, strict=True):
        parts.append(part(builder, call, value, place, end - size, end))
    return parts


def _reverse(builder: Builder, call: Call) -> list[Any]:
    value = _value(call)
    place, rows = call.int("time_axis", 0), call.int("batch_axis", 1)
    place, rows = value.place(place), value.place(rows)
    if value.axes[rows] != (builder.batch,) and len(value.axes[rows]) == 1:
        builder.learn_batch(value.axes[rows][0])
    lengths = numbers(call.input(1), "sequence_lens")
    if any(one != group_size(value.axes[place]) for one in lengths):
        raise Refusal("it reverses sequences of other lengths than the whole axis")
    return [part(builder, call, value, place, None, None, -1)]


SHAPE_NODES: dict[str, Callable[[Builder, Call], list[Any]]] = {
    "Identity": _same,
    "Shape": _shape,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Expand": _expand,
    "Slice": _slice,
    "Gather": _gather,
    "Split": _split,
    "ReverseSequence": _reverse,
}
