"""Programs that are bound once and run often: full batches, passes of a training, single steps.

For a small layer all that is done around a kernel takes longer than the kernel. What is always the same in
these cases is settled once, by `nabi.targets`; here is what a call still asks. What is not covered (or is
wrong) goes the general way, through `scan` and `step`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nabi.errors import ArgumentError, ShapeError
from nabi.ir import Program
from nabi.kernels import MaskRows, from_rows, to_rows
from nabi.native import (
    DTYPES,
    NativeError,
    are_ordinary,
    are_readable,
    give_up,
    has_failed,
    is_watched,
    runs_native,
    runs_now,
)
from nabi.native.addresses import to_read
from nabi.native.bound import BoundPass
from nabi.scan._arguments import check_families
from nabi.scan._definition import differentiate
from nabi.scan._inputs import Extra, check_extra_of_step, join_inputs
from nabi.scan._layout import Layout, Options
from nabi.scan._lowering import initial_states, is_lowered, lowered
from nabi.targets import TorchPasses, eager, full_batch, prepare, prepare_step

if TYPE_CHECKING:
    from nabi.targets import Passes

__all__ = ["PreparedBatch", "PreparedStep", "TrainingPass", "scan_full_batch"]


def scan_full_batch(
    program: Program,
    x: Tensor,
    states: Sequence[Tensor] | None,
    families: Sequence[Tensor],
    *,
    time_major: bool = False,
    stacked: bool = False,
    turned: bool = False,
) -> tuple[Tensor, tuple[Tensor, ...]] | None:
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
    if not save:
        passes, weights, lines = found
        # A single row or step lies in memory as it does with time first.
        x = x if time_major or batch == 1 or time == 1 else x.transpose(0, 1)
        kept, finals, _ = passes.forward(x, states, weights, lines)
        return kept[0], finals  # type: ignore[return-value]
    run = _Run(program, found[0], found[2], time_major, stacked, len(given))
    output, *last = _apply(run, x, *given, *families)
    return output, tuple(last)


class PreparedBatch:
    """A program with its weights over full batches of one shape, which torch does not record.

    It computes what `scan_full_batch` computes, by the same kernel, and looks at nothing but the input; `of`
    makes it where that is possible.
    """

    def __init__(
        self, families: Sequence[Tensor], passes: "Passes", weights: list[int], lines: tuple[int, ...]
    ) -> None:
        self._families = families  # held: kernels know only where they lie
        self._forward, self._weights, self._lines = passes.forward, weights, lines

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
        return None if found is None else cls(families, *found)

    def run(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run from zero states; return the output `[B, T, units]` and the final states, in new memory.

        Args:
            x: an input of the shape and dtype for which this was made, a plain tensor on the CPU.
        """
        # A single row or step lies in memory as it does with time first.
        x = x if x.shape[0] == 1 or x.shape[1] == 1 else x.transpose(0, 1)
        kept, finals, _ = self._forward(x, None, self._weights, self._lines)
        return kept[0], finals  # type: ignore[return-value]


def _scan_with_readout(
    program: Program,
    x: Tensor,
    states: Sequence[Tensor] | None,
    families: Sequence[Tensor],
    time_major: bool,
    stacked: bool,
    turned: bool,
) -> tuple[Tensor, tuple[Tensor, ...]] | None:
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


class _Run:
    """What belongs to a call beside its tensors."""

    __slots__ = ("count", "lines", "passes", "program", "stacked", "time_major", "version")

    def __init__(
        self,
        program: Program,
        passes: "Passes",
        lines: tuple[int, ...],
        time_major: bool,
        stacked: bool,
        count: int,
    ) -> None:
        self.program, self.passes, self.lines, self.count = program, passes, lines, count
        self.time_major, self.stacked, self.version = time_major, stacked, 0

    def forward(self, tensors: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...], Any]:
        """The output, the final states, and the record, which does not hold the output: autograd does."""
        x, first = tensors[0], 1 + self.count
        kept, finals, record = self.passes.forward(
            x if self.time_major else x.transpose(0, 1), tensors[1:first] if self.count else None,
            list(map(to_read, tensors[first:])), self.lines,
        )  # fmt: skip
        return kept[0], finals, record  # type: ignore[return-value]


