"""The LSTM cells of TensorFlow 1."""

import dataclasses
from typing import Any, ClassVar

import torch
from torch import Tensor

from nabi import _checks
from nabi._public import public
from nabi.ir import Cell, Node
from nabi.ir.functions import activation as find_activation, maximum, minimum, sigmoid
from nabi.tf1._activations import activation_name
from nabi.tf1._equation_cell import EquationCell, positive_integer
from nabi.tf1._structure import LSTMStateTuple

__all__ = ["BasicLSTMCell", "LSTMCell"]


class TensorFlowLSTM(Cell):
    """The LSTM of TensorFlow 1 with its options (Sak, Senior and Beaufays 2014), gates ordered i, j, f, o.

    `forget_bias` is added to the forget gate at every step and is separate from the learned bias, which
    starts at zero. The peepholes are diagonal: i and f see the old cell state, o the new one.
    """

    activation: str = "tanh"
    forget_bias: float = dataclasses.field(default=1.0, kw_only=True)
    use_peepholes: bool = dataclasses.field(default=False, kw_only=True)
    cell_clip: float | None = dataclasses.field(default=None, kw_only=True)
    projection: int | None = dataclasses.field(default=None, kw_only=True)
    projection_clip: float | None = dataclasses.field(default=None, kw_only=True)

    states: ClassVar[tuple[str, ...]] = ("h", "c")

    def state_width(self, name: str) -> int:
        """Return the width of a state: the projection for h if there is one, otherwise `units`."""
        return self.projection or self.units if name == "h" else self.units

    def step(self, x: Node, h: Node, c: Node) -> Any:
        """`c_t = f ∘ c_{t-1} + i ∘ j`, `h_t = P (o ∘ act(c_t))`."""
        act = find_activation(self.activation)
        i, j = self.affine("i", x, h), self.affine("j", x, h)
        f, o = self.affine("f", x, h) + self.forget_bias, self.affine("o", x, h)
        if self.use_peepholes:
            i, f = i + self.diagonal("i", "c", c), f + self.diagonal("f", "c", c)
        c_t = _clip(sigmoid(f) * c + sigmoid(i) * act(j), self.cell_clip)
        if self.use_peepholes:
            o = o + self.diagonal("o", "c", c_t)
        h_t = sigmoid(o) * act(c_t)
        if self.projection is not None:
            h_t = self.linear("projection", "m", h_t, units=self.projection)
            h_t = _clip(h_t, self.projection_clip)
        return h_t, c_t


