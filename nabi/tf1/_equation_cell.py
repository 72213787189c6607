"""The base of the cells in `tf.nn.rnn_cell`: one of nabi's equations with TensorFlow's weights."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from nabi import _checks
from nabi.errors import ShapeError
from nabi.ir import Cell, Program
from nabi.scan import scan, step
from nabi.tf1._cell import RNNCell

__all__ = ["EquationCell", "positive_integer"]


class EquationCell(RNNCell):
    """A cell of `tf.nn.rnn_cell` that runs one of nabi's equations with TensorFlow's weights."""

    equation: Cell

    def build(self, inputs_shape: Any) -> None:
        """Create the weights for inputs of the shape `(None, width)`.

        Raises:
            ShapeError: the width is unknown.
        """
        width = _checks.as_whole(inputs_shape[-1], floats=False)
        if width is None or width < 1:
            raise ShapeError(f"inputs_shape: expected (None, width) with a width, got {tuple(inputs_shape)}")
        self._dtype, self._input_width = self._dtype or torch.get_default_dtype(), width
        self.make_weights(width)
        self.built = True

    @abstractmethod
    def make_weights(self, width: int) -> None:
        """Create the weights in TensorFlow's layout."""

    @abstractmethod
    def families(self, width: int) -> dict[str, Tensor]:
        """Return views of the weights in the layout of the equation's families, by family name."""

    def to_states(self, state: Any) -> tuple[Tensor, ...]:
        """Return TensorFlow's state as the equation's states, in its order."""
        return (state,)

    def from_states(self, states: tuple[Tensor, ...]) -> Any:
        """Return the equation's states as TensorFlow's."""
        return states[0]

    def call(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Compute one step for tensors."""
        program, parameters = self._program(inputs.shape[-1])
        states = step(program, inputs, self.to_states(state), parameters)
        return states[0], self.from_states(states)

    def over_time(
        self, inputs: Tensor, state: Any, lengths: Tensor | None, reverse: bool = False
    ) -> tuple[Tensor, Any]:
        """Run over `[batch, time, width]` in one operation."""
        program, parameters = self._program(inputs.shape[-1])
        states = self.to_states(state)
        output, final, _ = scan(program, inputs, states, parameters, lengths=lengths, reverse=reverse)
        return output, self.from_states(final)

    def _program(self, width: int) -> tuple[Program, tuple[Tensor, ...]]:
        program = self.equation.program(width)
        tensors = self.families(width)
        return program, tuple(tensors[family.name] for family in program.families)


def positive_integer(value: Any, argument: str = "num_units") -> int:
    return _checks.whole(argument, value)