class _FullBatchScan(torch.autograd.Function):
    """The kernel as an autograd function of input, initial states and weights."""

    @staticmethod
    def forward(ctx: Any, run: _Run, *tensors: Tensor) -> tuple[Tensor, ...]:
        output, finals, record = run.forward(tensors)
        ctx.set_materialize_grads(False)
        # Under another name, which holds no graph. A user may change the output: see `_Scan`.
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
        given = [cotangent for cotangent in cotangents if cotangent is not None]
        if torch.is_grad_enabled() or is_watched() or not are_ordinary(*given):
            # A derivative of this derivative may be asked for, or many derivatives at once.
            return (None, *_differentiate(run, tensors, cotangents, need))
        first = 1 + run.count
        families = tensors[first:]
        # The record goes with the first backward pass, so that its memory is free before the next forward
        # pass (a loss usually lives that long); a second one over the same graph makes it again.
        record, ctx.record = ctx.record, None
        output, ctx.output = ctx.output, None
        if record is None or output._version != run.version:
            output, _, record = run.forward(tensors)
        of_output = cotangents[0]
        if of_output is not None and not run.time_major:
            of_output = of_output.transpose(0, 1)
        found = run.passes.backward(
            record, (output,), families, run.lines, (of_output,), cotangents[1:],
            need_input=need[0], need_initial=True in need[1:first], need_families=True in need[first:],
        )  # fmt: skip
        if found is None:
            return (None, *_differentiate(run, tensors, cotangents, need))
        dx, initial, gradients = found
        of_families: Sequence[Tensor | None] = gradients or [None] * len(families)
        return (None, dx, *initial[: run.count], *of_families)


_apply: Any = super(torch.autograd.Function, _FullBatchScan).apply
"""`_FullBatchScan.apply` without what torch does for its transforms, under which nothing comes here: three
microseconds of a call."""


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


