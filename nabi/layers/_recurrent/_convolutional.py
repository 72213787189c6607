"""LSTM layers whose products are convolutions: over rows, over pictures, over volumes."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self, cast

import torch
from torch import Tensor

from nabi._shown import short
from nabi.errors import ArgumentError, ShapeError
from nabi.layers._layer._arguments import Shape
from nabi.layers._layer._base import Layer
from nabi.layers._layer._shapes import check_rank, first_shape
from nabi.layers._recurrent._convolutional_cell import ConvLSTMCell
from nabi.layers._recurrent._rnn import RNN

__all__ = ["ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"]


class _ConvLSTM(RNN):
    """What the three layers share: everything but the number of axes that the windows slide over."""

    _over: ClassVar[int]

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        *,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: None = None,
        recurrent_constraint: None = None,
        bias_constraint: None = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        dtype: str | torch.dtype | None = None,
        **kwargs: Any,
    ) -> None:
        weights: dict[str, Any] = {
            "kernel_initializer": kernel_initializer,
            "recurrent_initializer": recurrent_initializer,
            "bias_initializer": bias_initializer,
            "unit_forget_bias": unit_forget_bias,
            "kernel_regularizer": kernel_regularizer,
            "recurrent_regularizer": recurrent_regularizer,
            "bias_regularizer": bias_regularizer,
            "kernel_constraint": kernel_constraint,
            "recurrent_constraint": recurrent_constraint,
            "bias_constraint": bias_constraint,
            "seed": seed,
            "dtype": dtype,
        }
        cell = ConvLSTMCell(
            self._over,
            filters,
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation,
            recurrent_activation,
            use_bias,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            name="conv_lstm_cell",
            **weights,
        )
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            **weights,
            **kwargs,
        )
        self.filters, self.kernel_size, self.strides = cell.filters, cell.kernel_size, cell.strides
        self.padding, self.data_format = cell.padding, cell.data_format
        self.dilation_rate, self.use_bias = cell.dilation_rate, cell.use_bias
        self.activation, self.recurrent_activation = cell.activation, cell.recurrent_activation
        self.dropout, self.recurrent_dropout = cell.dropout, cell.recurrent_dropout

    @property
    def draws_in_training(self) -> bool:
        """Whether it draws random numbers in training."""
        return self.dropout > 0 or self.recurrent_dropout > 0

    @property
    def state_size(self) -> list[Any]:
        """The sizes of `h` and `c` without the batch, known once the layer is built."""
        size = self.cell.state_size
        return [size, size] if isinstance(size, int) else list(size)

    def _check_sequence(self, shape: Any) -> None:
        axes = self.cell.axes.replace("(batch, ", "(time, batch, " if self.time_major else "(batch, time, ")
        check_rank(self, shape, self._over + 3, axes)

    def build(self, input_shape: Shape) -> None:
        """Create the weights of the cell and, for a stateful layer, the states."""
        self._check_sequence(first_shape(input_shape))
        super().build(input_shape)

    def call(
        self,
        inputs: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool = False,
        *,
        return_values: Sequence[str] | None = None,
        **further: Any,
    ) -> Any:
        """Return the output for `[B, T, ...]`, with the final states if `return_state`."""
        first = inputs[0] if isinstance(inputs, list | tuple) else inputs
        self._check_sequence(first.shape)
        return super().call(
            inputs, initial_state, mask=mask, training=training, return_values=return_values, **further
        )

    def _run_steps(
        self, x: Tensor, states: tuple[Tensor, ...] | None, mask: Tensor | None, training: bool
    ) -> tuple[Any, Any, tuple[Tensor, ...]]:
        """Run the input convolution for all steps at once, then the recurrent one step by step."""
        if not x.shape[1]:
            return super()._run_steps(x, states, mask, training)
        cell: ConvLSTMCell = self.cell
        # Without states, pictures may have another size than those it was built for.
        shape = cell.compute_output_shape((x.shape[0], *x.shape[2:]))
        start = (x.new_zeros(cast("tuple[int, ...]", shape)),) * 2 if states is None else states
        if start[0].shape != shape:
            raise ShapeError(
                f"inputs: {self.name} has states of shape {tuple(start[0].shape)}, but inputs of shape "
                f"{tuple(x.shape)} need {shape}"
            )
        h, c = (cell.channels_first(one.to(x)) for one in start)
        if mask is not None:
            # Padding may be NaN, which a product with zero would keep, so it is replaced first.
            x = torch.where(mask.reshape(*mask.shape, *[1] * (x.dim() - 2)), x, 0.0)
        cell.reset_dropout_mask()
        cell.reset_recurrent_dropout_mask()
        terms = cell.input_terms(cell.channels_first(x, 2), training).unbind(1)
        outputs: list[Tensor] = []
        last = torch.zeros_like(h)
        for t in range(len(terms) - 1, -1, -1) if self.go_backwards else range(len(terms)):
            new_h, new_c = cell.advance(terms[t], h, c, training)
            if mask is None:
                h, c, output = new_h, new_c, new_h
            else:
                counts = mask[:, t].reshape(-1, *[1] * (h.dim() - 1))
                h, c = torch.where(counts, new_h, h), torch.where(counts, new_c, c)
                last = torch.where(counts, new_h, last)
                output = torch.where(counts, new_h, 0.0)
            if self.return_sequences:
                outputs.append(output)
        cell.reset_dropout_mask()
        cell.reset_recurrent_dropout_mask()
        stacked = None
        if self.return_sequences:
            stacked = cell.channels_back(torch.stack(outputs[::-1] if self.go_backwards else outputs, 1), 2)
        final = (cell.channels_back(h), cell.channels_back(c))
        return stacked, final[0] if mask is None else cell.channels_back(last), final

    def compute_output_shape(self, input_shape: Shape) -> Any:
        """Return the shape of the output, followed by those of `h` and `c` if `return_state`."""
        input_shape = first_shape(input_shape)
        self._check_sequence(input_shape)
        batch, steps = (input_shape[1], input_shape[0]) if self.time_major else input_shape[:2]
        state = self.cell.compute_output_shape((batch, *input_shape[2:]))
        shape = state
        if self.return_sequences:
            shape = (steps, *state) if self.time_major else (batch, steps, *state[1:])
        return (shape, state, state) if self.return_state else shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        return {**Layer.get_config(self), **self.loop_config(), **self.cell.own_config()}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Make the layer from what `get_config` returned."""
        if not isinstance(config, Mapping):
            raise ArgumentError(f"config: expected a dictionary, got {short(config)}")
        return cls(**config)


