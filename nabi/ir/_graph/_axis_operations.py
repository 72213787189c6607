"""The rows of the table for values with axes: views, broadcasting, reductions of one axis, parts and padding.

A value lies in memory as one row of `width` numbers, whatever its axes are; its shape is carried beside. So a
view costs nothing, and the other operations say in their details which axis or which numbers they mean. The
rules of derivatives are closed: a broadcast is the derivative of a sum and the other way round, a part that
of padding, a view that of a view.

Templates for torch have `{shape}`, the axes of the result, `{given}`, those of the argument, `{rank}` and
`{axis}` (counted from the last), `{size}` (of that axis), and the details `{first}` and `{second}`.
"""

from typing import Any

from nabi.ir._graph._operation import Operation

__all__ = ["AXIS_OPERATIONS", "REDUCED", "axis_words"]

REDUCED = frozenset({"axis_sum", "axis_max", "axis_shift"})
"""The operations that reduce one axis, which is then gone."""


def axis_words(node: Any) -> dict[str, Any]:
    """Return what the words in the templates of these operations mean for a node."""
    shape, given = node.axes, node.arguments[0].axes if node.arguments else ()
    details: tuple[int, ...] = node.details
    first, second, *_ = (*details, 0, 0)
    return {
        "shape": shape,
        "given": given,
        "sizes": ", ".join(map(str, shape)),
        "rank": max(len(shape), 1),
        "axis": first - len(given),
        "name": first,
        "size": given[first] if node.details and first < len(given) else 0,
        "first": first,
        "second": second,
    }


def _spread_out(d: Any, y: Any, a: Any) -> Any:
    """Broadcast what belongs to a reduced axis along it."""
    return d.trace.broadcast(d.trace.with_axis(d, y.details[0]), a.axes)


def _of_expand(d: Any, y: Any, a: Any) -> tuple[Any]:
    # The last axes first: what is left to be summed over the heads is then small.
    for axis in reversed(range(len(a.axes))):
        if a.axes[axis] != y.axes[axis]:
            d = d.trace.with_axis(d.trace.reduce_axis("axis_sum", d, axis), axis)
    return (d,)


def _of_largest(d: Any, y: Any, a: Any) -> tuple[Any]:
    # Equal values share the gradient, as in torch.
    wins = a.trace.apply("equal", a, _spread_out(y, y, a))
    count = a.trace.reduce_axis("axis_sum", wins, y.details[0])
    return (a.trace.apply("select", wins, _spread_out(d / count, y, a), 0.0),)


def _softmax(x: Any, axis: int) -> Any:
    trace = x.trace
    shift = trace.with_axis(trace.reduce_axis("axis_shift", x, axis), axis)
    powers = trace.apply("exp", x - trace.broadcast(shift, x.axes))
    return powers / trace.broadcast(
        trace.with_axis(trace.reduce_axis("axis_sum", powers, axis), axis), x.axes
    )


def _norm(x: Any, axis: int) -> Any:
    trace, share = x.trace, 1.0 / x.axes[axis]

    def mean(value: Any) -> Any:
        return trace.reduce_axis("axis_sum", value, axis) * share

    centred = x - trace.broadcast(trace.with_axis(mean(x), axis), x.axes)
    deviation = trace.apply("sqrt", mean(centred * centred) + 1e-5)
    return centred / trace.broadcast(trace.with_axis(deviation, axis), x.axes)


def _row(name: str, torch: str, onnx: str | None, derivative: Any, **more: Any) -> Operation:
    text = more.pop("text", "{0}")
    return Operation(name, 1, torch, text, more.pop("latex", text), onnx, derivative=derivative, **more)


def _reduction(name: str, method: str, word: str, onnx: str, derivative: Any) -> Operation:
    return _row(
        name,
        f"{{0}}{method}.flatten(-{{rank}})",
        onnx,
        derivative,
        text=f"{word}_{{name}}({{0}})",
        latex=rf"\operatorname{{{{{word}}}}}_{{{{{{name}}}}}}({{0}})",
    )


AXIS_OPERATIONS: tuple[Operation, ...] = (
    _row(
        "view", "{0}", "Reshape", lambda d, y, a: (d.trace.view(d, a.axes),), cheap=True
    ),
    # Axes of one number are repeated.
    _row(
        "expand",
        "{0}.unflatten(-1, {given}).expand(*{0}.shape[:-1], {sizes}).flatten(-{rank})",
        "Expand",
        _of_expand,
        cheap=True,
    ),
    _reduction(
        "axis_sum", ".unflatten(-1, {given}).sum({axis})", "sum", "ReduceSum",
        lambda d, y, a: (_spread_out(d, y, a),),
    ),
    _reduction("axis_max", ".unflatten(-1, {given}).amax({axis})", "max", "ReduceMax", _of_largest),
    # The maximum that softmax subtracts: its result does not depend on it, so it has no cotangent.
    _reduction(
        "axis_shift", ".detach().unflatten(-1, {given}).amax({axis})", "max", "ReduceMax",
        lambda d, y, a: (None,),
    ),
    _row(
        "axis_softmax",
        "torch.softmax({0}.unflatten(-1, {given}), {axis}).flatten(-{rank})",
        None,
        None,
        text="softmax_{name}({0})",
        latex=r"\operatorname{{softmax}}_{{{name}}}({0})",
        decomposition=_softmax,
    ),
    # Mean 0 and variance 1 along an axis.
    _row(
        "axis_norm",
        "torch.nn.functional.layer_norm({0}.unflatten(-1, {given}).movedim({axis}, -1), ({size},), None, "
        "None, 1e-5).movedim(-1, {axis}).flatten(-{rank})",
        None,
        None,
        text="norm_{name}({0})",
        latex=r"\operatorname{{norm}}_{{{name}}}({0})",
        decomposition=_norm,
    ),
    # The numbers from `first` up to `second` of the last axis, and the derivative: zeros around a value.
    _row(
        "part",
        "{0}.unflatten(-1, {given})[..., {first}:{second}].flatten(-{rank})",
        "Slice",
        lambda d, y, a: (d.trace.pad(d, y.details[0], a.axes[-1] - y.details[1]),),
        text="{0}[{first}:{second}]",
        latex="{{{0}}}_{{[{first}:{second}]}}",
        cheap=True,
    ),
    _row(
        "pad",
        "torch.nn.functional.pad({0}.unflatten(-1, {given}), ({first}, {second})).flatten(-{rank})",
        "Pad",
        lambda d, y, a: (d.trace.section(d, y.details[0], y.details[0] + a.axes[-1]),),
        text="pad({0})",
        latex=r"\operatorname{{pad}}({0})",
        cheap=True,
    ),
)  # fmt: skip
