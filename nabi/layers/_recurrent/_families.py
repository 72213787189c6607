"""SimpleRNN, LSTM and GRU, each as a layer over time and as a cell for one step."""

from typing import Any

from torch import Tensor

from nabi import _checks, cells
from nabi.ir import Family
from nabi.layers._layer import _activations
from nabi.layers._layer._arguments import positive_integer
from nabi.layers._recurrent._equations import Equations, activation_name
from nabi.layers._recurrent._keras_cells import CellLayer
from nabi.layers._recurrent._rnn import RNN

__all__ = ["GRU", "LSTM", "CuDNNGRU", "CuDNNLSTM", "GRUCell", "LSTMCell", "SimpleRNN", "SimpleRNNCell"]


def _dropouts(
    dropout: float, recurrent_dropout: float, implementation: int
) -> tuple[dict[str, float], float]:
    """Assign the rates to the cell (a mask for each gate) or to the inputs (one mask for all gates).

    As in Keras, each gate has its own mask with `implementation=1` or any recurrent dropout.
    """
    implementation = _checks.whole("implementation", implementation, 0, 2)
    dropout = _checks.rate("dropout", dropout)
    recurrent_dropout = _checks.rate("recurrent_dropout", recurrent_dropout)
    if recurrent_dropout or implementation == 1:
        return {"dropout": dropout, "recurrent_dropout": recurrent_dropout}, 0.0
    return {}, dropout


class _Described(Equations):
    """The arguments that the three families share, and their config."""

    units: int
    activation: Any
    recurrent_activation: Any
    use_bias: bool
    dropout: float
    recurrent_dropout: float
    implementation: int

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        config = {**super().get_config(), **self.equations_config()}
        config.pop("cell", None)
        names = ["units", "use_bias", "dropout", "recurrent_dropout", "implementation"]
        config.update((name, getattr(self, name)) for name in names)
        for name in ("activation", "recurrent_activation"):
            if hasattr(self, name):
                config[name] = _activations.serialize(getattr(self, name))
        return config


class _SimpleRNN(_Described):
    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        *,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        implementation: int = 2,
        **kwargs: Any,
    ) -> None:
        name = activation_name("activation", activation)
        in_cell, on_inputs = _dropouts(dropout, recurrent_dropout, implementation)
        cell = cells.SimpleRNN(
            positive_integer("units", units), activation=name, use_bias=bool(use_bias), **in_cell
        )
        super().__init__(cell, input_dropout=on_inputs, **kwargs)
        self.units, self.use_bias, self.implementation = cell.units, cell.use_bias, int(implementation)
        self.dropout, self.recurrent_dropout = float(dropout), float(recurrent_dropout)
        self.activation = _activations.get(name)


class _LSTM(_Described):
    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        *,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        implementation: int = 2,
        **kwargs: Any,
    ) -> None:
        name = activation_name("activation", activation)
        gate = activation_name("recurrent_activation", recurrent_activation)
        in_cell, on_inputs = _dropouts(dropout, recurrent_dropout, implementation)
        cell = cells.LSTM(
            positive_integer("units", units),
            activation=name,
            recurrent_activation=gate,
            use_bias=bool(use_bias),
            **in_cell,
        )
        super().__init__(cell, input_dropout=on_inputs, **kwargs)
        self.units, self.use_bias, self.implementation = cell.units, cell.use_bias, int(implementation)
        self.dropout, self.recurrent_dropout = float(dropout), float(recurrent_dropout)
        self.activation = _activations.get(name)
        self.recurrent_activation = _activations.get(gate)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return {**super().get_config(), "unit_forget_bias": self.unit_forget_bias}


class _GRU(_Described):
    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        *,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        implementation: int = 2,
        reset_after: bool = True,
        **kwargs: Any,
    ) -> None:
        name = activation_name("activation", activation)
        gate = activation_name("recurrent_activation", recurrent_activation)
        in_cell, on_inputs = _dropouts(dropout, recurrent_dropout, implementation)
        kind = cells.GRU if reset_after else cells.GRU2014
        cell = kind(
            positive_integer("units", units),
            activation=name,
            recurrent_activation=gate,
            use_bias=bool(use_bias),
            **in_cell,
        )
        super().__init__(cell, input_dropout=on_inputs, **kwargs)
        self.units, self.use_bias, self.implementation = cell.units, cell.use_bias, int(implementation)
        self.dropout, self.recurrent_dropout = float(dropout), float(recurrent_dropout)
        self.activation = _activations.get(name)
        self.recurrent_activation = _activations.get(gate)
        self.reset_after = bool(reset_after)

    def add_family(self, family: Family) -> None:
        """Create the weight of one family; as in Keras, both biases of `reset_after` are one weight."""
        if family.name == "b_x":
            return  # created together with b_h, which comes after the kernels
        if family.name == "b_h":
            self.add_weight(
                (2, *family.shape), self.bias_initializer, "bias", regularizer=self.bias_regularizer
            )
            return
        super().add_family(family)

    def stored_weight(self, family: Family) -> Tensor:
        """Return the weight of one family in Keras' layout; one weight holds both biases."""
        if family.name in ("b_x", "b_h"):
            return self._weight("bias")[int(family.name == "b_h")]
        return super().stored_weight(family)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return {**super().get_config(), "reset_after": self.reset_after}


