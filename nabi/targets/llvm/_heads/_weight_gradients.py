"""Gradients of weights: products of cotangents and of what the weights multiply, over all rows at once."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from nabi.ir import Node, Program

__all__ = ["family_gradient"]

_NARROW = 64
"""Numbers that a matrix reads, below which the product has them as its rows."""


def family_gradient(
    program: Program,
    number: int,
    values: dict[int, Tensor],
    sums: dict[str, Tensor],
    family: Tensor,
    stacks: Mapping[tuple[int, ...], Tensor],
) -> Tensor:
    """Return the gradient of one tensor of weights.

    Args:
        program: the program.
        number: of the tensor among its families.
        values: what there is for all rows, by node.
        sums: gradients that the loop has added up over the steps, by parameter.
        family: the weights.
        stacks: values that lie side by side as well, by the indices of their nodes.
    """
    derivative = program.derivative
    declared = program.families[number]
    members = [one for one in program.parameters if one.family == declared.name]
    if len(declared.shape) == 1:
        pieces = [_vector_gradient(program, one.name, values, sums, one.shape[0], family) for one in members]
        return torch.cat(pieces) if len(pieces) > 1 else pieces[0]
    groups: dict[int, list[tuple[slice, Node, Node]]] = {}
    for one in members:
        rows = program.family_of(one.name)[1]
        for cotangent, operand in derivative.matrices.get(one.name, ()):
            groups.setdefault(operand.index, []).append((rows, cotangent, operand))
    found: list[tuple[slice, Tensor]] = []
    for group in groups.values():
        group.sort(key=lambda entry: entry[0].start)
        cotangents = [values[cotangent.index] for _, cotangent, _ in group]
        operand = group[0][2]
        known = stacks.get(tuple(cotangent.index for _, cotangent, _ in group))
        stack = known if known is not None else cotangents[0]
        if known is None and len(cotangents) > 1:
            stack = torch.cat(cotangents, 1)
        product = _outer_products(stack, values[operand.index], operand.has_rows)
        at = 0
        for rows, _, _ in group:
            size = rows.stop - rows.start
            found.append((rows, product[at : at + size]))
            at += size
        if len(groups) == 1 and at == declared.shape[0] and _is_ordered(group):
            return product
    gradient = torch.zeros_like(family)
    for rows, piece in found:
        gradient[rows] += piece
    return gradient


def _outer_products(stack: Tensor, read: Tensor, has_rows: bool) -> Tensor:
    """Return the sum over all rows of cotangents times what their matrix reads, `[outputs, inputs]`."""
    if not has_rows:
        return stack.sum(0).outer(read.reshape(-1))
    if read.shape[1] < min(_NARROW, stack.shape[1]):
        # Torch takes several times as long for a result of few columns as for one of few rows.
        return read.t().mm(stack).t().contiguous()
    return stack.t().mm(read)


def _is_ordered(group: Sequence[tuple[slice, Node, Node]]) -> bool:
    stops = [0, *(rows.stop for rows, _, _ in group)]
    return all(rows.start == stop for (rows, _, _), stop in zip(group, stops, strict=False))


def _vector_gradient(
    program: Program, name: str, values: dict[int, Tensor], sums: dict[str, Tensor], size: int, like: Tensor
) -> Tensor:
    if name in sums:
        return sums[name].sum(0)
    node = program.derivative.vectors.get(name)
    return like.new_zeros(size) if node is None else values[node.index].sum(0)
