"""Functions for values with axes: dividing units into axes, broadcasting products, reading a matrix state.

Axes are aligned from the first. With `S` of shape heads × keys × values, `a * S` scales whole heads where `a`
has one number a head, rows where it has heads × keys, and single numbers where it has all three axes.
"""

from math import prod
from typing import NoReturn

from nabi.errors import CellError
from nabi.ir._graph._axes import show_shape
from nabi.ir._graph._nodes import Node, apply, current_trace
from nabi.ir._graph._numbers import is_number

__all__ = [
    "flat",
    "join",
    "largest",
    "mean",
    "norm",
    "outer",
    "part",
    "read",
    "softmax",
    "split",
    "total",
    "vector",
]


def split(x: Node, *axes: int) -> Node:
    """Divide the units of a value into axes, the last of which lies side by side.

    Args:
        x: any value of a step.
        *axes: sizes; their product is the width of the value.

    Raises:
        CellError: the sizes are no positive integers, or their product is another.

    Example:
        >>> from nabi.ir import Cell
        >>> from nabi.ir.functions import flat, outer, read, split
        >>> class Memory(Cell):
        ...     states = ("h", "S")
        ...
        ...     def state_shape(self, name):
        ...         return (2, 3, 4) if name == "S" else (8,)
        ...
        ...     def step(self, x, h, S):
        ...         q, k = (split(self.linear(g, "x", x, units=6), 2, 3) for g in "qk")
        ...         v = split(self.linear("v", "v", x, units=8), 2, 4)
        ...         S = S + outer(k, v)
        ...         return flat(read(S, q)), S
        >>> print(*Memory(8).program(input_size=5).equations, sep="; ")
        q_t = W_xq x_t; k_t = W_xk x_t; v_t = W_vv x_t; S_t = S_{t-1} + k_t ⊗ v_t; h_t = S_tᵀ q_t
    """
    x = _value("split", x)
    sizes = all(isinstance(size, int) and not isinstance(size, bool) and size > 0 for size in axes)
    if not sizes or not axes or prod(axes) != x.width:
        _refuse(x, f"split of {x!r}: expected sizes whose product is {x.width}, got {axes!r}")
    return x.trace.view(x, axes)


def flat(x: Node) -> Node:
    """Return a value with all its units in one axis."""
    x = _value("flat", x)
    return x.trace.view(x, (x.width or 1,))


def part(x: Node, start: int, stop: int) -> Node:
    """Return the numbers from `start` up to `stop` of the last axis.

    Raises:
        CellError: there are no such numbers.
    """
    x = _value("part", x)
    if not (isinstance(start, int) and isinstance(stop, int) and 0 <= start < stop <= x.axes[-1]):
        _refuse(x, f"part of {x!r}: expected 0 <= start < stop <= {x.axes[-1]}, got {start!r} and {stop!r}")
    return x.trace.section(x, start, stop)


def join(*values: Node) -> Node:
    """Return values side by side in the last axis; their other axes are the same.

    Raises:
        CellError: other axes differ.
    """
    found = [_value("join", value) for value in values]
    if not found:
        raise CellError("join: expected values of the step, got none")
    before, width = 0, sum(value.axes[-1] for value in found)
    if any(value.axes[:-1] != found[0].axes[:-1] for value in found):
        listed = " and ".join(repr(value) for value in found)
        _refuse(found[0], f"join of {listed}: only the last axis may differ")
    result: Node | None = None
    for value in found:
        padded = value.trace.pad(value, before, width - before - value.axes[-1])
        before += value.axes[-1]
        result = padded if result is None else result + padded
    assert result is not None
    return result


def outer(a: Node, b: Node) -> Node:
    """Return all products of the last axes: heads × keys and heads × values give heads × keys × values.

    Raises:
        CellError: the axes before the last differ.
    """
    a, b = _value("outer", a), _value("outer", b)
    if len(a.axes) != len(b.axes) or not _fit(a.axes[:-1], b.axes[:-1]):
        _refuse(a, f"outer of {a!r} and {b!r}: the axes before the last differ")
    return apply("mul", a, a.trace.with_axis(b, len(b.axes) - 1))


