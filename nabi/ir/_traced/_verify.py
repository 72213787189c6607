"""Checks that a graph of nodes is well formed, run on every program and derivative."""

from math import prod

from nabi.errors import CellError
from nabi.ir._graph._axes import expected_shape, show_shape
from nabi.ir._graph._axis_operations import AXIS_OPERATIONS
from nabi.ir._graph._nodes import LEAVES, Node
from nabi.ir._graph._operations import OPERATIONS
from nabi.ir._traced._traced import Traced

__all__ = ["verify", "verify_nodes"]

_ON_AXES = frozenset(row.name for row in AXIS_OPERATIONS)


def verify(program: Traced) -> None:
    """Check a program: every node with `verify_nodes`, and that the new states have the widths of the old.

    Raises:
        CellError: says which node is wrong and how.
    """
    verify_nodes(program.trace.cell, program.nodes)
    for name, width, node in zip(program.state_names, program.state_widths, program.outputs, strict=True):
        if node.width != width:
            raise CellError(f"{program.trace.cell}: the new {name} is {node!r}, expected width {width}")
    rows = {family.name: family for family in program.families}
    for parameter in program.parameters:
        family = rows[parameter.family]
        if family.shape[0] % len(family.gates) or len(set(family.gates)) != len(family.gates):
            raise CellError(f"{program.trace.cell}: the family {family.name} {family.shape} cannot be split")


def verify_nodes(cell: str, nodes: tuple[Node, ...]) -> None:
    """Check that nodes come after their arguments, that operations exist and that widths agree."""
    seen: set[int] = set()
    for node in nodes:
        problem = _problem(node, seen)
        if problem:
            arguments = ", ".join(repr(argument) for argument in node.arguments)
            raise CellError(f"{cell}: {node!r} = {node.operation}({arguments}): {problem}")
        seen.add(node.index)


def _problem(node: Node, seen: set[int]) -> str:
    if any(argument.index not in seen for argument in node.arguments):
        return "an argument is computed after it"
    if node.operation in LEAVES:
        return "a leaf has arguments" if node.arguments else ""
    if node.operation in ("linear", "linear_transposed"):
        matrices, operands = node.arguments[::2], node.arguments[1::2]
        if any(matrix.operation != "matrix" for matrix in matrices):
            return "a linear map applies a parameter matrix"
        for matrix, operand in zip(matrices, operands, strict=True):
            rows, columns = node.trace.parameters[matrix.name].shape
            expected = (columns, rows) if node.operation == "linear" else (rows, columns)
            if (operand.width, node.width) != expected:
                return f"{matrix.name} is {rows} × {columns}"
        return ""
    if node.operation not in OPERATIONS:
        return "no such operation"
    row = OPERATIONS[node.operation]
    if len(node.arguments) != row.arity:
        return f"expected {row.arity} arguments"
    if node.operation == "spread":
        return "" if node.arguments[0].width is None and node.width is not None else "it spreads a scalar"
    if row.across is not None:
        value, number = node.arguments
        if value.width is None or number.operation != "constant":
            return "it reads the units of a value, and a number"
        return "" if node.width == row.across(value.width, number.value) else f"its width is not {node.width}"
    if node.operation in _ON_AXES:
        shape = expected_shape(node.operation, node.details, node.arguments[0].axes, node.axes)
        fits = shape is not None and node.axes == shape and node.width == prod(shape)
        return "" if fits else "the axes do not fit"
    shapes = {argument.axes for argument in node.arguments if argument.width is not None}
    whole: tuple[int, ...] = () if row.reduction else next(iter(shapes), ())
    if len(shapes) > 1 or node.axes != whole or node.width != (prod(whole) if whole else None):
        return f"widths [{', '.join(sorted(map(show_shape, shapes)))}] give {show_shape(node.axes)}"
    return ""
