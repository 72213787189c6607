"""Operations on axes as ONNX nodes: between two reshapes, since values lie flat as everywhere in nabi."""

from nabi.ir import Node, operation
from nabi.targets.onnx._scope import Scope

__all__ = ["is_on_axes", "write_on_axes"]

_NAMES = frozenset(
    {
        "axis_max",
        "axis_norm",
        "axis_shift",
        "axis_softmax",
        "axis_sum",
        "expand",
        "pad",
        "part",
        "view",
    }
)
_NORM_EPSILON = 1e-5


def is_on_axes(name: str) -> bool:
    """Return whether an operation is about axes."""
    return name in _NAMES


def write_on_axes(scope: Scope, node: Node, value: str, lead: int, label: str) -> str:
    """Write an operation on axes; returns the name of its result, whose units are the last axis.

    Args:
        scope: where.
        node: the operation.
        value: the name of its argument.
        lead: how many axes a value has before its units: time and rows, rows, or none.
        label: the name that the result gets, if nothing has it yet.
    """
    if node.operation == "view":
        return value
    given = node.arguments[0].axes
    if len(given) > 1:
        value = scope.add("Reshape", [value, scope.ints(*[0] * lead, *given)], f"{label}_axes")
    found = _write(scope, node, value, lead, label)
    if len(node.axes) == 1 and (node.operation in ("part", "pad") or len(given) == 1):
        return found
    return scope.add("Reshape", [found, scope.ints(*[0] * lead, node.width or 1)], label)


def _write(scope: Scope, node: Node, value: str, lead: int, label: str) -> str:
    name, given = node.operation, node.arguments[0].axes
    first, second, *_ = (*node.details, 0, 0)
    axis = first - len(given)
    if name == "expand":
        return scope.add("Expand", [value, scope.ints(*[1] * lead, *node.axes)], f"{label}_repeated")
    if name == "part":
        return scope.cut(value, first, second, -1, f"{label}_part")
    if name == "pad":
        others = [0] * (lead + len(given) - 1)
        pads = scope.ints(*others, first, *others, second)
        return scope.add("Pad", [value, pads, scope.number(0.0)], f"{label}_padded")
    if name == "axis_softmax":
        return scope.add("Softmax", [value], f"{label}_softmax", axis=axis)
    if name == "axis_norm":
        centre = scope.reduce("ReduceMean", value, [axis], True, f"{label}_mean")
        centred = scope.add("Sub", [value, centre], f"{label}_centred")
        square = scope.add("Mul", [centred, centred], f"{label}_square")
        variance = scope.reduce("ReduceMean", square, [axis], True, f"{label}_variance")
        above = scope.add("Add", [variance, scope.number(_NORM_EPSILON)], f"{label}_above")
        return scope.add("Div", [centred, scope.add("Sqrt", [above], f"{label}_deviation")], f"{label}_norm")
    kind = operation(name).onnx
    assert kind is not None
    return scope.reduce(kind, value, [axis], True, f"{label}_reduced")
