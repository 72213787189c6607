"""Full batches, in which every sequence has every step: bound once and run often.

For a small layer all that is done around a kernel takes longer than the kernel. What is always the same in
these cases is settled once, by `nabi.targets`; here is what a call still asks. What is not covered (or is
wrong) goes the general way, through `scan` and `step`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nabi.ir import Program
from nabi.native import (
    DTYPES,
    Likeness,
    are_ordinary,
    are_readable,
    has_failed,
    is_watched,
    likeness,
    runs_native,
    runs_now,
)
from nabi.native.addresses import to_read
from nabi.scan._arguments import check_families
from nabi.scan._definition import differentiate
from nabi.scan._layout import Layout, Options
from nabi.scan._lowering import initial_states, is_lowered, lowered
from nabi.targets import full_batch

if TYPE_CHECKING:
    from nabi.targets import Passes

__all__ = ["FullBatches", "PreparedBatch", "scan_full_batch"]

Found = tuple[Tensor, tuple[Tensor, ...]]


def scan_full_batch(
    program: Program,
    x: Tensor,
    states: Sequence[Tensor] | None,
    families: Sequence[Tensor],
    *,
    time_major: bool = False,
    stacked: bool = False,
    turned: bool = False,
) -> Found | None:
    """Run a program over a full batch by native code, if all arguments are as they should be.

    Args:
        program: the program.
        x: input `[B, T, D]`, or `[T, B, D]` with `time_major`.
        states: initial states, each `[B, width]`, or `[1, B, width]` with `stacked`; None for zeros.
        families: weights in the order of `program.families`.
        time_major: the layout of `x` and of the output.
        stacked: the shape of the states.
        turned: whether matrices have their inputs first, as in Keras; only for calls that torch does not
            record, and programs that run as they are.

    Returns:
        The output, laid out as `x`, and the final states, shaped as the initial ones. None, with nothing
        done, if an argument is wrong, native code cannot run it, or torch wants to see operations.
    """
    if program.noises or not runs_now() or torch.is_autocast_enabled("cpu"):
        return None
    if not program.is_plain:
        if turned:
            return None
        if has_failed(program.key) or not runs_native(x, *families):
            return None
        found_families = check_families(program, families)
        if states is None and not program.starts_with_zeros:
            if x.dim() != 3:
                return None
            states = initial_states(program, found_families, x.shape[1 if time_major else 0], x)
            states = [state.unsqueeze(0) for state in states] if stacked else states
        if is_lowered(program, x.numel() // max(x.shape[-1], 1)):
            program, families, _ = lowered(program, found_families)
    if program.readout is not None:
        return _scan_with_readout(program, x, states, families, time_major, stacked, turned)
    found = _bind(program, x, states, families, time_major, stacked, turned)
    return None if found is None else found[0].run(x, states, families, found[1])


class FullBatches:
    """The full batches of one layer in one direction; calls that are like earlier ones are prepared.

    Of such a call all that can have changed is where its tensors lie and how torch is set. It computes what
    `scan_full_batch` computes, by the same kernel.

    Example:
        >>> from nabi.cells import GRU
        >>> program = GRU(units=5).program(input_size=3)
        >>> weights = [torch.zeros(family.shape) for family in program.families]
        >>> output, (h,) = FullBatches().run(program, torch.ones(2, 7, 3), None, weights)
        >>> output.shape, h.shape
        (torch.Size([2, 7, 5]), torch.Size([2, 5]))
    """

    __slots__ = ("_last", "_ready")

    def __init__(self) -> None:
        # One call that gradients are wanted of and one without, which alternate in many trainings.
        self._ready: list[_Call | None] = [None, None]
        self._last: object = None  # what tells the last call that was not prepared from others

    def __reduce__(self) -> tuple[type["FullBatches"], tuple[()]]:
        return FullBatches, ()  # a copy of a layer finds out for itself

    def run(
        self,
        program: Program,
        x: Tensor,
        states: Sequence[Tensor] | None,
        families: Sequence[Tensor],
        *,
        time_major: bool = False,
        stacked: bool = False,
        turned: bool = False,
    ) -> Found | None:
        """Run a program as `scan_full_batch` does; layouts and shapes are the same at every call."""
        if not runs_now():
            return None
        with_gradients = torch.is_grad_enabled()
        ready = self._ready[with_gradients]
        if ready is not None and ready.program is program:
            found = ready.run_again(x, states, families)
            if found is not None:
                return found
        if program.noises or program.readouts or not program.is_plain or torch.is_autocast_enabled("cpu"):
            return scan_full_batch(
                program, x, states, families, time_major=time_major, stacked=stacked, turned=turned
            )
        bound = _bind(program, x, states, families, time_major, stacked, turned)
        if bound is None:
            return None
        call, weights = bound
        # To prepare takes as long as it saves: what comes once, as batches of ever new lengths, is only run.
        key = id(program), x.shape, x.stride(), x.dtype, states is None, with_gradients
        if key == self._last:
            alike = likeness((x, *(states or ()), *families))
            if alike is not None:
                call.alike, call.passes = alike, call.passes.own()
                self._ready[with_gradients] = call
        self._last = key
        return call.run(x, states, families, weights)


def _bind(
    program: Program,
    x: Tensor,
    states: Sequence[Tensor] | None,
    families: Sequence[Tensor],
    time_major: bool,
    stacked: bool,
    turned: bool,
) -> "tuple[_Call, list[int]] | None":
    """Bind a program that runs as it is; the call, and where weights lie. None as `scan_full_batch`."""
    if states is None:
        given: Sequence[Tensor] = ()
    elif len(states) == len(program.state_widths) and all(isinstance(state, Tensor) for state in states):
        given = states
    else:
        return None
    if x.dtype not in DTYPES or has_failed(program.key) or not are_readable(x, *given):
        return None
    shape = x.shape
    if len(shape) != 3 or shape[2] != program.row_size or not (shape[0] and shape[1]):
        return None
    time, batch = (shape[0], shape[1]) if time_major else (shape[1], shape[0])
    if given:
        for state, width in zip(given, program.state_widths, strict=True):
            if state.shape != ((1, batch, width) if stacked else (batch, width)):
                return None
    save = False
    if torch.is_grad_enabled():
        if torch._C._autograd._top_saved_tensors_default_hooks(True) is not None:
            return None  # what autograd keeps is not to be as it is
        save = True in [tensor.requires_grad for tensor in (x, *given, *families)]
        if save and turned:
            return None
    found = full_batch(
        program, families, x.dtype, batch, time, time_major=time_major, stacked=stacked, save=save,
        from_zeros=states is None, turned=turned,
    )  # fmt: skip
    if found is None:
        return None
    passes, weights, lines = found
    # A single row or step lies in memory as it does with time first.
    turns = not (time_major or batch == 1 or time == 1)
    return _Call(program, passes, lines, save, len(given), turns, time_major, stacked), weights


class _Call:
    """A program bound to full batches of one shape.

    Attributes:
        program: the program.
        passes: its kernels.
        lines: how far the lines of each weight lie apart.
        save: whether torch records it.
        count: the number of states given to start from, 0 for zeros.
        total: the number of tensors: the input, these states and the weights.
        turns: whether time and batch change places between what is given and what kernels read.
        time_major, stacked: the layouts of batches and states.
        alike: whether tensors are like those that it was made for; None where that is not asked.
    """

    __slots__ = (
        "alike", "count", "lines", "passes", "program", "save", "stacked", "time_major", "total", "turns",
    )  # fmt: skip

    def __init__(
        self,
        program: Program,
        passes: "Passes",
        lines: tuple[int, ...],
        save: bool,
        count: int,
        turns: bool,
        time_major: bool,
        stacked: bool,
    ) -> None:
        self.program, self.passes, self.lines, self.save, self.count = program, passes, lines, save, count
        self.turns, self.time_major, self.stacked = turns, time_major, stacked
        self.alike: Likeness | None = None
        self.total = 1 + count + len(program.families)

    def run(
        self, x: Tensor, states: Sequence[Tensor] | None, families: Sequence[Tensor], weights: list[int]
    ) -> Found:
        """Run; `weights` are the addresses of `families`."""
        if not self.save:
            return self.run_unrecorded(x, states, weights)
        output, *last = _apply(self, x, *(states or ()), *families)
        return output, tuple(last)

    def run_again(
        self, x: Tensor, states: Sequence[Tensor] | None, families: Sequence[Tensor]
    ) -> Found | None:
        """Run, where torch watches nothing; None, with nothing done, if these tensors are not alike."""
        tensors = (x, *families) if states is None else (x, *states, *families)
        assert self.alike is not None
        if len(tensors) != self.total or not self.alike(*tensors):
            return None
        if self.save and torch._C._autograd._top_saved_tensors_default_hooks(True) is not None:
            return None
        addresses = [*map(to_read, tensors)]
        if 0 in addresses:
            return None  # memory has been given up
        if self.save:
            output, *last = _apply(self, *tensors)
            return output, tuple(last)
        return self.run_unrecorded(x, states, addresses[1 + self.count :])

    def run_unrecorded(self, x: Tensor, states: Sequence[Tensor] | None, weights: list[int]) -> Found:
        """Run without a backward pass."""
        kept, finals, _ = self.passes.forward(
            x.transpose(0, 1) if self.turns else x, states, weights, self.lines
        )  # fmt: skip
        return kept[0], finals  # type: ignore[return-value]

    def run_recorded(self, tensors: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...], Any]:
        """Run; also return the record, which does not hold the output: autograd does."""
        x, first = tensors[0], 1 + self.count
        kept, finals, record = self.passes.forward(
            x.transpose(0, 1) if self.turns else x, tensors[1:first] if self.count else None,
            [*map(to_read, tensors[first:])], self.lines,
        )  # fmt: skip
        return kept[0], finals, record  # type: ignore[return-value]


class PreparedBatch:
    """A program with its weights over full batches of one shape, which torch does not record.

    It computes what `scan_full_batch` computes, by the same kernel, and looks at nothing but the input; `of`
    makes it where that is possible.
    """

    def __init__(self, families: Sequence[Tensor], call: _Call, weights: list[int]) -> None:
        self._families = families  # held: kernels know only where they lie
        self._run, self._weights = call.run_unrecorded, weights

    @classmethod
    def of(
        cls, program: Program, families: Sequence[Tensor], shape: Sequence[int], dtype: torch.dtype
    ) -> "PreparedBatch | None":
        """Bind a program; None if its calls have more to do.

        Args:
            program: the program.
            families: the weights, matrices with their inputs first. They may be written to between two
                calls, but must not lie elsewhere.
            shape: that of the inputs, `[B, T, D]`.
            dtype: that of the inputs and the weights.
        """
        if program.noises or program.readouts or not program.is_plain or dtype not in DTYPES:
            return None
        if len(shape) != 3 or shape[2] != program.row_size or 0 in shape or has_failed(program.key):
            return None
        found = full_batch(
            program, families, dtype, shape[0], shape[1], time_major=False, stacked=False, save=False,
            from_zeros=True, turned=True,
        )  # fmt: skip
        if found is None:
            return None
        passes, weights, lines = found
        turns = shape[0] > 1 and shape[1] > 1
        return cls(families, _Call(program, passes.own(), lines, False, 0, turns, False, False), weights)

    def run(self, x: Tensor) -> Found:
        """Run from zero states; return the output `[B, T, units]` and the final states, in new memory.

        Args:
            x: an input of the shape and dtype for which this was made, a plain tensor on the CPU.
        """
        return self._run(x, None, self._weights)


def _scan_with_readout(
    program: Program,
    x: Tensor,
    states: Sequence[Tensor] | None,
    families: Sequence[Tensor],
    time_major: bool,
    stacked: bool,
    turned: bool,
) -> Found | None:
    """Run a program whose output is no state: as a state in front of the others, which nobody sees."""
    whole = program.as_states
    if states is not None:
        if not states or not isinstance(states[0], Tensor) or not states[0].dim():
            return None
        states = (states[0].new_zeros((*states[0].shape[:-1], whole.state_widths[0])), *states)
    found = scan_full_batch(
        whole, x, states, families, time_major=time_major, stacked=stacked, turned=turned
    )  # fmt: skip
    return None if found is None else (found[0], found[1][1:])


class _FullBatchScan(torch.autograd.Function):
    """The kernel as an autograd function of input, initial states and weights."""

    @staticmethod
    def forward(ctx: Any, call: _Call, *tensors: Tensor) -> tuple[Tensor, ...]:
        output, finals, record = call.run_recorded(tensors)
        ctx.set_materialize_grads(False)
        # The output under another name, which holds no graph. A user may change it: see `_Scan`.
        ctx.kept = call, record, output.detach(), output._version
        # Saving inputs lets autograd notice when a user changes one, whose memory the record shares.
        ctx.save_for_backward(*tensors)
        return (output, *finals)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor | None) -> tuple[Tensor | None, ...]:
        tensors = ctx.saved_tensors
        need = ctx.needs_input_grad[1:]
        call, record, output, version = ctx.kept
        given = [cotangent for cotangent in cotangents if cotangent is not None]
        if torch.is_grad_enabled() or is_watched() or not are_ordinary(*given):
            # A derivative of this derivative may be asked for, or many derivatives at once.
            return (None, *_differentiate(call, tensors, cotangents, need))
        first = 1 + call.count
        families = tensors[first:]
        # The record goes with the first backward pass, so that its memory is free before the next forward
        # pass (a loss usually lives that long); a second one over the same graph makes it again.
        ctx.kept = call, None, None, version
        if record is None or output._version != version:
            output, _, record = call.run_recorded(tensors)
        of_output = cotangents[0]
        if of_output is not None and call.turns:
            of_output = of_output.transpose(0, 1)
        found = call.passes.backward(
            record, (output,), families, call.lines, (of_output,), cotangents[1:],
            need_input=need[0], need_initial=True in need[1:first], need_families=True in need[first:],
        )  # fmt: skip
        if found is None:
            return (None, *_differentiate(call, tensors, cotangents, need))
        dx, initial, gradients = found
        of_families: Sequence[Tensor | None] = gradients or [None] * len(families)
        return (None, dx, *initial[: call.count], *of_families)


_apply: Any = super(torch.autograd.Function, _FullBatchScan).apply
"""`_FullBatchScan.apply` without what torch does for its transforms, under which nothing comes here: three
microseconds of a call."""


def _differentiate(
    call: _Call, tensors: Sequence[Tensor], cotangents: Sequence[Tensor | None], need: Sequence[bool]
) -> list[Tensor | None]:
    """The derivative by way of the definition."""
    x, states, families = tensors[0], list(tensors[1 : 1 + call.count]), tensors[1 + call.count :]
    output, finals = cotangents[0], list(cotangents[1:])
    if call.time_major:
        x, output = x.transpose(0, 1), None if output is None else output.transpose(0, 1)
    if call.stacked:
        states = [state.squeeze(0) for state in states]
        finals = [None if final is None else final.squeeze(0) for final in finals]
    needed, count = list(need), call.count
    if not count:
        states = [x.new_zeros(x.shape[0], width) for width in call.program.state_widths]
        count = len(states)
        needed[1:1] = [False] * count
    found = differentiate(
        call.program, Options(), Layout(None, None, None), [x, *states, *families], count, (),
        [output, *finals], needed,
    )  # fmt: skip
    dx, initial = found[0], found[1 : 1 + count]
    if call.time_major and dx is not None:
        dx = dx.transpose(0, 1)
    if call.stacked:
        initial = [None if gradient is None else gradient.unsqueeze(0) for gradient in initial]
    return [dx, *(initial if call.count else []), *found[1 + count :]]
