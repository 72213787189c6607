"""What a program computes once a call, by torch: derived weights, and values that depend on weights alone."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from nabi._dtypes import is_half
from nabi.errors import ArgumentError
from nabi.ir import Lowered, Made, Node, Parameter, Program, needed
from nabi.targets.eager._render import compile_source, write_nodes

__all__ = ["lower", "prepare_lowering"]


def lower(program: Program, families: Sequence[Tensor], noises: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Compute the weights of a program's lowered one.

    Args:
        program: the program, with something to compute.
        families: weights in the order of its families.
        noises: random inputs in the order of its noises.

    Raises:
        ArgumentError: a derived weight is not finite, or has another shape than the step reads.
    """
    lowered = program.lowered
    assert lowered is not None
    if lowered.run is None:
        prepare_lowering(program)
    assert lowered.run is not None
    return lowered.run(families, noises)


def prepare_lowering(program: Program) -> None:
    """Make what computes the weights of a program's lowered one, if it has one and that is not made yet."""
    lowered = program.lowered
    if lowered is not None and lowered.run is None:
        object.__setattr__(lowered, "run", _prologue(program, lowered))


def _prologue(program: Program, lowered: Lowered) -> Callable[..., tuple[Tensor, ...]]:
    makers: list[Callable[..., Tensor] | int] = []
    nodes = [one.node for one in lowered.weights if isinstance(one, Made) and one.node is not None]
    values = _values(program, nodes, [one.shape[0] for one in _of_nodes(lowered)]) if nodes else None
    masks = {noise.name: number for number, noise in enumerate(program.noises) if noise.kind == "weights"}
    for one in lowered.weights:
        if isinstance(one, Made):
            if one.derived:
                makers.append(_Stack(program, one.derived, masks))
        else:
            makers.append(one)
    is_value = [isinstance(one, Made) and one.node is not None for one in lowered.weights]

    def run(families: Sequence[Tensor], noises: Sequence[Tensor]) -> tuple[Tensor, ...]:
        made, others = iter(() if values is None else values(families)), iter(makers)
        found = []
        for from_node in is_value:
            if from_node:
                found.append(next(made))
                continue
            maker = next(others)
            found.append(families[maker] if isinstance(maker, int) else maker(families, noises))
        return tuple(found)

    return run


def _of_nodes(lowered: Any) -> list[Any]:
    """Return the families of the lowered program that are values of nodes."""
    pairs = zip(lowered.program.families, lowered.weights, strict=True)
    return [family for family, one in pairs if isinstance(one, Made) and one.node is not None]


class _Stack:
    """Computes the derived weights of one tensor."""

    def __init__(self, program: Program, members: Sequence[Parameter], masks: dict[str, int]) -> None:
        self._members = [
            (one, [program.family_of(name) for name in one.sources], masks.get(f"D_{one.name}"))
            for one in members
        ]

    def __call__(self, families: Sequence[Tensor], noises: Sequence[Tensor]) -> Tensor:
        found = []
        for one, places, mask in self._members:
            sources = [
                family if family.shape[0] == rows.stop - rows.start else family[rows]
                for family, rows in ((families[number], rows) for number, rows in places)
            ]
            assert one.derived is not None
            drawn, dtype = None if mask is None else noises[mask], sources[0].dtype
            if is_half(dtype):  # which LAPACK does not know, and which would lose more than one rounding
                sources = [source.float() for source in sources]
                drawn = None if drawn is None else drawn.float()
            value = one.derived.compute(*sources, mask=drawn)
            _check(one, value, sources[0])
            found.append(value.to(dtype))
        stacked = found[0] if len(found) == 1 else torch.cat(found)
        return stacked.contiguous()


def _check(one: Parameter, value: Any, like: Tensor) -> None:
    if not isinstance(value, Tensor) or tuple(value.shape) != one.shape or value.dtype != like.dtype:
        given = (tuple(value.shape), value.dtype) if isinstance(value, Tensor) else type(value).__name__
        raise ArgumentError(
            f"{one.name}: {one.derived} gives {given}, expected shape {one.shape} of {like.dtype}"
        )
    # Numbers can be looked at only where they are.
    if torch.compiler.is_compiling() or type(value.detach()) is not Tensor or value.is_meta:
        return
    if torch._C._functorch.peek_interpreter_stack() is None and not _are_finite(value):
        raise ArgumentError(
            f"{one.name}: {one.derived} of {', '.join(one.sources)} is not finite; are these weights?"
        )


def _are_finite(value: Tensor) -> bool:
    return bool(value.detach().isfinite().all())


def _values(program: Program, nodes: Sequence[Node], widths: Sequence[int]) -> Callable[..., Any]:
    """Compile a function of the families that returns values of nodes, each as a vector of a width."""
    lines: list[str] = []
    values = write_nodes(program, needed(tuple(nodes)), lines)
    found = ", ".join(
        f"{values[node.index]}.reshape(-1).expand({width}).contiguous()"
        for node, width in zip(nodes, widths, strict=True)
    )
    lines.append(f"return ({found},)")
    return compile_source("once", ("families",), lines, type(program.cell).__name__)
