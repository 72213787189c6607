"""The basic recurrent layer and the gated recurrent unit of TensorFlow 1."""

from typing import Any

import torch
from torch import Tensor

from nabi import cells
from nabi._public import public
from nabi.tf1._activations import activation_name
from nabi.tf1._equation_cell import EquationCell, positive_integer

__all__ = ["BasicRNNCell", "GRUCell"]


class BasicRNNCell(EquationCell):
    """The basic recurrent neuron layer: `y_t = act(W [x_t, y_{t-1}] + b)`; its state is its output.

    Variables: `kernel` `[inputs + units, units]`, `bias` `[units]`.

    Args:
        num_units: width of the output and the state.
        activation: a name or a function such as `tf.nn.relu`; tanh by default.
        reuse: accepted for compatibility; a cell shares its weights wherever it is used.
        name: first part of the variables' names, `basic_rnn_cell` by default.
        dtype: of the weights; that of the first inputs by default.

    Raises:
        ArgumentError: `num_units` is not a positive integer.

    Example:
        >>> import numpy as np
        >>> cell = BasicRNNCell(num_units=5)
        >>> output, state = cell(np.ones([4, 3]), cell.zero_state(4))
        >>> output.shape, [(v.name, tuple(v.shape)) for v in cell.variables]
        ((4, 5), [('basic_rnn_cell/kernel:0', (8, 5)), ('basic_rnn_cell/bias:0', (5,))])
    """

    @public
    def __init__(
        self,
        num_units: int,
        activation: Any = None,
        reuse: Any = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.equation = cells.SimpleRNN(positive_integer(num_units), activation=activation_name(activation))
        self.state_size = self.output_size = num_units

    def make_weights(self, width: int) -> None:
        """Create `kernel` and `bias`."""
        units = self.output_size
        self.kernel = self.add_weight("kernel", [width + units, units])
        self.bias = self.add_weight("bias", [units], "zeros")

    def families(self, width: int) -> dict[str, Tensor]:
        """Split the kernel into input and state weights."""
        return {"W_x": self.kernel[:width].T, "W_h": self.kernel[width:].T, "b": self.bias}


class GRUCell(EquationCell):
    """Gated recurrent unit (Cho et al. 2014), reset before the product: `h_t = u ∘ h_{t-1} + (1 - u) ∘ c_t`.

    Variables: `gates/kernel` `[inputs + units, 2 units]` (r, then u), `gates/bias`, initially one,
    `candidate/kernel` `[inputs + units, units]`, `candidate/bias`.

    Args:
        num_units: width of the output and the state.
        activation: of the candidate, tanh by default.
        reuse: accepted for compatibility.
        kernel_initializer: of both kernels, Glorot's uniform distribution by default.
        bias_initializer: of both biases; one for the gates and zero for the candidate by default.
        name: first part of the variables' names, `gru_cell` by default.
        dtype: of the weights.

    Raises:
        ArgumentError: `num_units` is not a positive integer.
    """

    @public
    def __init__(
        self,
        num_units: int,
        activation: Any = None,
        reuse: Any = None,
        kernel_initializer: Any = None,
        bias_initializer: Any = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.equation = cells.GRU2014(positive_integer(num_units), activation=activation_name(activation))
        self.state_size = self.output_size = num_units
        self._kernel_initializer, self._bias_initializer = kernel_initializer, bias_initializer

    def make_weights(self, width: int) -> None:
        """Create the kernels and biases of the gates and of the candidate."""
        units, bias = self.output_size, self._bias_initializer
        self.add_weight("gates/kernel", [width + units, 2 * units], self._kernel_initializer)
        self.add_weight("gates/bias", [2 * units], "ones" if bias is None else bias)
        self.add_weight("candidate/kernel", [width + units, units], self._kernel_initializer)
        self.add_weight("candidate/bias", [units], "zeros" if bias is None else bias)

    def families(self, width: int) -> dict[str, Tensor]:
        """Join the gates in the equation's order: its z is TensorFlow's u."""
        gates, gates_bias, candidate, candidate_bias = self.parameters()
        r, u = gates.chunk(2, dim=1)
        r_bias, u_bias = gates_bias.chunk(2)
        kernel = torch.cat([u, r, candidate], dim=1)
        return {
            "W_x": kernel[:width].T,
            "W_h": kernel[width:].T,
            "b": torch.cat([u_bias, r_bias, candidate_bias]),
        }
