"""A program run over time as one operator: what torch sees of it.

There are three ways through here, chosen before anything runs (`nabi.scan._way`): the definition, plain
torch operations; `torch.ops.nabi.scan`, one node in a graph; and an autograd function around the kernel. A
derivative of the derivative always goes through the definition, and so does one of gradients that are no
ordinary tensors.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nabi.ir import Program
from nabi.kernels import Rows
from nabi.native import is_watched
from nabi.scan._definition import Layout, Options, define, differentiate
from nabi.scan._layout import (
    batch_rows,
    from_rows,
    hand_out,
    in_batch_order,
    in_row_order,
    packed_rows,
    to_rows,
)
from nabi.scan._recompute import Pieces, run_backward_again, run_forward_lightly
from nabi.scan._shared import is_unchanged, share
from nabi.scan._way import Way, are_given_ordinary, way_of
from nabi.targets import Record, run_backward, run_forward

__all__ = ["backward_pass", "forward_pass", "run_scan"]


def run_scan(
    program: Program,
    options: Options,
    x: Tensor,
    states: tuple[Tensor, ...],
    families: tuple[Tensor, ...],
    noises: tuple[Tensor, ...],
    mask: Tensor | None = None,
    resets: Tensor | None = None,
    batch_sizes: Tensor | None = None,
    lengths: tuple[int, ...] | None = None,
    alike: bool = False,
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Run a program over time; arguments are valid already.

    Returns the kept states at every step (`[B, T, width]`, or `[N, width]` for packed data) and the final
    states `[B, width]`.
    """
    count = len(options.kept(program))
    layout = Layout(mask, resets, batch_sizes, lengths, alike)
    way = way_of(x, (*states, *families, *noises))
    if way is Way.OPERATOR:
        mask = layout.mask_for(x)
        found = torch.ops.nabi.scan(
            x, states, families or None, noises or None, mask, resets, batch_sizes,
            program.recipe, options.reverse, options.truncate, options.all_states,
        )  # fmt: skip
        return tuple(found[:count]), tuple(found[count:])
    if way is Way.DEFINITION:
        return define(program, options, layout, x, states, families, noises)
    if torch.is_autocast_enabled(x.device.type):
        with torch.autocast(x.device.type, enabled=False):
            return _apply(program, options, layout, x, states, families, noises, count)
    return _apply(program, options, layout, x, states, families, noises, count)


