"""One step of an LSTM whose products are convolutions."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

from nabi import _checks
from nabi.errors import ArgumentError, NotReadyError, ShapeError
from nabi.layers._layer import _activations, _regularizers
from nabi.layers._layer._arguments import (
    Shape,
    check_no_constraint,
    check_one_of,
    positive_integer,
    positive_integers,
)
from nabi.layers._layer._base import Layer
from nabi.layers._layer._seeds import SeedGenerator
from nabi.layers._layer._shapes import check_rank
from nabi.layers._windows._windows import Windows
from nabi.nn import initializers

__all__ = ["DATA_FORMATS", "ConvLSTMCell", "gate_bias"]

DATA_FORMATS = ("channels_last", "channels_first")
_AXES = {1: ("rows",), 2: ("rows", "columns"), 3: ("planes", "rows", "columns")}
_GATES = 4  # i, f, c, o, as in Keras


def gate_bias(initializer: Any, filters: int) -> Any:
    """Return an initializer of the bias whose part for the forget gate is 1 (Jozefowicz et al. 2015)."""

    def values(shape: Sequence[int], dtype: torch.dtype | None = None) -> Tensor:
        before, after = initializer((filters,), dtype=dtype), initializer((2 * filters,), dtype=dtype)
        parts = [torch.as_tensor(before), torch.ones(filters, dtype=dtype), torch.as_tensor(after)]
        return torch.cat(parts)

    return values


class ConvLSTMCell(Layer):
    """One step of `ConvLSTM1D`, `ConvLSTM2D` or `ConvLSTM3D`: `cell(inputs, [h, c]) -> (h, [h, c])`.

    `rank` is the number of axes that the windows slide over: 1, 2 or 3; the other arguments are those of
    `ConvLSTM2D`. Dropout masks are drawn at the first step and kept until `reset_dropout_mask()` and
    `reset_recurrent_dropout_mask()`, which `layers.RNN` calls around each sequence.

    Raises:
        ArgumentError: for strides together with a dilation, or a rank other than 1, 2 or 3.
        ShapeError: for inputs of another rank, of open sizes, or smaller than the window.

    >>> import torch
    >>> cell = ConvLSTMCell(2, filters=4, kernel_size=3)
    >>> cell.build((2, 8, 8, 3))
    >>> h, states = cell(torch.zeros(2, 8, 8, 3), cell.get_initial_state(batch_size=2))
    >>> h.shape, len(states)
    (torch.Size([2, 6, 6, 4]), 2)
    """

    _casts_integers = True

    def __init__(
        self,
        rank: int,
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
        **kwargs: Any,
    ) -> None:
        check_no_constraint(
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
        )
        super().__init__(**kwargs)
        self.rank = _checks.whole("rank", rank, 1, 3)
        self.filters = positive_integer("filters", filters)
        self.kernel_size = positive_integers("kernel_size", kernel_size, self.rank)
        self.strides = positive_integers("strides", strides, self.rank)
        self.dilation_rate = positive_integers("dilation_rate", dilation_rate, self.rank)
        self.padding = str(padding).lower()
        check_one_of("padding", self.padding, ("valid", "same"))
        self.data_format = "channels_last" if data_format is None else data_format
        check_one_of("data_format", self.data_format, DATA_FORMATS)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ArgumentError(
                # Keras' words, which its own tests look for.
                "strides: Specifying `strides > 1` is not compatible with `dilation_rate > 1`; "
                f"got strides={self.strides} and dilation_rate={self.dilation_rate}"
            )
        self.activation = _activations.get(activation)
        self.recurrent_activation = _activations.get(recurrent_activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer, "kernel_initializer")
        self.recurrent_initializer = initializers.get(recurrent_initializer, "recurrent_initializer")
        self.bias_initializer = initializers.get(bias_initializer, "bias_initializer")
        self.unit_forget_bias = bool(unit_forget_bias)
        self.kernel_regularizer = _regularizers.get(kernel_regularizer, "kernel_regularizer")
        self.recurrent_regularizer = _regularizers.get(recurrent_regularizer, "recurrent_regularizer")
        self.bias_regularizer = _regularizers.get(bias_regularizer, "bias_regularizer")
        self.dropout = _checks.rate("dropout", dropout)
        self.recurrent_dropout = _checks.rate("recurrent_dropout", recurrent_dropout)
        self.seed_generator = SeedGenerator(seed)
        self.seed = self.seed_generator.seed
        self.bias: torch.nn.Parameter | None = None
        self._inputs: tuple[int, ...] | None = None
        self._dropout_mask: Tensor | None = None
        self._recurrent_dropout_mask: Tensor | None = None

    # Shapes -----------------------------------------------------------------------------------------------

    @property
    def axes(self) -> str:
        """The names of the axes of the inputs."""
        inner = (
            (*_AXES[self.rank], "channels")
            if self.data_format == "channels_last"
            else ("channels", *_AXES[self.rank])
        )
        return f"(batch, {', '.join(inner)})"

    @property
    def _windows(self) -> list[Windows]:
        sizes = zip(self.kernel_size, self.strides, self.dilation_rate, strict=True)
        return [Windows((size - 1) * every + 1, stride, self.padding) for size, stride, every in sizes]

    def split_shape(self, shape: Sequence[int | None]) -> tuple[int | None, tuple[int | None, ...]]:
        """Return the channels and the sizes of the axes between, for a shape with the batch."""
        check_rank(self, shape, self.rank + 2, self.axes)
        if self.data_format == "channels_last":
            return shape[-1], tuple(shape[1:-1])
        return shape[1], tuple(shape[2:])

    def _join_shape(self, batch: int | None, channels: int, sizes: Sequence[int | None]) -> Shape:
        if self.data_format == "channels_last":
            return (batch, *sizes, channels)
        return (batch, channels, *sizes)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the output and of each state."""
        channels, sizes = self.split_shape(input_shape)
        if self._inputs is not None and channels is not None and channels != self._inputs[0]:
            raise ShapeError(
                f"inputs: {self.name} ({type(self).__name__}) was built for {self._inputs[0]} channels, "
                f"got {channels}, shape {tuple(input_shape)}"
            )
        counts: list[int | None] = []
        for size, windows in zip(sizes, self._windows, strict=True):
            if size is not None and size < windows.least:
                least = " × ".join(str(one.least) for one in self._windows)
                raise ShapeError(
                    f"inputs: {self.name} ({type(self).__name__}) expected at least {least} positions for "
                    f"its window, got {' × '.join(map(str, sizes))}, shape {tuple(input_shape)}"
                )
            counts.append(None if size is None else int(windows.count(size)))
        return self._join_shape(input_shape[0], self.filters, counts)

    @property
    def state_size(self) -> Any:
        """The sizes of the states `h` and `c`, without the batch; -1 until the cell is built, as in Keras."""
        if self._inputs is None:
            return -1
        shape = self.compute_output_shape(self._join_shape(None, self._inputs[0], self._inputs[1:]))
        return [torch.Size(cast(tuple[int, ...], shape[1:]))] * 2

    def get_initial_state(self, batch_size: int) -> list[Tensor]:
        """Return zeros for both states; `NotReadyError` until the cell is built."""
        if self._inputs is None:
            raise NotReadyError(f"get_initial_state: {self.name} is not built yet: call build(input_shape)")
        shape = (batch_size, *self.state_size[0])
        return [torch.zeros(shape, dtype=self.dtype, device=self.kernel.device) for _ in range(2)]

    # Weights ----------------------------------------------------------------------------------------------

    def build(self, input_shape: Shape) -> None:
        """Create `kernel`, `recurrent_kernel` and `bias`, gates in the order i, f, c, o."""
        channels, sizes = self.split_shape(input_shape)
        if channels is None or None in sizes:
            raise ShapeError(
                f"input_shape: {self.name} ({type(self).__name__}) needs the sizes of {self.axes} except the "
                f"batch, got {tuple(input_shape)}"
            )
        self.compute_output_shape(input_shape)  # before there are weights, so that nothing is left half built
        outputs = _GATES * self.filters
        self.kernel = self.add_weight(
            (*self.kernel_size, channels, outputs),
            self.kernel_initializer,
            "kernel",
            regularizer=self.kernel_regularizer,
        )
        self.recurrent_kernel = self.add_weight(
            (*self.kernel_size, self.filters, outputs),
            self.recurrent_initializer,
            "recurrent_kernel",
            regularizer=self.recurrent_regularizer,
        )
        if self.use_bias:
            start = self.bias_initializer
            self.bias = self.add_weight(
                (outputs,),
                gate_bias(start, self.filters) if self.unit_forget_bias else start,
                "bias",
                regularizer=self.bias_regularizer,
            )
        self._inputs = (channels, *cast(tuple[int, ...], sizes))

    def parameter_sum(self) -> str:
        """Return `(kernel_size × (inputs + filters) + 1) × 4 · filters = count`."""
        if not self.built:
            return ""
        window = " × ".join(map(str, self.kernel_size))
        window = f"{window} × ({self.kernel.shape[-2]} + {self.filters})"
        window = f"({window} + 1)" if self.use_bias else window
        return f"{window} × {_GATES * self.filters} = {self.count_params():,}"

    # Running ----------------------------------------------------------------------------------------------

    def channels_first(self, x: Tensor, leading: int = 1) -> Tensor:
        """Return `x` with its channels on the axis after the `leading` ones, as torch's convolutions read."""
        return x.movedim(-1, leading) if self.data_format == "channels_last" else x

    def channels_back(self, x: Tensor, leading: int = 1) -> Tensor:
        """Undo `channels_first`."""
        return x.movedim(leading, -1) if self.data_format == "channels_last" else x

    def _convolve(
        self, x: Tensor, kernel: Tensor, bias: Tensor | None, padding: Sequence[tuple[int, int]], own: bool
    ) -> Tensor:
        """Convolve channels-first `x`; a group for each gate if `x` holds the channels four times."""
        if all(before == after for before, after in padding):
            around = [before for before, _ in padding]
        else:
            x = functional.pad(x, [side for pair in reversed(padding) for side in pair])
            around = [0] * self.rank
        weight = kernel.permute(-1, -2, *range(self.rank))
        ones = [1] * self.rank
        return torch.convolution(
            x,
            weight,
            bias,
            list(self.strides) if own else ones,
            around,
            list(self.dilation_rate) if own else ones,
            False,
            [0] * self.rank,
            x.shape[1] // weight.shape[1],
        )

    def input_terms(self, x: Tensor, training: bool) -> Tensor:
        """Return what the inputs `[B, T, channels, ...]` add to the gates: `[B, T, 4 · filters, ...]`.

        All steps in one convolution; only the recurrent one has to go step by step.
        """
        batch, steps = x.shape[:2]
        if training and self.dropout:
            if self._dropout_mask is None:
                like = x.new_empty(batch, _GATES * x.shape[2], *x.shape[3:])
                self._dropout_mask = self.seed_generator.keep(like, self.dropout)
            x = torch.cat([x] * _GATES, 2) * self._dropout_mask.unsqueeze(1)
        flat = x.reshape(batch * steps, *x.shape[2:])
        padding = [one.around(size) for one, size in zip(self._windows, x.shape[3:], strict=True)]
        terms: Tensor = self._convolve(flat, self.kernel, self.bias, padding, own=True)
        return terms.reshape(batch, steps, *terms.shape[1:])

    def advance(self, terms: Tensor, h: Tensor, c: Tensor, training: bool) -> tuple[Tensor, Tensor]:
        """Return the new `h` and `c` for what the inputs add to the gates; all channels-first."""
        read = h
        if training and self.recurrent_dropout:
            if self._recurrent_dropout_mask is None:
                like = h.new_empty(h.shape[0], _GATES * h.shape[1], *h.shape[2:])
                self._recurrent_dropout_mask = self.seed_generator.keep(like, self.recurrent_dropout)
            read = torch.cat([h] * _GATES, 1) * self._recurrent_dropout_mask
        padding = [((size - 1) // 2, size // 2) for size in self.kernel_size]
        gates = terms + self._convolve(read, self.recurrent_kernel, None, padding, own=False)
        i, f, new, o = gates.chunk(_GATES, 1)
        c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(new)
        return self.recurrent_activation(o) * self.activation(c), c

    def reset_dropout_mask(self) -> None:
        """Clear the mask of the inputs, so that the next step draws a new one."""
        self._dropout_mask = None

    def reset_recurrent_dropout_mask(self) -> None:
        """Clear the mask of the state, so that the next step draws a new one."""
        self._recurrent_dropout_mask = None

    def call(self, inputs: Tensor, states: Any, training: bool = False) -> tuple[Tensor, list[Tensor]]:
        """Return the output and the new states of one step; `inputs` is `[B, ...]` with channels."""
        expected = self.compute_output_shape(tuple(inputs.shape))
        given = [torch.as_tensor(one).to(inputs) for one in states]
        if [tuple(one.shape) for one in given] != [expected] * 2:
            raise ShapeError(
                f"states: {self.name} expected two of shape {expected}, got "
                f"{', '.join(str(tuple(one.shape)) for one in given) or 'none'}"
            )
        h, c = (self.channels_first(one) for one in given)
        terms = self.input_terms(self.channels_first(inputs).unsqueeze(1), training).squeeze(1)
        h, c = (self.channels_back(one) for one in self.advance(terms, h, c, training))
        return h, [h, c]

    # Configuration ----------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the cell."""
        return {**super().get_config(), "rank": self.rank, **self.own_config()}

    def own_config(self) -> dict[str, Any]:
        """Return the part of the config that a layer over time shares with its cell."""
        return {
            "filters": self.filters,
            "kernel_size": list(self.kernel_size),
            "strides": list(self.strides),
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": list(self.dilation_rate),
            "activation": _activations.serialize(self.activation),
            "recurrent_activation": _activations.serialize(self.recurrent_activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": initializers.serialize(self.recurrent_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "unit_forget_bias": self.unit_forget_bias,
            "kernel_regularizer": _regularizers.serialize(self.kernel_regularizer),
            "recurrent_regularizer": _regularizers.serialize(self.recurrent_regularizer),
            "bias_regularizer": _regularizers.serialize(self.bias_regularizer),
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "seed": self.seed,
        }