class TrainingPass:
    """A program that runs over batches of one shape, forward and backward in turn, again and again.

    What stays the same from step to step is settled when this is made; a mask changes only the layout of
    rows. A step writes over all that the last one returned.

    Args:
        program: the program, without random inputs.
        options: how it runs over time; nothing is recomputed.
        x: such an input as every step will bring, `[B, T, D]`.
        states: such initial states, each `[B, width]`.
        families: the weights, in the order of `program.families`. They may be written to between two steps,
            but must not lie elsewhere.
        need_families: for each family whether its gradient is wanted.
        new_finals: whether every step gives final states in memory of their own, for someone to keep.
        from_zeros: whether all initial states will be zeros, which native code then does not multiply.
    """

    def __init__(
        self,
        program: Program,
        options: Options,
        x: Tensor,
        states: Sequence[Tensor],
        families: Sequence[Tensor],
        need_families: tuple[bool, ...],
        *,
        new_finals: bool = False,
        from_zeros: bool = False,
    ) -> None:
        self.shape = x.shape
        self._readouts, program = program.readouts, program.as_states
        if self._readouts:
            # What it starts from is never read.
            self._begin = (x.new_zeros((x.shape[0], program.state_widths[0])),)
            states = (*self._begin, *states)
        self._program, self._families, self._options = program, families, options
        self._kept, self._need_families = options.kept(program), need_families
        self._plain = self._rows = Layout(None, None, None).rows(x, options)
        self._masked, self._strides = MaskRows(x.shape[:2], options.reverse), x.stride()
        self._passes = prepare(
            program, x, states, families, keep=self._kept, need_families=need_families,
            new_finals=new_finals, from_zeros=from_zeros,
        )  # fmt: skip
        self._native = not isinstance(self._passes, TorchPasses)
        # The steps of one sequence are rows as they are.
        self._is_rows = x.shape[0] == 1 and self._plain.place is None
        # Where native code copies to under a mask: rows, and batches that the first copies have made.
        self._x_rows: Tensor | None = None
        self._cotangent_rows: list[Tensor | None] = [None] * len(self._kept)
        self._outputs: Sequence[Tensor | None] = [None] * len(self._kept)
        self._dx: Tensor | None = None
        # What the last run forward was given: input rows, and initial states.
        self._last: tuple[Tensor, Sequence[Tensor]] = x, states

    def forward(
        self, x: Tensor, states: Sequence[Tensor], mask: Tensor | None = None
    ) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Run forward; the states that are kept at every step, `[B, T, width]`, and the final states.

        Args:
            x: the input.
            states: the initial states; with a mask those of all sequences are the same.
            mask: `[B, T]`, whether a step counts, or None when all do. States at others are zero.

        An output that is no state comes before the states, at every step and at the last.
        """
        if self._readouts:
            states = (*self._begin, *states)
        rows = self._plain
        if mask is not None:
            rows = self._masked.rows(mask, self._native) or Layout(mask, None, None).rows(x, self._options)
            if self._x_rows is None:
                self._make_room(x)
        self._rows = rows
        if not self._is_rows or rows is not self._plain:
            x = to_rows(x, rows, self._native, self._x_rows)
        try:
            kept, finals = self._passes.forward(rows, x, states)
        except NativeError as problem:
            self._go_on_by_torch(problem)
            kept, finals = self._passes.forward(rows, x, states)
        self._last = x, states
        if rows.back is not None:
            finals = list(finals)
            for i, final in enumerate(finals):
                finals[i] = final.index_select(0, rows.back)
        if kept and rows.place is None:
            kept = [from_rows(values, rows, self.shape) for values in kept]
        elif kept:
            self._outputs = kept = [
                from_rows(values, rows, self.shape, self._strides, self._native, memory)
                for values, memory in zip(kept, self._outputs, strict=True)
            ]
        return kept, finals

    def _make_room(self, x: Tensor) -> None:
        widths, count = self._program.state_widths, x.shape[0] * x.shape[1]
        self._x_rows = x.new_empty(count, x.shape[2])
        self._cotangent_rows = [x.new_empty(count, widths[i]) for i in self._kept]

    def bound(self, need_input: bool) -> BoundPass | None:
        """Return the last step, forward and backward, as two runs of kernels; None if it was more than that.

        Args:
            need_input: whether the gradient of the input was wanted.
        """
        rows = self._rows
        if isinstance(self._passes, TorchPasses) or rows is not self._plain or rows.place is not None:
            return None
        found = self._passes.bound(self._options.only_finals, need_input)
        if found is None or not self._readouts:
            return found
        return found._replace(initial=found.initial[self._readouts :], final=found.final[self._readouts :])

    def _go_on_by_torch(self, problem: NativeError) -> None:
        give_up(self._program.key, type(self._program.cell).__name__, problem)
        self._passes = TorchPasses(self._program, self._families, self._kept, self._need_families)
        self._native = False

    def backward(
        self, cotangents: Sequence[Tensor], final_cotangents: Sequence[Tensor | None], need_input: bool
    ) -> tuple[Tensor | None, Sequence[Tensor | None]]:
        """Run backward what ran forward last.

        Args:
            cotangents: of the states that are kept; none of any stand for zeros.
            final_cotangents: of the final states, behind that of the output at the last step if it is no
                state, or None.
            need_input: whether the gradient of the input is wanted.

        Returns:
            The gradient of the input and those of the families.
        """
        rows = self._rows
        if cotangents:
            cotangents = [
                to_rows(cotangent, rows, self._native, memory)
                for cotangent, memory in zip(cotangents, self._cotangent_rows, strict=True)
            ]
        if (order := rows.order) is not None:
            final_cotangents = [None if c is None else c.index_select(0, order) for c in final_cotangents]
        try:
            dx, families = self._passes.backward(cotangents, final_cotangents, need_input)
        except NativeError as problem:
            self._go_on_by_torch(problem)
            self._passes.forward(rows, *self._last)
            dx, families = self._passes.backward(cotangents, final_cotangents, need_input)
        if dx is None or rows.place is None:
            return None if dx is None else from_rows(dx, rows, self.shape), families
        self._dx = from_rows(dx, rows, self.shape, self._strides, self._native, self._dx)
        return self._dx, families


class PreparedStep:
    """Takes one step after the other, without gradients, with weights as they were when it was made.

    `step` brings the weights into the order of the kernels at every call, because they may have changed.
    Here this is done once, on a copy, which makes a step of a few rows many times as fast. Several threads
    may call it at the same time.

    Args:
        program: the cell's equations, without random inputs.
        parameters: weights in the order of `program.families`; copied.

    Raises:
        ShapeError: weights have the wrong shape.
        ArgumentError: the program draws random numbers.

    Example:
        >>> from nabi.cells import LSTM
        >>> program = LSTM(units=5).program(input_size=3)
        >>> weights = [torch.zeros(family.shape) for family in program.families]
        >>> prepared = PreparedStep(program, weights)
        >>> h, c = prepared(torch.ones(2, 3), prepared.start(2))
        >>> h.shape
        torch.Size([2, 5])
    """

    def __init__(self, program: Program, parameters: Sequence[Tensor]) -> None:
        if program.noises:
            raise ArgumentError("program: it draws random numbers; trace the cell with training=False")
        families = check_families(program, parameters)
        self._readouts, self._begin = program.readouts, {}  # type: tuple[int, dict[int, Tensor]]
        with torch.inference_mode(False), torch.no_grad():
            copies = tuple([family.detach().clone() for family in families])
            like = copies[0] if copies else torch.empty(0)
            self._starts = None if program.starts_with_zeros else initial_states(program, copies, 1, like)
            program, copies, _ = lowered(program, copies)
        self.program = program
        self._like = copies[0]
        self._widths = program.state_widths
        self._joins = len(program.inputs) > 1
        step = program.at_every_step
        own = {family.name for family in step.families}
        read = [w for family, w in zip(program.families, copies, strict=True) if family.name in own]
        self._step = prepare_step(step.as_states, read if self._joins else copies)
        self._families = copies
        self._given: tuple[Tensor, ...] | None = None

    def start(self, batch: int) -> tuple[Tensor, ...]:
        """Return the states in which so many rows begin: those that the cell declares, or zeros."""
        if self._starts is not None:
            return tuple([state.repeat(batch, 1) for state in self._starts])
        return tuple([self._like.new_zeros((batch, width)) for width in self._widths])

    def __call__(self, x: Tensor, states: Sequence[Tensor], extra: Extra | None = None) -> tuple[Tensor, ...]:
        """Take a step.

        Args:
            x: input `[B, D]`, of the type and on the device of the weights.
            states: states `[B, width]`.
            extra: what the step reads beside `x`, as `step` takes it.

        Returns:
            The new states; the first is the output. If the cell names an output that is no state, that, and
            then the new states.

        Raises:
            ShapeError: `x` or a state has the wrong shape.
            ArgumentError: `x` or a state has another type or is on another device, or a further input is
                missing.
        """
        like = self._like
        if x.dim() != 2 or x.shape[1] != self.program.input_size:
            raise ShapeError(f"x: expected shape [batch, {self.program.input_size}], got {tuple(x.shape)}")
        batch = x.shape[0]
        # What it gave last is right, and asking again at every step would take a tenth of a small one's time.
        given = states is not self._given or states[0].shape[0] != batch
        if given and len(states) != len(self._widths):
            raise ArgumentError(f"states: expected {len(self._widths)}, got {len(states)}")
        if given:
            for tensor, width in zip(states, self._widths, strict=True):
                if tensor.shape != (batch, width):
                    raise ShapeError(f"states: expected shape {(batch, width)}, got {tuple(tensor.shape)}")
        for tensor in (x, *states) if given else (x,):
            if tensor.dtype is not like.dtype or tensor.device != like.device:
                raise ArgumentError(
                    f"x and states: expected {like.dtype} on {like.device}, as the weights, "
                    f"got {tensor.dtype} on {tensor.device}"
                )
        program, families = self.program, self._families
        if self._joins or extra:
            further = check_extra_of_step(program, extra, batch)
            with torch.no_grad():
                program, x, families, _ = join_inputs(program, x, further, families, (), None)
        if is_watched() or (given and not are_ordinary(*states)) or not are_ordinary(x):
            with torch.no_grad():
                whole = program.as_states
                if self._readouts:
                    states = (x.new_zeros(batch, whole.state_widths[0]), *states)
                return eager.step_function(whole)(x, tuple(states), families, ())
        if not self._readouts:
            self._given = new = self._step(x, states)
            return new
        begin = self._begin.get(batch)
        if begin is None:
            # Only the last size is kept: nothing reads it, but a kernel wants memory there.
            begin = like.new_zeros((batch, program.as_states.state_widths[0]))
            self._begin = {batch: begin}
        found = self._step(x, (begin, *states))
        self._given = found[1:]
        return found

    def read(
        self, x: Tensor, states: Sequence[Tensor], extra: Extra | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Take a step; return the output, which may be no state, and the new states; else as a call."""
        found = self(x, states, extra)
        return found[0], found[len(found) - len(self._widths) :]
