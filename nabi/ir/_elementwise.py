"""Operations that a user adds to the language: a name, an expression, and perhaps a derivative of its own."""

import inspect
import re
from collections.abc import Callable
from typing import Any

from nabi._public import public
from nabi.errors import ArgumentError, CellError
from nabi.ir._graph._nodes import LEAVES, Node, Trace, apply, current_trace, needed
from nabi.ir._graph._operation import Operation
from nabi.ir._graph._operations import OPERATIONS
from nabi.ir.functions import ACTIVATIONS, stop_gradient

__all__ = ["elementwise"]

_MOST_ARGUMENTS = 4


@public
def elementwise(
    name: str,
    expression: Callable[..., Any],
    *,
    derivative: Callable[..., Any] | None = None,
    latex: str | None = None,
) -> Callable[..., Node]:
    r"""Add an elementwise operation to the language, and return it as a function for steps.

    It is one operation in equations, pictures and ONNX (there a function of the file), and runs in native
    code like the operations it is made of. One of a single argument is also an activation by its name:
    `activation="soft_clip"`.

    Args:
        name: its name, an identifier that nothing else in the language has.
        expression: computes the result from the values of a step that are its arguments (at most 4), with
            Python's operators and `nabi.ir.functions`. It is called once, when an equation is traced.
        derivative: computes the derivative with respect to the argument from the same arguments; for several
            arguments a tuple, one for each. By default the derivative of the expression.
        latex: LaTeX for the name, such as `r"\operatorname{clip}"`; by default the name, upright.

    Raises:
        ArgumentError: `name` is no identifier or is taken by another operation, or `expression` or
            `derivative` is not elementwise. An operation may be added again if it is the same.

    Example:
        >>> from nabi.cells import SimpleRNN
        >>> from nabi.ir import elementwise
        >>> from nabi.ir.functions import absolute
        >>> soft_clip = elementwise("soft_clip", lambda v: v / (1 + absolute(v) ** 3) ** (1 / 3))
        >>> SimpleRNN(2, activation="soft_clip").program(3).equations
        ('h_t = soft_clip(W_xh x_t + W_hh h_{t-1} + b_h)',)
    """
    if not name.isidentifier() or name.startswith("_"):
        raise ArgumentError(f"name: expected an identifier that does not begin with _, got {name!r}")
    arguments = _arguments(expression)
    whole = _whole(name, arguments, expression, derivative)
    definition = _written("expression", name, arguments, whole)
    known = OPERATIONS.get(name)
    if known is not None and known.definition == definition:
        return _function(name, whole)
    if known is not None or name in ACTIVATIONS:
        raise ArgumentError(
            f"name: expected a name that is free, got {name!r}, which is an operation already"
        )
    head = latex if latex is not None else rf"\operatorname{{{re.sub('_+', ' ', name)}}}"
    places = ", ".join(f"{{{place}}}" for place in range(len(arguments)))
    OPERATIONS[name] = Operation(
        name,
        len(arguments),
        f"registered[{name!r}]({places})",
        f"{name}({places})",
        head.replace(" ", r"\,").replace("{", "{{").replace("}", "}}") + f"({places})",
        None,
        decomposition=whole,
        definition=definition,
    )
    function = _function(name, whole)
    if len(arguments) == 1:
        ACTIVATIONS[name] = function
    return function


def _arguments(expression: Callable[..., Any]) -> list[str]:
    """Return the names of the arguments of an expression."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    try:
        found = list(inspect.signature(expression).parameters.values())
    except (TypeError, ValueError):
        found = []
    names = [one.name for one in found if one.kind in kinds and one.default is inspect.Parameter.empty]
    if not 1 <= len(names) <= _MOST_ARGUMENTS or len(names) != len(found):
        raise ArgumentError(
            f"expression: expected a function of 1 to {_MOST_ARGUMENTS} values without defaults, "
            f"got {expression!r}"
        )
    return names


def _whole(
    name: str,
    arguments: list[str],
    expression: Callable[..., Any],
    derivative: Callable[..., Any] | None,
) -> Callable[..., Node]:
    """Return the expression with the declared derivative."""
    if derivative is None:
        return expression

    def whole(*values: Node) -> Node:
        slopes = derivative(*values)
        slopes = slopes if isinstance(slopes, tuple) else (slopes,)
        if len(slopes) != len(arguments):
            raise ArgumentError(
                f"derivative: expected one for each of {', '.join(arguments)}, got {len(slopes)} of {name}"
            )
        result = stop_gradient(expression(*values))
        for value, slope in zip(values, slopes, strict=True):
            if not isinstance(value, Node) or value.operation == "constant":
                continue
            result = apply("with_derivative", result, value, slope)
        return result

    return whole


def _written(argument: str, name: str, arguments: list[str], whole: Callable[..., Node]) -> str:
    """Trace an expression and return it as text; two widths show what depends on their number."""
    found = []
    for width in (3, 5):
        trace = Trace(name)
        token = current_trace.set(trace)
        try:
            leaves = [trace.leaf("input", one, width) for one in arguments]
            result = whole(*leaves)
        except CellError as problem:
            raise ArgumentError(f"{argument}: expected an expression of the language: {problem}") from None
        finally:
            current_trace.reset(token)
        if not isinstance(result, Node) or result.trace is not trace or result.width != width:
            raise ArgumentError(f"{argument}: expected one value as wide as its arguments, got {result!r}")
        lines = []
        for node in needed((result,)):
            row = OPERATIONS.get(node.operation)
            crosses = row is not None and (row.reduction or row.across is not None)
            if crosses or (row is None and node.operation not in LEAVES) or node.operation == "spread":
                raise ArgumentError(
                    f"{argument}: expected elementwise operations only, got {node.operation}, which reads "
                    "more than one unit"
                )
            if node.operation in LEAVES and node.operation not in ("input", "constant"):
                raise ArgumentError(f"{argument}: expected operations on its arguments only, got {node!r}")
            if node.arguments:
                read = ", ".join(_short(one) for one in node.arguments)
                own = row.definition if row is not None else ""
                lines.append(f"{_short(node)} = {node.operation}({read}){' {' + own + '}' if own else ''}")
        found.append("; ".join([*lines, _short(result)]))
    if found[0] != found[1]:
        raise ArgumentError(f"{argument}: expected the same expression for any number of units")
    return found[0]


def _short(node: Node) -> str:
    return repr(node.value) if node.operation == "constant" else node.name or f"%{node.index}"


def _function(name: str, whole: Callable[..., Node]) -> Callable[..., Node]:
    def function(*values: Node) -> Node:
        if len(values) == OPERATIONS[name].arity and not all(isinstance(value, Node) for value in values):
            # With a number in the place of a value it is another expression, without the name.
            return whole(*values)
        return apply(name, *values)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"The operation {name!r}, added with `nabi.ir.elementwise`."
    return function
