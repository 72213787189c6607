"""The operator that torch.compile and torch.export see: `torch.ops.nabi.scan`, one node in a graph.

It saves nothing: its derivative runs the forward pass again, so that a graph holds no tensors whose shapes
depend on data.
"""

from typing import Any

import torch
from torch import Tensor

from nabi.ir import find_program
from nabi.scan._definition import Layout, Options, differentiate
from nabi.scan._operator import backward_pass, forward_pass

__all__: list[str] = []

_library = torch.library.Library("nabi", "DEF")
_arguments = (
    "Tensor x, Tensor[] states, Tensor[] families, Tensor[] noises, Tensor? mask, Tensor? resets, "
    "Tensor? batch_sizes, str program, bool reverse, int? truncate, bool all_states"
)
_library.define(f"scan({_arguments}) -> Tensor[]")
_library.define(f"scan_backward(Tensor[] cotangents, {_arguments}) -> Tensor[]")


def _op_forward(
    x: Tensor,
    states: list[Tensor],
    families: list[Tensor],
    noises: list[Tensor],
    mask: Tensor | None,
    resets: Tensor | None,
    batch_sizes: Tensor | None,
    key: str,
    reverse: bool,
    truncate: int | None,
    all_states: bool,
) -> list[Tensor]:
    program, options = find_program(key), Options(reverse, truncate, all_states)
    layout = Layout(mask, resets, batch_sizes)
    kept, finals, _, _ = forward_pass(program, options, layout, x, states, families, noises, save=False)
    plain = _is_plain(x, mask, resets, reverse, truncate)
    return [*(value if plain else value.contiguous() for value in kept), *finals]


def _is_plain(
    x: Tensor, mask: Tensor | None, resets: Tensor | None, reverse: bool, truncate: int | None
) -> bool:
    """Whether results come with the strides of time-major rows, which must not depend on data."""
    return x.dim() == 3 and mask is None and resets is None and not reverse and truncate is None


def _op_forward_shapes(
    x: Tensor,
    states: list[Tensor],
    families: list[Tensor],
    noises: list[Tensor],
    mask: Tensor | None,
    resets: Tensor | None,
    batch_sizes: Tensor | None,
    key: str,
    reverse: bool,
    truncate: int | None,
    all_states: bool,
) -> list[Tensor]:
    program, options = find_program(key), Options(reverse, truncate, all_states)
    kept = []
    for i in options.kept(program):
        width = program.state_widths[i]
        if _is_plain(x, mask, resets, reverse, truncate):
            batch, time = x.shape[0], x.shape[1]
            kept.append(x.new_empty_strided((batch, time, width), (width, batch * width, 1)))
        else:
            kept.append(x.new_empty((*x.shape[:-1], width)))
    return [*kept, *(torch.empty_like(state, memory_format=torch.contiguous_format) for state in states)]


def _op_backward(
    cotangents: list[Tensor],
    x: Tensor,
    states: list[Tensor],
    families: list[Tensor],
    noises: list[Tensor],
    mask: Tensor | None,
    resets: Tensor | None,
    batch_sizes: Tensor | None,
    key: str,
    reverse: bool,
    truncate: int | None,
    all_states: bool,
) -> list[Tensor]:
    program, options = find_program(key), Options(reverse, truncate, all_states)
    layout = Layout(mask, resets, batch_sizes)
    _, _, rows, record = forward_pass(program, options, layout, x, states, families, noises, save=True)
    found = backward_pass(
        program, rows, record, options.kept(program), x, families, cotangents, True, (True,) * len(families)
    )
    inputs = (x, *states, *families)
    return [torch.zeros_like(v) if g is None else g.contiguous() for g, v in zip(found, inputs, strict=True)]


def _op_backward_shapes(cotangents: list[Tensor], x: Tensor, *arguments: Any) -> list[Tensor]:
    states, families = arguments[0], arguments[1]
    return [torch.empty_like(v, memory_format=torch.contiguous_format) for v in (x, *states, *families)]


def _op_setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    x, states, families, noises, mask, resets, batch_sizes, key, reverse, truncate, all_states = inputs
    ctx.save_for_backward(x, *states, *families, *noises, mask, resets, batch_sizes)
    ctx.counts = (len(states), len(families), len(noises))
    ctx.arguments = (key, reverse, truncate, all_states)


def _op_saved(ctx: Any) -> tuple[Any, ...]:
    values = list(ctx.saved_tensors)
    x = values.pop(0)
    lists = [[values.pop(0) for _ in range(count)] for count in ctx.counts]
    return (x, *lists, *values, *ctx.arguments)


def _op_derivative(ctx: Any, cotangents: list[Tensor | None]) -> tuple[Any, ...]:
    inputs = _op_saved(ctx)
    shapes = _op_forward_shapes(*inputs)
    full = [torch.zeros_like(s) if c is None else c for c, s in zip(cotangents, shapes, strict=True)]
    found = torch.ops.nabi.scan_backward(full, *inputs)
    n = 1 + len(inputs[1])
    return (found[0], found[1:n], found[n:], [None] * len(inputs[3]), *(None,) * 7)


def _op_second_derivative(ctx: Any, gradients: list[Tensor | None]) -> tuple[Any, ...]:
    values = list(ctx.saved_tensors)
    cotangents = [values.pop(0) for _ in range(ctx.cotangent_count)]
    x = values.pop(0)
    states, families, noises = ([values.pop(0) for _ in range(count)] for count in ctx.counts)
    mask, resets, batch_sizes = values
    key, reverse, truncate, all_states = ctx.arguments
    program, options = find_program(key), Options(reverse, truncate, all_states)
    inputs = [x, *states, *families]
    with torch.enable_grad():
        leaves = [v.detach().requires_grad_() for v in (*cotangents, *inputs)]
        first = differentiate(
            program, options, Layout(mask, resets, batch_sizes), leaves[len(cotangents) :], len(states),
            tuple(noises), leaves[: len(cotangents)], [True] * len(inputs),
        )  # fmt: skip
        pairs = [(f, g) for f, g in zip(first, gradients, strict=True) if f is not None and g is not None]
        found = torch.autograd.grad(
            [f for f, _ in pairs], leaves, [g for _, g in pairs], allow_unused=True, materialize_grads=True
        )
    parts = list(found)
    of_cotangents = [parts.pop(0) for _ in cotangents]
    of_x = parts.pop(0)
    of_states = [parts.pop(0) for _ in states]
    return (of_cotangents, of_x, of_states, parts, [None] * len(noises), *(None,) * 7)


def _op_second_inputs(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    cotangents, x, states, families, noises, mask, resets, batch_sizes = inputs[:8]
    ctx.save_for_backward(*cotangents, x, *states, *families, *noises, mask, resets, batch_sizes)
    ctx.cotangent_count = len(cotangents)
    ctx.counts = (len(states), len(families), len(noises))
    ctx.arguments = inputs[8:]


_library.impl("scan", _op_forward, "CompositeExplicitAutograd")
_library.impl("scan_backward", _op_backward, "CompositeExplicitAutograd")
torch.library.register_fake("nabi::scan", _op_forward_shapes, lib=_library)
torch.library.register_fake("nabi::scan_backward", _op_backward_shapes, lib=_library)
torch.library.register_autograd("nabi::scan", _op_derivative, setup_context=_op_setup, lib=_library)
torch.library.register_autograd(
    "nabi::scan_backward", _op_second_derivative, setup_context=_op_second_inputs, lib=_library
)