def read(matrix: Node, query: Node) -> Node:
    """Return the transposed matrix of every head times its query: heads × keys × values, heads × keys.

    Raises:
        CellError: the query has not the axes of the matrix without the last.
    """
    matrix, query = _value("read", matrix), _value("read", query)
    if len(matrix.axes) != len(query.axes) + 1 or not _fit(query.axes, matrix.axes[:-1]):
        _refuse(
            matrix,
            f"read of {matrix!r} by {query!r}: expected a query of {show_shape(matrix.axes[:-1])}, the axes "
            "of the matrix without the last",
        )
    return total(matrix * query, len(matrix.axes) - 2)


def total(x: Node, axis: int | None = None) -> Node:
    """Sum over the units, one number a row; or along an axis, which is then gone.

    Args:
        x: a value of a step.
        axis: counted from the first, or from the last where negative; None for all units.
    """
    place = _axis("total", x, axis)
    return apply("sum", x) if place is None else x.trace.reduce_axis("axis_sum", x, place)


def mean(x: Node, axis: int | None = None) -> Node:
    """Mean over the units, one number a row; or along an axis, as `total`."""
    place = _axis("mean", x, axis)
    if place is None:
        return apply("mean", x)
    return x.trace.reduce_axis("axis_sum", x, place) * (1.0 / x.axes[place])


def largest(x: Node, axis: int | None = None) -> Node:
    """Return the largest of the units, one number a row, or along an axis, which is then gone.

    Equally large ones share the derivative.
    """
    x = _value("largest", x)
    place = _axis("largest", x, axis)
    if place is None:
        return apply("largest", x)
    return x.trace.reduce_axis("axis_max", x, place)


def softmax(x: Node, axis: int | None = None) -> Node:
    """`exp(x)` divided by its sum over the units, or along an axis."""
    place = _axis("softmax", x, axis)
    if place is None:
        return apply("softmax", x)
    return x.trace.along_axis("axis_softmax", x, place)


def norm(x: Node, axis: int | None = None) -> Node:
    """`(x - mean) / sqrt(variance + 1e-5)`, over the units or along an axis: mean 0 and variance 1."""
    place = _axis("norm", x, axis)
    if place is None:
        return apply("norm", x)
    return x.trace.along_axis("axis_norm", x, place)


def vector(*numbers: float) -> Node:
    """Return a value of fixed numbers, the same for every row and step.

    Raises:
        CellError: something is no number, or outside a step.
    """
    trace = current_trace.get()
    if trace is None:
        raise CellError("vector: equations can only be used inside step()")
    if not numbers or not all(is_number(number) for number in numbers):
        raise CellError(f"{trace.where()}: vector: expected numbers, got {numbers!r}")
    return join(*[trace.spread(trace.constant(float(number)), 1) for number in numbers])


def _fit(one: tuple[int, ...], two: tuple[int, ...]) -> bool:
    """Return whether axes are the same, where 1 stands for any."""
    return len(one) == len(two) and all(a == b or 1 in (a, b) for a, b in zip(one, two, strict=True))


def _number(x: Node) -> Node:
    return apply("sum", x)


def _value(name: str, x: object) -> Node:
    if isinstance(x, Node) and x.width is not None and x.operation != "matrix":
        return x
    if isinstance(x, Node):
        _refuse(x, f"{name}: {x!r} has no axes")
    kind = "a number" if is_number(x) else type(x).__name__
    raise CellError(f"{name}: expected a value of the step with units, got {kind}")


def _axis(name: str, x: Node, axis: int | None) -> int | None:
    """Return an axis counted from the first; None for all units."""
    if axis is None:
        return None
    x = _value(name, x)
    if not isinstance(axis, int) or not -len(x.axes) <= axis < len(x.axes):
        _refuse(
            x, f"{name}: axis: expected a whole number from {-len(x.axes)} to {len(x.axes) - 1}, got {axis!r}"
        )
    return None if len(x.axes) == 1 else axis % len(x.axes)


def _refuse(x: Node, problem: str) -> NoReturn:
    raise CellError(f"{x.trace.where()}: {problem}")