class LSTMCell(EquationCell):
    """Long short-term memory with peepholes, projection and clipping (Sak, Senior and Beaufays 2014).

    Variables: `kernel` `[inputs + outputs, 4 units]`, with columns for the gates i, j, f, o; `bias` `[4
    units]`; with peepholes `w_f_diag`, `w_i_diag`, `w_o_diag` `[units]`; with a projection
    `projection/kernel` `[units, num_proj]`.

    Args:
        num_units: width of the cell state.
        use_peepholes: whether the gates see the cell state, through diagonal weights.
        cell_clip: the cell state is clipped to ±this; None for no limit.
        initializer: of all weights except the bias; Glorot uniform by default.
        num_proj: width of the output projection; None for no projection.
        proj_clip: the projected output is clipped to ±this.
        num_unit_shards, num_proj_shards, reuse: accepted for compatibility, without effect.
        forget_bias: added to the forget gate at every step, so that it starts open; 1 by default. Weights
            trained with 0 need 0 here.
        state_is_tuple: `LSTMStateTuple(c, h)`; False for one tensor of c and h concatenated.
        activation: of the candidate and of the cell output; tanh by default.
        name: first part of the variables' names, `lstm_cell` by default.
        dtype: of the weights.

    Raises:
        ArgumentError: a size is not a positive integer, or a limit is not positive.

    Example:
        >>> import numpy as np
        >>> cell = LSTMCell(6, use_peepholes=True, num_proj=4)
        >>> output, state = cell(np.ones([2, 3]), cell.zero_state(2))
        >>> output.shape, state.c.shape, state.h.shape
        ((2, 4), (2, 6), (2, 4))
    """

    equation: TensorFlowLSTM

    @public
    def __init__(
        self,
        num_units: int,
        use_peepholes: bool = False,
        cell_clip: float | None = None,
        initializer: Any = None,
        num_proj: int | None = None,
        proj_clip: float | None = None,
        num_unit_shards: Any = None,
        num_proj_shards: Any = None,
        forget_bias: float = 1.0,
        state_is_tuple: bool = True,
        activation: Any = None,
        reuse: Any = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.equation = TensorFlowLSTM(
            positive_integer(num_units),
            activation=activation_name(activation),
            forget_bias=float(forget_bias),
            use_peepholes=bool(use_peepholes),
            cell_clip=_limit(cell_clip, "cell_clip"),
            projection=None if num_proj is None else positive_integer(num_proj, "num_proj"),
            projection_clip=_limit(proj_clip, "proj_clip"),
        )
        self._initializer, self._state_is_tuple = initializer, state_is_tuple
        self.output_size = self.equation.output_width
        sizes = LSTMStateTuple(num_units, self.output_size)
        self.state_size = sizes if state_is_tuple else sum(sizes)

    def make_weights(self, width: int) -> None:
        """Create the kernel, the bias, the peepholes and the projection."""
        units = self.equation.units
        self.kernel = self.add_weight("kernel", [width + self.output_size, 4 * units], self._initializer)
        self.bias = self.add_weight("bias", [4 * units], "zeros")
        if self.equation.use_peepholes:
            for gate in "fio":
                self.add_weight(f"w_{gate}_diag", [units], self._initializer)
        if self.equation.projection is not None:
            self.add_weight("projection/kernel", [units, self.output_size], self._initializer)

    def families(self, width: int) -> dict[str, Tensor]:
        """Split the kernel; join the peepholes in the equation's order i, f, o."""
        named = dict(self.named_parameters())
        tensors = {"W_x": self.kernel[:width].T, "W_h": self.kernel[width:].T, "b": self.bias}
        if self.equation.use_peepholes:
            tensors["w_c"] = torch.cat([named[f"w_{gate}_diag"] for gate in "ifo"])
        if self.equation.projection is not None:
            tensors["W_m"] = named["projection/kernel"].T
        return tensors

    def to_states(self, state: Any) -> tuple[Tensor, ...]:
        """Turn (c, h), or their concatenation, into (h, c)."""
        if not self._state_is_tuple:
            units = self.equation.units
            return state[:, units:], state[:, :units]
        return state.h, state.c

    def from_states(self, states: tuple[Tensor, ...]) -> Any:
        """Turn (h, c) into (c, h), or their concatenation."""
        h, c = states
        return LSTMStateTuple(c, h) if self._state_is_tuple else torch.cat([c, h], dim=1)


class BasicLSTMCell(LSTMCell):
    """Long short-term memory without options; see `LSTMCell` for variables and states.

    Args:
        num_units: width of the output and of both states.
        forget_bias: added to the forget gate at every step; 1 by default.
        state_is_tuple: `LSTMStateTuple(c, h)`; False for one tensor of c and h concatenated.
        activation: of the candidate and of the cell output; tanh by default.
        reuse: accepted for compatibility.
        name: first part of the variables' names, `basic_lstm_cell` by default.
        dtype: of the weights.

    Raises:
        ArgumentError: `num_units` is not a positive integer.
    """

    @public
    def __init__(
        self,
        num_units: int,
        forget_bias: float = 1.0,
        state_is_tuple: bool = True,
        activation: Any = None,
        reuse: Any = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            num_units,
            forget_bias=forget_bias,
            state_is_tuple=state_is_tuple,
            activation=activation,
            name=name,
            dtype=dtype,
        )


def _clip(value: Node, limit: float | None) -> Node:
    return value if limit is None else minimum(maximum(value, -limit), limit)


def _limit(value: Any, argument: str) -> float | None:
    return None if value is None else _checks.real(argument, value, above=0, otherwise=" or None")