def _apply(
    program: Program,
    options: Options,
    layout: Layout,
    x: Tensor,
    states: tuple[Tensor, ...],
    families: tuple[Tensor, ...],
    noises: tuple[Tensor, ...],
    count: int,
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    tensors = (x, *states, *families)
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        found: tuple[Tensor, ...] = _Scan.apply(  # type: ignore[no-untyped-call]
            program, options, layout, noises, len(states), *tensors
        )
        return found[:count], found[count:]
    kept, finals, _, _ = forward_pass(program, options, layout, x, states, families, noises, save=False)
    return tuple(kept), finals


def _make_rows(options: Options, layout: Layout, x: Tensor) -> Rows:
    if layout.batch_sizes is not None:
        return packed_rows(layout.batch_sizes, reverse=options.reverse, device=x.device)
    return batch_rows(
        x.shape[0],
        x.shape[1],
        mask=layout.mask,
        resets=layout.resets,
        reverse=options.reverse,
        truncate=options.truncate,
        device=x.device,
        lengths=layout.lengths,
    )


def forward_pass(
    program: Program,
    options: Options,
    layout: Layout,
    x: Tensor,
    states: Sequence[Tensor],
    families: Sequence[Tensor],
    noises: Sequence[Tensor],
    save: bool,
    rows: Rows | None = None,
) -> tuple[list[Tensor], tuple[Tensor, ...], Rows, Record | Pieces]:
    """Run the kernel; returns kept states and final states as a caller sees them.

    `rows` are those of an earlier run on the same layout, if there was one.
    """
    rows = _make_rows(options, layout, x) if rows is None else rows
    kept = options.kept(program)
    ordered = tuple(states)
    if rows.order is not None and not layout.alike:
        ordered = tuple([in_row_order(state, rows) for state in states])
    arguments = (program, rows, to_rows(x, rows), ordered, families, [_noise_rows(n, rows) for n in noises])
    record: Record | Pieces
    if save and options.recompute is not None:
        made, finals, record = run_forward_lightly(*arguments, keep=kept, length=options.recompute)
    else:
        made, finals, record = run_forward(*arguments, keep=kept, save=save)
    # Where nothing is differentiated a view is as good, and made sooner.
    shape = hand_out if save else from_rows
    results = [shape(values, rows, x.shape, x.stride()) for values in made if values is not None]
    if rows.order is not None:
        finals = tuple([in_batch_order(final, rows) for final in finals])
    return results, finals, rows, record


def _noise_rows(noise: Tensor, rows: Rows) -> Tensor:
    """Per-step noise `[B, T, width]` (or packed) into rows; per-sequence noise into the order of the rows."""
    if noise.dim() == 3 or (rows.count == noise.shape[0] and rows.count != rows.batch):
        return to_rows(noise, rows)
    return in_row_order(noise, rows)


def backward_pass(
    program: Program,
    rows: Rows,
    record: Record | Pieces,
    kept: tuple[int, ...],
    x: Tensor,
    families: Sequence[Tensor],
    cotangents: Sequence[Tensor | None],
    need_input: bool,
    need_families: tuple[bool, ...],
    need_initial: bool = True,
    into: Sequence[Tensor | None] | None = None,
) -> list[Tensor | None]:
    """Run the kernel backward; cotangents are those of the kept and the final states, in this order."""
    of_states: list[Tensor | None] = [None] * len(program.state_names)
    for i, cotangent in zip(kept, cotangents[: len(kept)], strict=True):
        of_states[i] = to_rows(cotangent, rows) if cotangent is not None else None
    of_finals = [c if c is None else in_row_order(c, rows) for c in cotangents[len(kept) :]]
    if isinstance(record, Pieces):
        found = run_backward_again(
            program, rows, record, families, of_states, of_finals,
            need_input=need_input, need_families=need_families,
        )  # fmt: skip
    else:
        found = run_backward(
            program, rows, record, families, of_states, of_finals,
            need_input=need_input, need_initial=need_initial, need_families=need_families, into=into,
        )  # fmt: skip
    dx: Tensor | None = None
    if need_input:
        dx = torch.zeros_like(x) if found.x is None else from_rows(found.x, rows, x.shape, x.stride())
    return [dx, *(None if g is None else in_batch_order(g, rows) for g in found.initial), *found.families]


def _versions(layout: Layout) -> list[int]:
    """How often the tensors that say which steps are valid have been written to."""
    tensors = (layout.mask, layout.resets, layout.batch_sizes)
    return [t._version for t in tensors if t is not None and not t.is_inference()]


class _Scan(torch.autograd.Function):
    """The kernel as an autograd function."""

    @staticmethod
    def forward(
        ctx: Any,
        program: Program,
        options: Options,
        layout: Layout,
        noises: tuple[Tensor, ...],
        state_count: int,
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        x, states, families = tensors[0], tensors[1 : 1 + state_count], tensors[1 + state_count :]
        kept, finals, rows, record = forward_pass(
            program, options, layout, x, states, families, noises, save=True
        )
        ctx.set_materialize_grads(False)
        ctx.program, ctx.options, ctx.layout = program, options, layout
        ctx.versions = _versions(layout)
        # Under saved-tensor hooks (torch.utils.checkpoint) what is kept aside would defeat their purpose.
        hooked = torch._C._autograd._top_saved_tensors_default_hooks(True) is not None
        ctx.rows, ctx.record, ctx.state_count = rows, None if hooked else record, state_count
        ctx.shared = None if hooked else share(kept)
        # Saving inputs lets autograd notice when a user changes one, whose memory the record shares.
        ctx.save_for_backward(*tensors, *noises)
        return (*kept, *finals)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor | None) -> tuple[Any, ...]:
        program, options, rows, n = ctx.program, ctx.options, ctx.rows, ctx.state_count
        count = 1 + n + len(program.families)
        values = ctx.saved_tensors
        inputs, noises = list(values[:count]), values[count:]
        need = ctx.needs_input_grad[5:]
        if torch.is_grad_enabled() or is_watched() or not are_given_ordinary(cotangents):
            # A derivative of this derivative may be asked for, or many derivatives at once.
            if _versions(ctx.layout) != ctx.versions:
                raise RuntimeError(
                    "one of the variables needed for gradient computation has been modified by an inplace "
                    "operation: a mask, resets or batch sizes that were given to nabi"
                )
            found = differentiate(program, options, ctx.layout, inputs, n, noises, cotangents, need)
            return (None,) * 5 + tuple(found)
        kept = options.kept(program)
        # The record goes with the first backward pass, so that its memory is free before the next forward
        # pass (a loss usually lives that long); a second one over the same graph makes it again.
        record, ctx.record = ctx.record, None
        shared, ctx.shared = ctx.shared, None
        if record is None or not is_unchanged(shared):
            states, families = inputs[1 : 1 + n], inputs[1 + n :]
            record = forward_pass(
                program, options, ctx.layout, inputs[0], states, families, noises, save=True, rows=rows
            )[3]
        families, needed = inputs[1 + n :], tuple(need[1 + n :])
        needs = need[0], needed, any(need[1 : 1 + n])
        arguments = (program, rows, record, kept, inputs[0], families, cotangents, *needs)
        if torch.is_autocast_enabled(inputs[0].device.type):
            with torch.autocast(inputs[0].device.type, enabled=False):
                gradients = backward_pass(*arguments)
        else:
            gradients = backward_pass(*arguments)
        return (None,) * 5 + tuple(gradients)