class ConvLSTM1D(_ConvLSTM):
    """LSTM over sequences of rows with channels: `[B, T, rows, channels]` to `[B, rows', filters]`.

    Arguments, weights and behaviour as of `ConvLSTM2D`, with one axis for the windows.

    >>> import torch
    >>> layer = ConvLSTM1D(4, 3, padding="same", return_sequences=True)
    >>> layer(torch.zeros(2, 5, 10, 3)).shape
    torch.Size([2, 5, 10, 4])
    """

    _over = 1


class ConvLSTM2D(_ConvLSTM):
    """LSTM over sequences of pictures: `[B, T, rows, columns, channels]` to `[B, rows', columns', filters]`.

    The products of an `LSTM` with its input and with its state are convolutions, so each position has a
    state of its own and reads its neighbourhood. It runs on torch's convolutions, not as native code: the
    language of `nabi.cells` has products of vectors only. The input convolution is computed for all steps
    at once; the recurrent one step by step.

    Arguments as in Keras: `filters`; `kernel_size`, `strides=1` and `dilation_rate=1`, a number or one for
    each axis; `padding="valid"` or `"same"`, of the input convolution (the recurrent one always keeps the
    size); `data_format="channels_last"` or `"channels_first"`; `activation="tanh"`,
    `recurrent_activation="sigmoid"`, `use_bias=True`, `unit_forget_bias=True`, initializers and regularizers
    as in `LSTM`; `dropout` of the inputs and `recurrent_dropout` of the state, a mask for each gate, drawn
    once a sequence; `seed`; and those of `RNN`. The call arguments are those of `RNN`; an initial state
    is `[h, c]`, each in the shape of an output.

    Weights: `kernel` `(*kernel_size, channels, 4 · filters)`, `recurrent_kernel`
    `(*kernel_size, filters, 4 · filters)`, `bias` `(4 · filters,)`, gates in the order i, f, c, o.
    Source: Shi et al. 2015, https://arxiv.org/abs/1506.04214, without peepholes.

    Raises:
        ArgumentError: for strides together with a dilation, or constraints.
        ShapeError: for inputs of another rank or number of channels, of open sizes, or smaller than the
            window; for a mask or state of a wrong shape.

    >>> import torch
    >>> layer = ConvLSTM2D(8, 3, padding="same")
    >>> layer(torch.zeros(2, 5, 16, 16, 1)).shape, layer.parameter_sum()
    (torch.Size([2, 16, 16, 8]), '(3 × 3 × (1 + 8) + 1) × 32 = 2,624')
    """

    _over = 2


class ConvLSTM3D(_ConvLSTM):
    """LSTM over sequences of volumes: `[B, T, planes, rows, columns, channels]`.

    Arguments, weights and behaviour as of `ConvLSTM2D`, with three axes for the windows.

    >>> import torch
    >>> ConvLSTM3D(2, 3)(torch.zeros(1, 4, 5, 6, 7, 1)).shape
    torch.Size([1, 3, 4, 5, 2])
    """

    _over = 3
