"""Steps one by one, many of them with the same weights: text that is written, beams that are followed."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nabi.errors import ArgumentError, ShapeError
from nabi.ir import Program
from nabi.native import are_ordinary, is_watched
from nabi.scan._arguments import check_families
from nabi.targets import prepare_step
from nabi.targets.eager import step_function

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
        with torch.inference_mode(False), torch.no_grad():
            copies = tuple([family.detach().clone() for family in families])
        self.program = program
        self._like = copies[0]
        self._widths = program.state_widths
        self._step = prepare_step(program, copies)
        self._families = copies
        self._given: tuple[Tensor, ...] | None = None

    def start(self, batch: int) -> tuple[Tensor, ...]:
        """Return states of zero for so many rows."""
        return tuple([self._like.new_zeros((batch, width)) for width in self._widths])

    def __call__(self, x: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Take a step.

        Args:
            x: input `[B, D]`, of the type and on the device of the weights.
            states: states `[B, width]`.

        Returns:
            The new states; the first is the output.

        Raises:
            ShapeError: `x` or a state has the wrong shape.
            ArgumentError: `x` or a state has another type or is on another device.
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
        if is_watched() or (given and not are_ordinary(*states)) or not are_ordinary(x):
            with torch.no_grad():
                return step_function(self.program)(x, tuple(states), self._families, ())
        self._given = new = self._step(x, states)
        return new
