"""The base class of all cells: weights created on first use, one step, many steps."""

import re
from typing import Any

import torch
from torch import Tensor

from nabi import _checks
from nabi.errors import ArgumentError, ShapeError
from nabi.nn import initializers
from nabi.scan import loop
from nabi.tf1._arrays import as_dtype, as_tensor, to_numpy
from nabi.tf1._structure import check_state, flatten, pack_like
from nabi.tf1._variable import Variable

__all__ = ["RNNCell", "gives_tensors"]


def gives_tensors(inputs: Any, state: Any) -> bool:
    """Return whether results are tensors: the inputs are, or the state requires a gradient."""
    members = inputs if isinstance(inputs, (list, tuple)) else [inputs]
    if any(isinstance(member, Tensor) for member in members):
        return True
    return any(isinstance(leaf, Tensor) and leaf.requires_grad for leaf in flatten(state))


class RNNCell(torch.nn.Module):
    """A cell: `output, new_state = cell(inputs, state)`.

    Its weights are created on first use, when the width of the inputs is known, and shared by all steps and
    calls. It is a torch module: pass `parameters()` to a torch optimizer, once they exist.

    A custom cell is a subclass with `state_size`, `output_size`, `call(self, inputs, state)` on tensors
    `[batch, width]`, and, if it has weights, `build(self, inputs_shape)`, which creates them with
    `self.add_weight`. All functions of this module run it step by step.

    Args:
        name: the first part of its variables' names; the class name in snake case by default.
        dtype: of its weights; that of the first inputs by default.

    Example:
        >>> import numpy as np
        >>> class Sum(RNNCell):
        ...     state_size = output_size = 2
        ...
        ...     def call(self, inputs, state):
        ...         return inputs + state, inputs + state
        >>> output, state = Sum()(np.ones([1, 2]), np.ones([1, 2]))
        >>> output
        array([[2., 2.]])
    """

    state_size: Any
    output_size: Any

    def __init__(self, *, name: str | None = None, dtype: Any = None) -> None:
        super().__init__()
        self.name = name or _small_letters(type(self).__name__)
        self.built = False
        self._dtype = None if dtype is None else as_dtype(dtype)
        self._device = torch.device("cpu")
        self._input_width: int | None = None

    # Defined by subclasses.

    def build(self, inputs_shape: Any) -> None:
        """Create the weights for inputs of the shape `(None, width)`; does nothing by default."""

    def call(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Compute one step for tensors; defined by each cell."""
        raise NotImplementedError(f"{type(self).__name__} must define call(self, inputs, state)")

    def over_time(
        self, inputs: Tensor, state: Any, lengths: Tensor | None, reverse: bool = False
    ) -> tuple[Tensor, Any]:
        """Run over `[batch, time, width]`; works for any `call`, and nabi's cells override it."""
        output = inputs.new_zeros(inputs.shape[0], self.output_size)

        def one_step(x: Tensor, _: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
            output, new_state = self.call(x, pack_like(self.state_size, list(states)))
            return output, *flatten(new_state)

        states = (output, *flatten(state))
        outputs, final, _ = loop(one_step, inputs, states, lengths=lengths, reverse=reverse)
        return outputs, pack_like(self.state_size, list(final[1:]))

    # Called by users.

    def forward(self, inputs: Any, state: Any, scope: Any = None) -> tuple[Any, Any]:
        """Run one step.

        Args:
            inputs: `[batch, width]`, array or tensor.
            state: structured like `state_size`, each part `[batch, width]`.
            scope: accepted for compatibility; `name` determines the names.

        Returns:
            `(output, new_state)`; NumPy arrays unless `inputs` is a tensor.

        Raises:
            ShapeError: a wrong rank, batch or width.
        """
        tensor = as_tensor(inputs, self._dtype or _number_of(state), "inputs", rank=2)
        with torch.set_grad_enabled(torch.is_grad_enabled() and gives_tensors(inputs, state)):
            self.ensure_built(tensor)
            checked = check_state(
                state, self.state_size, tensor.shape[0], tensor.dtype, tensor.device, "state"
            )
            result = self.call(tensor, checked)
        return result if gives_tensors(inputs, state) else (to_numpy(result[0]), to_numpy(result[1]))

    def ensure_built(self, inputs: Tensor) -> None:
        """Create the weights on first use, of the inputs' type and on their device; then check the inputs.

        Raises:
            ShapeError: the cell was built for inputs of another width.
            ArgumentError: the cell was built for another type.
        """
        width = inputs.shape[-1]
        if not self.built:
            self._dtype, self._device = self._dtype or inputs.dtype, inputs.device
            self.build((None, width))
            self.built = True
        if self._input_width is None:
            self._input_width = width
        if self.weights and width != self._input_width:
            raise ShapeError(
                f"inputs: expected width {self._input_width}, for which {self.name} was built, got {width}"
            )
        if self.weights and inputs.dtype != self._dtype:
            raise ArgumentError(
                f"dtype: expected {self._dtype}, for which {self.name} was built, got {inputs.dtype}"
            )

    def add_weight(
        self, name: str, shape: Any, initializer: Any = None, dtype: Any = None, trainable: bool = True
    ) -> Variable:
        """Create a weight, like `tf.get_variable`; Glorot uniform by default.

        Args:
            name: the last part of its name, such as `kernel`.
            shape: its shape, inputs before outputs.
            initializer: a name or an initializer of `nabi.initializers`, or any `(shape, dtype) → tensor`.
            dtype: its type; the cell's by default.
            trainable: whether it has a gradient.
        """
        number = as_dtype(dtype) if dtype is not None else self._dtype or torch.get_default_dtype()
        draw = initializers.get("glorot_uniform" if initializer is None else initializer)
        values = draw(tuple(shape), number)
        values = torch.as_tensor(values, dtype=number).detach().to(self._device)
        variable = Variable(values, trainable, f"{self.name}/{name}:0")
        self.register_parameter(name, variable)
        return variable

    add_variable = add_weight

    def zero_state(self, batch_size: int, dtype: Any = torch.float32) -> Any:
        """Return the zero state for a batch, tensors structured like `state_size`.

        Raises:
            ArgumentError: `batch_size` is not a whole number, or `dtype` not a floating-point type.
        """
        rows = _checks.whole("batch_size", batch_size, 0, floats=True)
        number = as_dtype(dtype)
        zeros = [torch.zeros(rows, width, dtype=number) for width in flatten(self.state_size)]
        return pack_like(self.state_size, zeros)

    # Weights, under TensorFlow's names.

    @property
    def dtype(self) -> torch.dtype | None:
        """The type of the weights; None before first use if the cell was created without a type."""
        return self._dtype

    @property
    def weights(self) -> list[Variable]:
        """All weights in TensorFlow 1's order; empty before first use."""
        return [parameter for parameter in self.parameters() if isinstance(parameter, Variable)]

    @property
    def variables(self) -> list[Variable]:
        """The same as `weights`."""
        return self.weights

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that have a gradient."""
        return [variable for variable in self.weights if variable.requires_grad]

    @property
    def trainable_variables(self) -> list[Variable]:
        """The same as `trainable_weights`."""
        return self.trainable_weights

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights that have no gradient."""
        return [variable for variable in self.weights if not variable.requires_grad]

    def get_weights(self) -> list[Any]:
        """Return copies of all weights as NumPy arrays, in the order of `weights`."""
        return [variable.numpy().copy() for variable in self.weights]

    @torch.no_grad()
    def set_weights(self, values: Any) -> None:
        """Set all weights from arrays in the order of `weights`, for example from a TensorFlow checkpoint.

        Raises:
            ArgumentError: the cell has no weights yet, or a different number of them.
            ShapeError: an array has another shape.
        """
        weights = self.weights
        if len(values) != len(weights):
            hint = "" if self.built else "; weights are created on first use, or by cell.build([None, width])"
            raise ArgumentError(f"values: expected {len(weights)} arrays, got {len(values)}{hint}")
        tensors = [as_tensor(value, self._dtype, "values") for value in values]
        for tensor, variable in zip(tensors, weights, strict=True):
            if tensor.shape != variable.shape:
                raise ShapeError(
                    f"values: expected the shape {list(variable.shape)} for {variable.name}, "
                    f"got {list(tensor.shape)}"
                )
        for tensor, variable in zip(tensors, weights, strict=True):
            variable.copy_(tensor)


def _small_letters(name: str) -> str:
    """Return a class name in snake case, BasicLSTMCell → basic_lstm_cell, as in TensorFlow's scopes."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _number_of(state: Any) -> torch.dtype:
    """Return the floating-point type of a state; torch's default if it has none."""
    for leaf in flatten(state):
        dtype = leaf.dtype if isinstance(leaf, Tensor) else as_tensor(leaf, None, "state").dtype
        if dtype.is_floating_point:
            return dtype
    return torch.get_default_dtype()
