"""Cells that wrap other cells: stacks and dropout."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nabi._public import public
from nabi.errors import ArgumentError
from nabi.tf1._cell import RNNCell
from nabi.tf1._structure import LSTMStateTuple, flatten, pack_like

__all__ = ["DropoutWrapper", "MultiRNNCell"]


class MultiRNNCell(RNNCell):
    """Stacked cells: the output of each is the input of the next, the state is the tuple of their states.

    Args:
        cells: one cell for each layer, all different.
        state_is_tuple: must be True; the concatenated state of early TensorFlow is not supported.

    Raises:
        ArgumentError: no cells, something that is not a cell, or the same cell twice.

    Example:
        >>> from nabi.tf1 import BasicRNNCell
        >>> cell = MultiRNNCell([BasicRNNCell(5), BasicRNNCell(4)])
        >>> cell.state_size, cell.output_size
        ((5, 4), 4)
    """

    @public
    def __init__(self, cells: Sequence[RNNCell], state_is_tuple: bool = True) -> None:
        super().__init__()
        members = list(cells)
        if not members:
            raise ArgumentError("cells: expected at least one cell, got none")
        for member in members:
            if not isinstance(member, RNNCell):
                raise ArgumentError(f"cells: expected cells of nabi.tf1, got {type(member).__name__}")
        if len({id(member) for member in members}) != len(members):
            raise ArgumentError(
                "cells: expected different cells, got the same one twice, so two layers would share weights; "
                "create one cell for each layer: [BasicRNNCell(5) for _ in range(3)]"
            )
        if not state_is_tuple:
            raise ArgumentError(
                "state_is_tuple: expected True, got False; the state is a tuple of the layers'"
            )
        self.cells = torch.nn.ModuleList(members)
        for index, member in enumerate(members):
            # As in TensorFlow, a wrapper adds nothing to the variable names.
            while isinstance(member, DropoutWrapper):
                member = member.cell
            member.name = f"{self.name}/cell_{index}/{member.name}"

    @property
    def layers(self) -> list[RNNCell]:
        """The cells, from the input up."""
        return [member for member in self.cells if isinstance(member, RNNCell)]

    @property
    def state_size(self) -> Any:
        """The tuple of the layers' state sizes."""
        return tuple(layer.state_size for layer in self.layers)

    @property
    def output_size(self) -> Any:
        """The width of the last layer's output."""
        return self.layers[-1].output_size

    def build(self, inputs_shape: Any) -> None:
        """Create the weights of all layers for inputs of the shape `(None, width)`."""
        width = inputs_shape[-1]
        for layer in self.layers:
            if not layer.built:
                layer.build((None, width))
            width = layer.output_size

    def call(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Compute one step of all layers for tensors."""
        states = []
        for layer, layer_state in zip(self.layers, state, strict=True):
            layer.ensure_built(inputs)
            inputs, new_state = layer.call(inputs, layer_state)
            states.append(new_state)
        return inputs, tuple(states)

    def over_time(
        self, inputs: Tensor, state: Any, lengths: Tensor | None, reverse: bool = False
    ) -> tuple[Tensor, Any]:
        """Run layer after layer, each over the whole of time."""
        states = []
        for layer, layer_state in zip(self.layers, state, strict=True):
            layer.ensure_built(inputs)
            inputs, final = layer.over_time(inputs, layer_state, lengths, reverse)
            states.append(final)
        return inputs, tuple(states)


class DropoutWrapper(RNNCell):
    """A cell with dropout on its input, output and state.

    As in TensorFlow 1, an element is kept with the given probability and then divided by it, with a new mask
    at every step, and the cell state `c` of an LSTM is not dropped. TensorFlow code sets the probabilities to
    1 outside training; here `cell.eval()` and `cell.train()` switch dropout off and on, as in every torch
    module.

    Args:
        cell: the wrapped cell.
        input_keep_prob, output_keep_prob, state_keep_prob: probability of keeping an element; 1 for no
            dropout.
        seed: makes the draws repeatable; torch's global generator by default.

    Raises:
        ArgumentError: a probability is not in (0, 1].
    """

    @public
    def __init__(
        self,
        cell: RNNCell,
        input_keep_prob: float = 1.0,
        output_keep_prob: float = 1.0,
        state_keep_prob: float = 1.0,
        *,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(cell, RNNCell):
            raise ArgumentError(f"cell: expected a cell of nabi.tf1, got {type(cell).__name__}")
        for name, value in (
            ("input_keep_prob", input_keep_prob),
            ("output_keep_prob", output_keep_prob),
            ("state_keep_prob", state_keep_prob),
        ):
            if not 0 < value <= 1:
                raise ArgumentError(f"{name}: expected a probability in (0, 1], got {value!r}")
        self.cell: RNNCell = cell
        self.seed = seed
        self.input_keep_prob, self.output_keep_prob = input_keep_prob, output_keep_prob
        self.state_keep_prob = state_keep_prob
        self._generators: dict[torch.device, torch.Generator] = {}

    @property
    def state_size(self) -> Any:
        """The state size of the wrapped cell."""
        return self.cell.state_size

    @property
    def output_size(self) -> Any:
        """The output width of the wrapped cell."""
        return self.cell.output_size

    def build(self, inputs_shape: Any) -> None:
        """Create the weights of the wrapped cell."""
        if not self.cell.built:
            self.cell.build(inputs_shape)

    def call(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Compute one step for tensors."""
        inputs = self._drop(inputs, self.input_keep_prob)
        self.cell.ensure_built(inputs)
        output, new_state = self.cell.call(inputs, state)
        return self._drop(output, self.output_keep_prob), self._drop_state(new_state)

    def over_time(
        self, inputs: Tensor, state: Any, lengths: Tensor | None, reverse: bool = False
    ) -> tuple[Tensor, Any]:
        """Run in one operation, unless the state has dropout at every step."""
        if self.training and self.state_keep_prob < 1:
            self.cell.ensure_built(inputs)
            return super().over_time(inputs, state, lengths, reverse)
        inputs = self._drop(inputs, self.input_keep_prob)
        self.cell.ensure_built(inputs)
        output, final = self.cell.over_time(inputs, state, lengths, reverse)
        return self._drop(output, self.output_keep_prob), final

    def _drop(self, value: Tensor, keep: float) -> Tensor:
        if not self.training or keep == 1:
            return value
        kept = torch.rand(value.shape, generator=self._generator(value.device), device=value.device) < keep
        # A selection instead of a product: dropped elements may be NaN padding.
        return torch.where(kept, value / keep, value.new_zeros(()))

    def _drop_state(self, state: Any) -> Any:
        if isinstance(state, LSTMStateTuple):
            return LSTMStateTuple(state.c, self._drop(state.h, self.state_keep_prob))
        if isinstance(state, tuple):
            return tuple(self._drop_state(member) for member in state)
        return pack_like(state, [self._drop(leaf, self.state_keep_prob) for leaf in flatten(state)])

    def _generator(self, device: torch.device) -> torch.Generator | None:
        if self.seed is None:
            return None
        if device not in self._generators:
            self._generators[device] = torch.Generator(device).manual_seed(self.seed)
        return self._generators[device]
