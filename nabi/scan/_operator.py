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
from nabi.kernels import Rows, from_rows, hand_out, in_batch_order, in_row_order, to_rows
from nabi.native import are_ordinary, has_failed, is_watched, runs_native
from nabi.scan._definition import define, differentiate
from nabi.scan._layout import Layout, Options
from nabi.scan._recompute import Pieces, run_backward_again, run_forward_lightly
from nabi.scan._way import Way, way_of
from nabi.small_weights import SmallWeight, are_all_small, are_small, as_dense
from nabi.targets import Record, run_backward, run_forward

__all__ = ["Result", "backward_pass", "forward_pass", "run_scan"]


Result = tuple[Tensor, tuple[Tensor, ...], tuple[Tensor, ...] | None]


def run_scan(
    program: Program,
    options: Options,
    layout: Layout,
    x: Tensor,
    states: tuple[Tensor, ...] | None,
    families: tuple[Tensor, ...],
    noises: tuple[Tensor, ...],
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Run a program over time; arguments are valid already, and no states stand for zeros.

    Returns the kept states at every step (`[B, T, width]`, or `[N, width]` for packed data), behind an output
    that is no state, and the final states `[B, width]`.
    """
    count = program.readouts
    program = program.as_states
    if count and states is not None:
        states = (x.new_zeros((states[0].shape[0], program.state_widths[0])), *states)
    kept, finals = _run_states(program, options, layout, x, states, families, noises)
    return kept, finals[count:]


def _run_states(
    program: Program,
    options: Options,
    layout: Layout,
    x: Tensor,
    states: tuple[Tensor, ...] | None,
    families: tuple[Tensor, ...],
    noises: tuple[Tensor, ...],
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Run a program whose first state is its output."""
    from_zeros = states is None
    if states is None:
        sizes = layout.batch_sizes
        batch = x.shape[0] if sizes is None else int(sizes[0]) if len(sizes) else 0
        states = tuple([x.new_zeros((batch, width)) for width in program.state_widths])
    if are_small(families):
        found = _run_small(program, options, layout, x, states, families, noises)
        if found is not None:
            return found
        families = tuple([as_dense(family) for family in families])
    tensors = (x, *states, *families)
    native = not x.is_meta and not has_failed(program.key) and runs_native(*tensors, *noises)
    way = Way.KERNEL if native else way_of(x, (*tensors[1:], *noises))
    if way is Way.OPERATOR:
        count = len(options.kept(program))
        found = torch.ops.nabi.scan(
            x, states, families or None, noises or None, layout.mask_for(x), layout.resets,
            layout.batch_sizes, program.recipe, options.reverse, options.truncate, options.all_states,
        )  # fmt: skip
        return tuple(found[:count]), tuple(found[count:])
    if way is Way.DEFINITION:
        return define(program, options, layout, x, states, families, noises)
    if torch.is_autocast_enabled(x.device.type):
        with torch.autocast(x.device.type, enabled=False):
            return _run(program, options, layout, tensors, len(states), noises, native, from_zeros)
    return _run(program, options, layout, tensors, len(states), noises, native, from_zeros)


def _run_small(
    program: Program,
    options: Options,
    layout: Layout,
    x: Tensor,
    states: tuple[Tensor, ...],
    families: tuple[Tensor, ...],
    noises: tuple[Tensor, ...],
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]] | None:
    """Run with small weights as they are; None if gradients are wanted, or native code cannot run it."""
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (x, *states)):
        return None
    if program.has_axes or x.is_meta or x.dtype is not torch.float32 or not are_all_small(families):
        return None
    vectors = [family for family in families if not isinstance(family, SmallWeight)]
    if not runs_native(x, *states, *vectors, *noises):
        return None
    with torch.no_grad():
        kept, finals, _, _ = forward_pass(
            program, options, layout, x, states, families, noises, save=False, native=True
        )
    return tuple(kept), finals


