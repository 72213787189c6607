"""Keras-style cells: `call(inputs, states) -> (output, new states)` for one time step."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from nabi._shown import short
from nabi.errors import ArgumentError
from nabi.layers._layer._base import Layer
from nabi.layers._layer._registry import deserialize, serialize
from nabi.layers._layer._seeds import SeedGenerator
from nabi.layers._layer._shapes import check_rank, check_width, last_width
from nabi.layers._recurrent._cell_loop import call_cell, check_cell, initial_state_of, output_size_of
from nabi.layers._recurrent._equations import Equations
from nabi.layers._recurrent._states import pack
from nabi.scan import sample_noise, step

__all__ = ["CellLayer", "DropoutRNNCell", "StackedRNNCells", "is_equations"]


class CellLayer(Equations):
    """One step of a nabi cell as a Keras-style cell, such as `SimpleRNNCell`, `LSTMCell` and `GRUCell`.

    Dropout masks are drawn at the first step and kept until `reset_dropout_mask()`, which `layers.RNN`
    calls around each sequence.
    """

    _reads_sequences = False

    def __init__(self, cell: Any, **kwargs: Any) -> None:
        super().__init__(cell, **kwargs)
        sizes = [cell.state_width(name) for name in cell.states]
        self.state_size: Any = sizes if len(sizes) > 1 else sizes[0]
        self.output_size: int = cell.output_width
        self._masks: tuple[tuple[Tensor, ...], Tensor | None] | None = None

    def build(self, input_shape: Any) -> None:
        """Create the weights for `[B, D]`."""
        self.build_weights(last_width(self, input_shape))

    def get_initial_state(self, batch_size: int) -> Any:
        """Return the initial states: those that the cell declares, or zeros."""
        return pack(self.state_size, self.first_states(batch_size))

    def reset_dropout_mask(self) -> None:
        """Clear the dropout masks, so that the next step draws new ones."""
        self._masks = None

    reset_recurrent_dropout_mask = reset_dropout_mask

    def call(self, inputs: Tensor, states: Any, training: bool = False) -> tuple[Tensor, list[Tensor]]:
        """Return the output and the new states of one step; `inputs` is `[B, D]`."""
        check_rank(self, inputs.shape, 2, "(batch, features)")
        check_width(self, inputs.shape, self.program().input_size)
        given = [states] if isinstance(states, Tensor) else list(states)
        current = tuple(torch.as_tensor(one).to(inputs) for one in given)
        noise: tuple[Tensor, ...] = ()
        if training and (self._draws or self._input_dropout):
            noise, keep = self._masks_for(inputs)
            inputs = inputs if keep is None else inputs * keep
        program = self.program(training)
        new = step(program, inputs, current, self.cell_parameters(), noise=noise)
        return new[0], list(new[program.readouts :])

    def _masks_for(self, inputs: Tensor) -> tuple[tuple[Tensor, ...], Tensor | None]:
        if self._masks is None:
            noise: tuple[Tensor, ...] = ()
            if self._draws:
                generator = self.seed_generator.generator(inputs.device)
                noise = sample_noise(
                    self.program(True),
                    inputs.shape[0],
                    1,
                    dtype=inputs.dtype,
                    device=inputs.device,
                    generator=generator,
                )
            rate = self._input_dropout
            self._masks = (noise, self.seed_generator.keep(inputs, rate) if rate else None)
        return self._masks

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the output."""
        return (input_shape[0], self.output_size)


class DropoutRNNCell:
    """Mixin for your own cells: dropout masks that stay the same over a whole sequence.

    A cell that inherits from it and from `Layer` sets `dropout`, `recurrent_dropout` and `seed_generator`
    (a `layers.SeedGenerator`), and multiplies by `get_dropout_mask(inputs)` and
    `get_recurrent_dropout_mask(state)`; `layers.RNN` resets the masks for each sequence.
    """

    dropout: float
    recurrent_dropout: float
    seed_generator: SeedGenerator
    _dropout_mask: Tensor | None = None
    _recurrent_dropout_mask: Tensor | None = None

    def get_dropout_mask(self, step_input: Tensor) -> Tensor | None:
        """Return the mask for the inputs, drawn at the first step; None for a rate of 0."""
        if self._dropout_mask is None and self.dropout > 0:
            self._dropout_mask = self.seed_generator.keep(step_input, self.dropout)
        return self._dropout_mask

    def get_recurrent_dropout_mask(self, step_input: Tensor) -> Tensor | None:
        """Return the mask for a state, drawn at the first step; None for a rate of 0."""
        if self._recurrent_dropout_mask is None and self.recurrent_dropout > 0:
            self._recurrent_dropout_mask = self.seed_generator.keep(step_input, self.recurrent_dropout)
        return self._recurrent_dropout_mask

    def reset_dropout_mask(self) -> None:
        """Clear the mask for the inputs."""
        self._dropout_mask = None

    def reset_recurrent_dropout_mask(self) -> None:
        """Clear the mask for the states."""
        self._recurrent_dropout_mask = None


class StackedRNNCells(Layer):
    """Several Keras-style cells run as one: each reads the previous cell's output at the same step.

    >>> from nabi import layers
    >>> stack = layers.StackedRNNCells([layers.LSTMCell(4), layers.GRUCell(3)])
    >>> stack.state_size, stack.output_size
    ([[4, 4], 3], 3)
    """

    def __init__(self, cells: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(cells, list | tuple | torch.nn.ModuleList) or not len(cells):
            raise ArgumentError(f"cells: expected a list of at least one cell, got {short(cells)}")
        for number, cell in enumerate(cells):
            check_cell(f"cells[{number}]", cell)
        self.cells: Any = list(cells)

    @property
    def state_size(self) -> list[Any]:
        """The state sizes of the cells, a list for a cell with several states."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> Any:
        """The output size of the last cell."""
        return output_size_of(self.cells[-1])

    def get_initial_state(self, batch_size: int) -> list[Any]:
        """Return the initial states of the cells."""
        return [initial_state_of(cell, batch_size, self) for cell in self.cells]

    def build(self, input_shape: Any) -> None:
        """Build the cells, each for the output of the previous one."""
        for cell in self.cells:
            if isinstance(cell, Layer):
                cell.build(input_shape)
            input_shape = (input_shape[0], output_size_of(cell))

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, list[Any]]:
        """Return the output of the last cell and the new states of all."""
        new_states = []
        for cell, state in zip(self.cells, states, strict=True):
            several = isinstance(state, list | tuple)
            inputs, new = call_cell(cell, inputs, list(state) if several else [state], training)
            new_states.append(
                list(new) if several else next(iter(new)) if isinstance(new, list | tuple) else new
            )
        return inputs, new_states

    def parameter_sum(self) -> str:
        """Return the sums of the cells, joined."""
        parts = [cell.parameter_sum().rpartition(" = ")[0] for cell in self.cells if isinstance(cell, Layer)]
        joined = " + ".join(part for part in parts if part)
        return f"{joined} = {self.count_params():,}" if joined else ""

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return {**super().get_config(), "cells": [serialize(cell) for cell in self.cells]}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> "StackedRNNCells":
        """Make the stack from what `get_config` returned."""
        config = dict(config)
        return cls([deserialize(one, custom_objects) for one in config.pop("cells")], **config)


def is_equations(cell: Any) -> bool:
    """Tell whether `scan` can run all of a cell's steps at once: its `call` is that of `CellLayer`."""
    return isinstance(cell, CellLayer) and type(cell).call is CellLayer.call
