"""Batches in which every step counts, run in order from the first step to the last: the case met most.

It has a way of its own because for a small layer all that is done around the kernel takes longer than the
kernel. What is not covered here (or is wrong) goes the general way, through `scan`.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nabi.ir import Program
from nabi.native import is_watched
from nabi.scan._definition import Layout, Options, differentiate
from nabi.scan._way import are_given_ordinary
from nabi.targets import BatchShape, FullBatch, full_batch

__all__ = ["scan_full_batch"]


def scan_full_batch(
    program: Program,
    x: Tensor,
    states: Sequence[Tensor] | None,
    families: Sequence[Tensor],
    *,
    time_major: bool = False,
    stacked: bool = False,
) -> tuple[Tensor, tuple[Tensor, ...]] | None:
    """Run a program over a full batch by native code, if all arguments are as they should be.

    Args:
        program: the program.
        x: input `[B, T, D]`, or `[T, B, D]` with `time_major`.
        states: initial states, each `[B, width]`, or `[1, B, width]` with `stacked`; None for zeros.
        families: weights in the order of `program.families`.
        time_major: the layout of `x` and of the output.
        stacked: the shape of the states.

    Returns:
        The output, laid out as `x`, and the final states, shaped as the initial ones. None, with nothing
        done, if an argument is wrong, native code cannot run it, or torch wants to see operations.
    """
    if torch.compiler.is_compiling() or program.noises or is_watched() or _is_special():
        return None
    shape = x.shape
    if len(shape) != 3 or shape[2] != program.input_size or not (shape[0] and shape[1]):
        return None
    laid = _layout_of(program, families)
    if laid is None:
        return None
    time, batch = (shape[0], shape[1]) if time_major else (shape[1], shape[0])
    if states is not None:
        if len(states) != len(program.state_widths):
            return None
        for state, width in zip(states, program.state_widths, strict=True):
            expected = (1, batch, width) if stacked else (batch, width)
            if not isinstance(state, Tensor) or state.shape != expected:
                return None
    tensors = (x, *families) if states is None else (x, *states, *families)
    save = False
    if torch.is_grad_enabled():
        for tensor in tensors:
            save = save or tensor.requires_grad
    columns_first, lines = laid
    full = full_batch(program, BatchShape(batch, time, time_major, stacked, columns_first, save), tensors)
    if full is None:
        return None
    if not save:
        output, finals, _ = full.forward(_rows(x, time_major), _contiguous(states), families, lines)
        return output, finals
    output, *last = _FullBatchScan.apply(  # type: ignore[no-untyped-call]
        _Run(program, full, time_major, stacked, lines, 0 if states is None else len(states)), *tensors
    )
    return output, tuple(last)


class _Run:
    """What belongs to a call beside its tensors."""

    __slots__ = ("count", "full", "lines", "program", "stacked", "time_major", "version")

    def __init__(
        self,
        program: Program,
        full: FullBatch,
        time_major: bool,
        stacked: bool,
        lines: tuple[int, ...],
        count: int,
    ) -> None:
        self.program, self.full, self.lines, self.count = program, full, lines, count
        self.time_major, self.stacked, self.version = time_major, stacked, 0


class _FullBatchScan(torch.autograd.Function):
    """The kernel as an autograd function of input, initial states and weights."""

    @staticmethod
    def forward(ctx: Any, run: _Run, *tensors: Tensor) -> tuple[Tensor, ...]:
        first = 1 + run.count
        states = _contiguous(tensors[1:first]) if run.count else None
        output, finals, record = run.full.forward(
            _rows(tensors[0], run.time_major), states, tensors[first:], run.lines
        )
        ctx.set_materialize_grads(False)
        # Under another name, which holds no graph. A user may change the output: see nabi.scan._shared.
        ctx.run, ctx.record, ctx.output = run, record, output.detach()
        run.version = output._version
        # Saving inputs lets autograd notice when a user changes one, whose memory the record shares.
        ctx.save_for_backward(*tensors)
        return (output, *finals)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor | None) -> tuple[Tensor | None, ...]:
        run: _Run = ctx.run
        tensors = ctx.saved_tensors
        need = ctx.needs_input_grad[1:]
        if torch.is_grad_enabled() or is_watched() or not are_given_ordinary(cotangents):
            # A derivative of this derivative may be asked for, or many derivatives at once.
            return (None, *_differentiate(run, tensors, cotangents, need))
        first = 1 + run.count
        families = tensors[first:]
        # The record goes with the first backward pass, so that its memory is free before the next forward
        # pass (a loss usually lives that long); a second one over the same graph makes it again.
        record, ctx.record = ctx.record, None
        output, ctx.output = ctx.output, None
        if record is None or output._version != run.version:
            states = _contiguous(tensors[1:first]) if run.count else None
            output, _, record = run.full.forward(
                _rows(tensors[0], run.time_major), states, families, run.lines
            )
        of_output = cotangents[0]
        found = run.full.backward(
            record,
            output,
            families,
            run.lines,
            None if of_output is None else _rows(of_output, run.time_major),
            [None if cotangent is None else cotangent.contiguous() for cotangent in cotangents[1:]],
            need_input=need[0],
            need_initial=True in need[1:first],
            need_families=True in need[first:],
        )
        if found is None:
            return (None, *_differentiate(run, tensors, cotangents, need))
        dx, initial, gradients = found
        of_families: Sequence[Tensor | None] = gradients or [None] * len(families)
        return (None, dx, *initial[: run.count], *of_families)


def _differentiate(
    run: _Run, tensors: Sequence[Tensor], cotangents: Sequence[Tensor | None], need: Sequence[bool]
) -> list[Tensor | None]:
    """The derivative by way of the definition."""
    x, states, families = tensors[0], list(tensors[1 : 1 + run.count]), tensors[1 + run.count :]
    output, finals = cotangents[0], list(cotangents[1:])
    if run.time_major:
        x, output = x.transpose(0, 1), None if output is None else output.transpose(0, 1)
    if run.stacked:
        states = [state.squeeze(0) for state in states]
        finals = [None if final is None else final.squeeze(0) for final in finals]
    needed, count = list(need), run.count
    if not count:
        states = [x.new_zeros(x.shape[0], width) for width in run.program.state_widths]
        count = len(states)
        needed[1:1] = [False] * count
    found = differentiate(
        run.program, Options(), Layout(None, None, None), [x, *states, *families], count, (),
        [output, *finals], needed,
    )  # fmt: skip
    dx, initial = found[0], found[1 : 1 + count]
    if run.time_major and dx is not None:
        dx = dx.transpose(0, 1)
    if run.stacked:
        initial = [None if gradient is None else gradient.unsqueeze(0) for gradient in initial]
    return [dx, *(initial if run.count else []), *found[1 + count :]]


def _is_special() -> bool:
    """Whether data types or what autograd keeps are not to be as they are."""
    return (
        torch.is_autocast_enabled("cpu")
        or torch._C._autograd._top_saved_tensors_default_hooks(True) is not None
    )


def _layout_of(
    program: Program, families: Sequence[Tensor]
) -> tuple[tuple[bool, ...], tuple[int, ...]] | None:
    """How weights lie in memory; None if one has the wrong shape or would have to be copied."""
    if len(families) != len(program.families):
        return None
    columns_first, lines = [], []
    for family, tensor in zip(program.families, families, strict=True):
        if tensor.shape != family.shape:
            return None
        first, line = True, family.shape[-1]
        if not tensor.is_contiguous():
            if len(family.shape) != 2 or 1 not in (strides := tensor.stride()):
                return None
            first, line = (True, strides[0]) if strides[1] == 1 else (False, strides[1])
        columns_first.append(first)
        lines.append(line)
    return tuple(columns_first), tuple(lines)


def _rows(values: Tensor, time_major: bool) -> Tensor:
    """Sequences in the order of kernels, time first."""
    return values.contiguous() if time_major else values.transpose(0, 1).contiguous()


def _contiguous(states: Sequence[Tensor] | None) -> list[Tensor] | None:
    return None if states is None else [state.contiguous() for state in states]