def _run(
    program: Program,
    options: Options,
    layout: Layout,
    tensors: tuple[Tensor, ...],
    state_count: int,
    noises: tuple[Tensor, ...],
    native: bool,
    from_zeros: bool,
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    if torch.is_grad_enabled():
        for tensor in tensors:
            if tensor.requires_grad:
                found: tuple[Tensor, ...] = _Scan.apply(  # type: ignore[no-untyped-call]
                    program, options, layout, noises, state_count, native, from_zeros, *tensors
                )
                return found[:-state_count], found[-state_count:]
    first = 1 + state_count
    kept, finals, _, _ = forward_pass(
        program, options, layout, tensors[0], tensors[1:first], tensors[first:], noises, save=False,
        native=native, from_zeros=from_zeros,
    )  # fmt: skip
    return tuple(kept), finals


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
    native: bool | None = None,
    from_zeros: bool = False,
) -> tuple[list[Tensor], tuple[Tensor, ...], Rows, Record | Pieces]:
    """Run the kernel; returns kept states and final states as a caller sees them.

    `rows` are those of an earlier run on the same layout, if there was one; `native` says whether native code
    runs the program on these tensors, if that has been found out; `from_zeros` that all states are zeros,
    which it then does not multiply.
    """
    if native is None:
        native = not has_failed(program.key) and runs_native(x, *states, *families, *noises)
    rows = layout.rows(x, options) if rows is None else rows
    kept = options.kept(program)
    ordered = tuple(states)
    if rows.order is not None and not layout.alike:
        ordered = tuple([in_row_order(state, rows) for state in ordered])
    of_noises = [_noise_rows(noise, rows) for noise in noises] if noises else ()
    arguments = (program, rows, to_rows(x, rows, native), ordered, families, of_noises)
    record: Record | Pieces
    if save and options.recompute is not None:
        made, finals, record = run_forward_lightly(*arguments, keep=kept, length=options.recompute)
    else:
        made, finals, record = run_forward(
            *arguments, keep=kept, save=save, native=native, from_zeros=from_zeros
        )
    # Where nothing is differentiated a view is as good, and made sooner.
    shape = hand_out if save else from_rows
    results = []
    for i in kept:
        values = made[i]
        assert values is not None
        results.append(shape(values, rows, x.shape, x.stride(), native))
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
    are_native: bool = False,
) -> list[Tensor | None]:
    """Run the kernel backward; cotangents are those of the kept and the final states, in this order.

    `are_native` says that cotangents are for native code where the forward pass was native.
    """
    native = isinstance(record, Record) and record.native
    if native and not are_native:
        native = runs_native(x, *[c for c in cotangents if c is not None])
    of_states: list[Tensor | None] = [None] * len(program.state_names)
    for i, cotangent in zip(kept, cotangents[: len(kept)], strict=True):
        of_states[i] = None if cotangent is None else to_rows(cotangent, rows, native)
    of_finals = cotangents[len(kept) :]
    if rows.order is not None:
        of_finals = [None if c is None else in_row_order(c, rows) for c in of_finals]
    if isinstance(record, Pieces):
        found = run_backward_again(
            program, rows, record, families, of_states, of_finals,
            need_input=need_input, need_families=need_families,
        )  # fmt: skip
    else:
        found = run_backward(
            program, rows, record, families, of_states, of_finals,
            need_input=need_input, need_initial=need_initial, need_families=need_families,
        )  # fmt: skip
    dx: Tensor | None = None
    if need_input:
        dx = torch.zeros_like(x) if found.x is None else from_rows(found.x, rows, x.shape, x.stride(), native)
    initial: Sequence[Tensor | None] = found.initial
    if rows.order is not None:
        initial = [None if g is None else in_batch_order(g, rows) for g in initial]
    return [dx, *initial, *found.families]


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
        native: bool,
        from_zeros: bool,
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        x, states, families = tensors[0], tensors[1 : 1 + state_count], tensors[1 + state_count :]
        kept, finals, rows, record = forward_pass(
            program, options, layout, x, states, families, noises, save=True, native=native,
            from_zeros=from_zeros,
        )  # fmt: skip
        ctx.set_materialize_grads(False)
        ctx.program, ctx.options, ctx.layout = program, options, layout
        ctx.versions = _versions(layout)
        # Under saved-tensor hooks (torch.utils.checkpoint) what is kept aside would defeat their purpose.
        hooked = torch._C._autograd._top_saved_tensors_default_hooks(True) is not None
        ctx.rows, ctx.record, ctx.state_count = rows, None if hooked else record, state_count
        ctx.from_zeros = from_zeros
        # The states of every step lie in the results, once, and kernels read them there. A user may change
        # results all the same (`torch.relu_(output)`, as after a GRU of torch's): rather than forbid that or
        # make a copy at every call, the backward pass looks whether there was a change, and runs forward
        # again if so. These are other names for the results, which hold no graph.
        ctx.shared = None if hooked else [result.detach() for result in kept]
        ctx.shared_versions = [result._version for result in kept]
        # Saving inputs lets autograd notice when a user changes one, whose memory the record shares.
        ctx.save_for_backward(*tensors, *noises)
        return (*kept, *finals)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor | None) -> tuple[Any, ...]:
        program, options, rows, n = ctx.program, ctx.options, ctx.rows, ctx.state_count
        count = 1 + n + len(program.families)
        values = ctx.saved_tensors
        inputs, noises = list(values[:count]), values[count:]
        need = ctx.needs_input_grad[7:]
        given = [cotangent for cotangent in cotangents if cotangent is not None]
        if torch.is_grad_enabled() or is_watched() or not are_ordinary(*given):
            # A derivative of this derivative may be asked for, or many derivatives at once.
            if _versions(ctx.layout) != ctx.versions:
                raise RuntimeError(
                    "one of the variables needed for gradient computation has been modified by an inplace "
                    "operation: a mask, resets or batch sizes that were given to nabi"
                )
            found = differentiate(program, options, ctx.layout, inputs, n, noises, cotangents, need)
            return (None,) * 7 + tuple(found)
        kept = options.kept(program)
        # The record goes with the first backward pass, so that its memory is free before the next forward
        # pass (a loss usually lives that long); a second one over the same graph makes it again.
        record, ctx.record = ctx.record, None
        shared, ctx.shared = ctx.shared, None
        if record is None or [result._version for result in shared] != ctx.shared_versions:
            states, families = inputs[1 : 1 + n], inputs[1 + n :]
            record = forward_pass(
                program, options, ctx.layout, inputs[0], states, families, noises, save=True, rows=rows,
                from_zeros=ctx.from_zeros,
            )[3]  # fmt: skip
        families, needed = inputs[1 + n :], tuple(need[1 + n :])
        needs = need[0], needed, any(need[1 : 1 + n])
        arguments = (program, rows, record, kept, inputs[0], families, cotangents, *needs)
        if torch.is_autocast_enabled(inputs[0].device.type):
            with torch.autocast(inputs[0].device.type, enabled=False):
                gradients = backward_pass(*arguments, are_native=True)
        else:
            gradients = backward_pass(*arguments, are_native=True)
        return (None,) * 7 + tuple(gradients)