class SimpleRNN(_SimpleRNN, RNN):
    """Simple (Elman) recurrent network, `h_t = activation(W x_t + U h_{t-1} + b)`.

    Arguments as in Keras: `units`, `activation="tanh"`, `use_bias=True`, those of `RNN`; `dropout` of the
    inputs and `recurrent_dropout` of the state, drawn once per sequence; initializers
    (`kernel_initializer="glorot_uniform"`, `recurrent_initializer="orthogonal"`, `bias_initializer="zeros"`),
    regularizers (`kernel_regularizer`, `recurrent_regularizer`, `bias_regularizer`), `seed` for the
    dropout, and the input shape of a first layer. Weights: `kernel` (D, units), `recurrent_kernel`
    (units, units), `bias` (units,). Source: Elman 1990.

    >>> import torch
    >>> rnn = SimpleRNN(10, input_shape=[4, 1])
    >>> rnn(torch.zeros(6, 4, 1)).shape, rnn.parameter_sum()
    (torch.Size([6, 10]), '(10 + 1 + 1) × 10 = 120')
    """


class LSTM(_LSTM, RNN):
    """Long short-term memory; the states are `[h, c]`.

    Arguments as in Keras: `units`, `activation="tanh"`, `recurrent_activation="sigmoid"`, `use_bias=True`,
    `unit_forget_bias=True` (the forget gate's bias starts at 1), and those of `SimpleRNN`. With
    `recurrent_dropout`, each gate has its own masks. Weights: `kernel` (D, 4 · units),
    `recurrent_kernel` (units, 4 · units), `bias` (4 · units,), gates in the order i, f, c, o.
    `use_cudnn` is accepted and ignored.
    Source: Hochreiter and Schmidhuber 1997, Gers et al. 2000.

    >>> import torch
    >>> output, h, c = LSTM(8, return_sequences=True, return_state=True)(torch.zeros(2, 5, 3))
    >>> output.shape, h.shape, c.shape
    (torch.Size([2, 5, 8]), torch.Size([2, 8]), torch.Size([2, 8]))
    """

    use_cudnn: Any = "auto"


class GRU(_GRU, RNN):
    """Gated recurrent unit.

    Arguments as for `LSTM`, and `reset_after=True`: whether the reset gate is applied after the recurrent
    product (as in torch and cuDNN) or before it (Cho et al. 2014). Weights: `kernel` (D, 3 · units),
    `recurrent_kernel` (units, 3 · units), `bias` (2, 3 · units), or (3 · units,) without `reset_after`,
    gates in the order z, r, h. `use_cudnn` is accepted and ignored.

    >>> import torch
    >>> gru = GRU(8)
    >>> gru(torch.zeros(2, 5, 3)).shape, gru.count_params()
    (torch.Size([2, 8]), 312)
    """

    use_cudnn: Any = "auto"


class SimpleRNNCell(_SimpleRNN, CellLayer):
    """One step of `SimpleRNN`: `cell(inputs [B, D], [h]) -> (h, [h])`.

    >>> import torch
    >>> output, states = SimpleRNNCell(4)(torch.zeros(2, 3), [torch.zeros(2, 4)])
    >>> output.shape, len(states)
    (torch.Size([2, 4]), 1)
    """


class LSTMCell(_LSTM, CellLayer):
    """One step of `LSTM`: `cell(inputs [B, D], [h, c]) -> (h, [h, c])`.

    >>> import torch
    >>> cell = LSTMCell(4)
    >>> output, states = cell(torch.zeros(2, 3), cell.get_initial_state(batch_size=2))
    >>> output.shape, len(states)
    (torch.Size([2, 4]), 2)
    """


class GRUCell(_GRU, CellLayer):
    """One step of `GRU`: `cell(inputs [B, D], [h]) -> (h, [h])`.

    >>> import torch
    >>> output, states = GRUCell(4, reset_after=False)(torch.zeros(2, 3), [torch.zeros(2, 4)])
    >>> output.shape, len(states)
    (torch.Size([2, 4]), 1)
    """


# Keras' other names.
CuDNNGRU = GRU
CuDNNLSTM = LSTM
