"""Renders nodes as Python source that calls torch functions, and compiles it."""

import linecache
import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from nabi.ir import LEAVES, OPERATIONS, Node, Program, Trace, axis_words, needed, operation
from nabi.targets.eager._with_derivative import with_derivative

__all__ = ["added_operation", "compile_source", "expression", "input_columns", "write_node", "write_nodes"]

# torch functions expect tensors; with a number, these are written differently.
_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_LIMITS = {"maximum": "min", "minimum": "max"}
_COMPARISONS = {
    "greater": ">",
    "greater_equal": ">=",
    "less": "<",
    "less_equal": "<=",
    "equal": "==",
    "not_equal": "!=",
}


def expression(node: Node, values: dict[int, str], out: str | None = None) -> str:
    """Return the source that computes one elementwise operation or reduction.

    Args:
        node: the node.
        values: the source of each known value, by node index.
        out: the variable into which the result is written, if the operation supports it.
    """
    row = operation(node.operation)
    arguments = [values[argument.index] for argument in node.arguments]
    numbers = [argument.operation == "constant" for argument in node.arguments]
    like = next((v for v, number in zip(arguments, numbers, strict=True) if not number), "")
    if node.operation == "select" and numbers == [False, True, True]:
        # For two numbers, torch would use the default dtype.
        arguments[1] = f"torch.full((), {arguments[1]}, dtype={like}.dtype, device={like}.device)"
    if node.operation == "spread" and numbers[0]:
        # Whoever computes values without rows has the weights, if there are any.
        like = "(families[0] if len(families) else torch.empty(0))"
        return f"torch.full((1, {node.width}), {arguments[0]}, dtype={like}.dtype, device={like}.device)"
    if not any(numbers) and out is not None and row.out is not None:
        return row.out.format(*arguments, out=out, like=like)
    source = row.torch.format(*arguments, like=like, width=node.width, **axis_words(node))
    if any(numbers) and node.operation in _INFIX:
        source = f"{arguments[0]} {_INFIX[node.operation]} {arguments[1]}"
    elif any(numbers) and node.operation in _COMPARISONS:
        source = f"({arguments[0]} {_COMPARISONS[node.operation]} {arguments[1]}).to({like}.dtype)"
    elif any(numbers) and node.operation in _LIMITS:
        number = arguments[numbers.index(True)]
        source = f"torch.clamp({like}, {_LIMITS[node.operation]}={number})"
    return f"{out}.copy_({source})" if out is not None else source


def write_node(node: Node, values: dict[int, str], lines: list[str], out: str | None = None) -> None:
    """Append the line that computes a node and store its variable in `values`."""
    if node.operation in LEAVES:
        raise AssertionError(f"{node!r} is a leaf")
    name = f"v{node.index}"
    lines.append(f"{name} = {expression(node, values, out)}")
    values[node.index] = name


def write_nodes(
    program: Program, nodes: Iterable[Node], lines: list[str], source: Callable[[Node], str] | None = None
) -> dict[int, str]:
    """Append the lines that compute nodes, and return the source of each by its index.

    Args:
        program: theirs; its weights are `families`.
        nodes: leaves and what follows from them, in order.
        lines: appended to.
        source: gives the source of an input, a state or a random input; None where there is none of these.
    """
    values: dict[int, str] = {}
    for node in nodes:
        if node.operation in ("input", "state", "noise"):
            assert source is not None, f"{node!r} depends on more than weights"
            values[node.index] = source(node)
        elif node.operation == "constant":
            values[node.index] = f"({node.value!r})"
        elif node.operation in LEAVES:
            family, rows = program.family_of(node.name)
            values[node.index] = f"families[{family}][{rows.start}:{rows.stop}]"
        elif node.operation == "linear":
            matrix, operand = (values[argument.index] for argument in node.arguments)
            lines.append(f"v{node.index} = torch.nn.functional.linear({operand}, {matrix})")
            values[node.index] = f"v{node.index}"
        else:
            write_node(node, values, lines)
    return values


def input_columns(program: Program, node: Node, rows: str = "x") -> str:
    """Return the source of an input: its columns of the rows that hold all inputs."""
    if len(program.inputs) == 1:
        return rows
    columns = program.trace.inputs[node.name].columns
    return f"{rows}[:, {columns.start}:{columns.stop}]"


def compile_source(
    name: str, parameters: Iterable[str], lines: Iterable[str], label: str
) -> Callable[..., Any]:
    """Compile source lines to a function; tracebacks and debuggers show the lines.

    Args:
        name: name of the function.
        parameters: its parameters, as source.
        lines: its body.
        label: its origin, for the file name in tracebacks.
    """
    source = f"def {name}({', '.join(parameters)}):\n" + "".join(f"    {line}\n" for line in lines)
    file = f"<nabi {label} {name}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    # Numbers are written with repr, which needs names for these two.
    space: dict[str, Any] = {
        "torch": torch, "outer": _outer, "with_derivative": with_derivative, "registered": _REGISTERED,
        "inf": math.inf, "nan": math.nan,
    }  # fmt: skip
    exec(compile(source, file, "exec"), space)
    function: Callable[..., Any] = space[name]
    function.__doc__ = source
    return function


class _Registered(dict[str, Callable[..., Tensor]]):
    """Operations that users have added to the language, as functions of tensors, written on first use."""

    def __missing__(self, name: str) -> Callable[..., Tensor]:
        row, trace = operation(name), Trace(name)
        assert row.decomposition is not None
        leaves = [trace.leaf("input", f"a{place}", None) for place in range(row.arity)]
        result = row.decomposition(*leaves)
        values = {leaf.index: leaf.name for leaf in leaves}
        lines: list[str] = []
        for node in needed((result,)):
            if node.operation == "constant":
                values[node.index] = f"({node.value!r})"
            elif node.arguments:
                write_node(node, values, lines)
        lines.append(f"return {values[result.index]}")
        self[name] = compile_source(name, [leaf.name for leaf in leaves], lines, "operation")
        return self[name]


_REGISTERED = _Registered()


def added_operation(name: str) -> Callable[..., Tensor] | None:
    """Return an operation that a user has added, as a function of tensors; None for any other name."""
    return _REGISTERED[name] if name in OPERATIONS and OPERATIONS[name].definition else None


def _outer(cotangents: Tensor, operands: Tensor, like: Tensor) -> Tensor:
    """Sum outer products over all rows: the gradient of a weight, in the memory layout of the weight.

    A weight may be the transpose of what a layer keeps; a gradient in another layout would be copied.
    """
    if like.stride(0) < like.stride(1):
        return torch.mm(operands.t(), cotangents).t()
    return torch.mm(cotangents.t(), operands)
