"""Single steps, one after the other, with weights that are brought into the order of the kernels once."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nabi.errors import ArgumentError, ShapeError
from nabi.ir import Program
from nabi.native import are_ordinary, is_watched
from nabi.scan._arguments import check_families
from nabi.scan._inputs import Extra, check_extra_of_step, join_inputs
from nabi.scan._lowering import initial_states, lowered
from nabi.targets import eager, prepare_step

__all__ = ["PreparedStep"]


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
