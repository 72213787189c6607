"""The layer that runs a cell over time."""

from collections.abc import Mapping, Sequence
from typing import Any, Self, cast

import torch
from torch import Tensor

from nabi._shown import short
from nabi.cells import Cell
from nabi.errors import ArgumentError, ShapeError
from nabi.layers._layer._arguments import Shape
from nabi.layers._layer._base import Layer
from nabi.layers._layer._claims import claim_batch
from nabi.layers._layer._registry import serialize
from nabi.layers._layer._shapes import check_mask, check_rank, check_width, first_shape, last_width
from nabi.layers._layer._weights import collecting_losses
from nabi.layers._recurrent._cell_config import cell_config, cell_from_config
from nabi.layers._recurrent._cell_loop import check_cell, initial_state_of, output_size_of, run_cells
from nabi.layers._recurrent._keras_cells import StackedRNNCells, is_equations
from nabi.layers._recurrent._stateful import StatefulLayer
from nabi.layers._recurrent._states import (
    as_states,
    fill_masked,
    flatten,
    last_output,
    pack,
    state_shapes,
)
from nabi.native import runs_now
from nabi.nn import check_names

__all__ = ["RNN"]

_AXES = "(batch, time, features)"


def _runs_at_once(cell: Any) -> bool:
    # A penalty on the output of a cell applies to every step, so each step must be a call.
    return is_equations(cell) and cell.activity_regularizer is None


def _leaves_all(mask: Tensor) -> bool:
    """Whether a mask leaves every step as it is, as that of a single sequence mostly does.

    It is asked only where that costs next to nothing: on the CPU, and without gradients.
    """
    if torch.is_grad_enabled() or not (type(mask) is Tensor and mask.is_cpu and mask.numel() and runs_now()):
        return False
    return bool(mask.all())


class RNN(StatefulLayer):
    """A cell run over time: `[B, T, D]` to `[B, units]`, or `[B, T, units]` with `return_sequences=True`.

    `cell` is a cell of `nabi.cells`; or a Keras-style cell, an object with `state_size`, optionally
    `output_size` and `get_initial_state(batch_size)`, and `call(inputs, states) -> (output, new states)`;
    or a list of these, which are stacked. A peephole LSTM is `layers.RNN(cells.PeepholeLSTM(128))`.

    Arguments as in Keras: `return_sequences`, `return_state` (the output, then each final state),
    `go_backwards` (from the last step to the first; output sequences are in that order),
    `stateful` (a batch starts from the final states of the previous one; needs a fixed batch size),
    `unroll` (one copy of the step per time step, so the graph grows with T), `zero_output_for_mask`
    (outputs of masked steps are zero; so is the output without `return_sequences` if the last step is
    masked), and Keras 2's `time_major` (`[T, B, D]`).

    Call arguments: `mask` `[B, T]`: a masked step repeats the previous output (zero before the first one, and
    everywhere with `zero_output_for_mask`) and does not change the states; `initial_state`, a tensor or list
    in the order of the states; `training`; and what a cell reads beside its input, by name: `delta` `[B, T]`,
    `observed` `[B, T, D]`, `static` `[B, width]`, as tensors or outputs of other layers.
    `return_values=["f", "i"]` adds a dictionary to what is returned: these quantities of the equations at
    every step, `[B, T, width]`, in the order of the input, zero on masked steps. Gradients flow through them;
    use it in the `call` of a model of your own. Not for layers over several cells.

    Raises `ShapeError` for inputs of a wrong rank or width, a mask or state of a wrong shape, and a
    batch size that changes under `stateful`.

    >>> import torch
    >>> from nabi import cells, layers
    >>> rnn = layers.RNN(cells.PeepholeLSTM(4), return_sequences=True)
    >>> rnn(torch.zeros(2, 5, 3)).shape, rnn.count_params()
    (torch.Size([2, 5, 4]), 140)
    """

    supports_masking = True
    only_on_numbers = ("return_values",)
    _makes_mask = False

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        time_major: bool = False,
        **kwargs: Any,
    ) -> None:
        own = cell if isinstance(cell, Cell) else None
        super().__init__(own, **kwargs)
        if isinstance(cell, list | tuple):
            cell = StackedRNNCells(cell)
        if own is None:
            check_cell("cell", cell)
        self.cell: Any = cell
        self.return_sequences = bool(return_sequences)
        self.return_state = bool(return_state)
        self.go_backwards = bool(go_backwards)
        self.stateful = bool(stateful)
        self.unroll = bool(unroll)
        self.zero_output_for_mask = bool(zero_output_for_mask)
        self.time_major = bool(time_major)

    # States -----------------------------------------------------------------------------------------------

    @property
    def state_size(self) -> list[Any]:
        """The size of each state; a nested list for a stacked cell with several states."""
        if self.equations is not None:
            return self.state_sizes()
        size = self.cell.state_size
        return [size] if isinstance(size, int | torch.Size) else list(size)

    @property
    def further_inputs(self) -> tuple[str, ...] | None:
        """The names of the keywords that its cell reads; None where only a call shows it."""
        return None if self.equations is None else tuple(self.equations.step_inputs())

    @property
    def output_size(self) -> Any:
        """The width of the output."""
        return self.equations.output_width if self.equations is not None else output_size_of(self.cell)

    def get_initial_state(self, batch_size: int) -> list[Any]:
        """Return the initial states of a sequence: those that the cell declares, or zeros."""
        if self.equations is not None:
            return list(self.first_states(batch_size))
        state = initial_state_of(self.cell, batch_size, self)
        return [state] if isinstance(state, Tensor) else list(state)

    # Building ---------------------------------------------------------------------------------------------

    def build(self, input_shape: Shape) -> None:
        """Create the weights of the cell and, for a stateful layer, the states."""
        input_shape = first_shape(input_shape)
        if self.equations is not None or is_equations(self.cell):
            check_rank(self, input_shape, 3, _AXES)
            last_width(self, input_shape)
        elif len(input_shape) < 3:
            check_rank(self, input_shape, 3, _AXES)
        batch = input_shape[1] if self.time_major else input_shape[0]
        if self.stateful and batch is None:
            raise ShapeError(
                f"input_shape: {self.name} is stateful and expected a fixed batch size, "
                f"got {tuple(input_shape)}. "
                "Give the first layer batch_input_shape=(batch, ...) or Input(..., batch_size=batch)"
            )
        if self.equations is not None:
            self.build_weights(last_width(self, input_shape))
        elif isinstance(self.cell, Layer):
            self.cell.build((batch, *input_shape[2:]))
        if self.stateful:
            claim_batch(cast(int, batch), self.name)
            self._create_states(list(flatten(self.get_initial_state(cast(int, batch)))))

    # Calling ----------------------------------------------------------------------------------------------

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
        """Return the output for `[B, T, D]`, the final states if `return_state`, and values if asked for."""
        if isinstance(inputs, list | tuple):  # Keras 2: a list of the inputs and then the states
            inputs, initial_state = inputs[0], list(inputs[1:]) or initial_state
        if isinstance(mask, list | tuple):
            mask = mask[0]
        if self.time_major:
            inputs = inputs.transpose(0, 1)
            mask = None if mask is None else mask.transpose(0, 1)
            further = {name: self._batch_first(name, value) for name, value in further.items()}
        if mask is not None:
            mask = check_mask(self, mask, inputs)
            if self.equations is not None and _leaves_all(mask):
                mask = None
        states = self._initial(inputs, initial_state)
        names = () if return_values is None else check_names(return_values)
        outputs, last, final, values = self._run(inputs, states, mask, bool(training), further, names)
        if self.stateful:
            self.keep_states(final)
        if self.return_sequences:
            if self.go_backwards:
                outputs = outputs.flip(1)
                mask = None if mask is None else mask.flip(1)
            if mask is not None and not self.zero_output_for_mask:
                outputs = fill_masked(outputs, mask)
            output = outputs.transpose(0, 1) if self.time_major else outputs
        else:
            output = last
            if mask is not None and self.zero_output_for_mask and mask.shape[1]:
                counts = mask[:, 0 if self.go_backwards else -1]
                output = torch.where(counts.reshape(-1, *[1] * (last.dim() - 1)), last, 0.0)
        results = (output, *pack(self.state_size, final)) if self.return_state else (output,)
        if return_values is not None:
            results += (
                {name: one.transpose(0, 1) if self.time_major else one for name, one in values.items()},
            )
        return results if len(results) > 1 else output

    def _batch_first(self, name: str, value: Any) -> Any:
        of_sequence = self.equations is not None and name in self.equations.sequence_inputs
        is_array = isinstance(value, Tensor) and value.dim() > 1
        return value.transpose(0, 1) if is_array and not of_sequence else value

    def _initial(self, sequences: Tensor, given: Any) -> tuple[Tensor, ...] | None:
        if self.stateful:
            kept = self.kept_states()
            if kept and kept[0].shape[0] != sequences.shape[0]:
                raise ShapeError(
                    f"inputs: {self.name} is stateful and expected a batch size of {kept[0].shape[0]}, "
                    f"got a batch size of {sequences.shape[0]}, shape {tuple(sequences.shape)}"
                )
            if given is None:
                return kept
        return None if given is None else as_states(self.name, given, self.state_size, sequences)

    def _run(
        self,
        x: Tensor,
        states: tuple[Tensor, ...] | None,
        mask: Tensor | None,
        training: bool,
        further: Mapping[str, Any],
        names: tuple[str, ...],
    ) -> tuple[Any, Any, tuple[Tensor, ...], dict[str, Tensor]]:
        """Return outputs (zero on masked steps), the output of the last step, the final states, values."""
        stack: Any = None
        if self.equations is not None:
            stack = [self]
        elif _runs_at_once(self.cell):
            stack = [self.cell]
        elif isinstance(self.cell, StackedRNNCells) and all(map(_runs_at_once, self.cell.cells)):
            stack = self.cell.cells
        if further and (stack is None or len(stack) > 1):
            raise ArgumentError(
                f"{next(iter(further))}: expected nothing; only a layer over one cell of nabi.cells reads "
                "more than its input"
            )
        if names and (stack is None or len(stack) > 1):
            raise ArgumentError(
                f"return_values: expected None, got {short(names)}; only a layer over one cell of nabi.cells "
                "has quantities with names"
            )
        if stack is None:
            with collecting_losses(self.cell):
                return *self._run_steps(x, states, mask, training), {}
        check_rank(self, x.shape, 3, _AXES)
        check_width(self, x.shape, stack[0].program().input_size)
        final: tuple[Tensor, ...] = ()
        values: dict[str, Tensor] = {}
        output = x
        for layer in stack:
            count = len(layer.program().state_names)
            own = None if states is None else states[len(final) : len(final) + count]
            output, new, values = layer.run(
                output,
                own,
                mask=mask,
                training=training,
                reverse=self.go_backwards,
                unroll=self.unroll,
                extra=further,
                values=names,
            )
            final = (*final, *new)
        if stack[-1].program().readouts:
            return output, last_output(output, mask, self.go_backwards), final, values
        last = new[0]
        if not x.shape[1]:
            last = torch.zeros_like(last)
        elif mask is not None:
            last = torch.where(mask.any(1, keepdim=True), last, 0.0)
        return output, last, final, values

    def _run_steps(
        self, x: Tensor, states: tuple[Tensor, ...] | None, mask: Tensor | None, training: bool
    ) -> tuple[Any, Any, tuple[Tensor, ...]]:
        start = self.get_initial_state(x.shape[0]) if states is None else pack(self.state_size, states)
        start = pack(start, [state.to(x) for state in flatten(start)])
        outputs, last, final = run_cells(
            self.cell,
            x,
            start,
            mask=mask,
            training=training,
            reverse=self.go_backwards,
            keep_outputs=self.return_sequences,
        )
        if last is None:
            last = x.new_zeros(state_shapes(self.output_size, x.shape[0]))
            outputs = last.unsqueeze(1)[:, :0]
        return outputs, last, tuple(flatten(final))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask for an output sequence, None for a last output and for states."""
        mask = mask[0] if isinstance(mask, list | tuple) else mask
        own = mask if self.return_sequences else None
        if own is not None and self.go_backwards:
            own = own.flip(0 if self.time_major else 1)  # the outputs are in the order of their computation
        return [own, *[None] * len(self.state_size)] if self.return_state else own

    def compute_output_shape(self, input_shape: Shape) -> Any:
        """Return the shape of the output, followed by those of the states if `return_state`."""
        input_shape = first_shape(input_shape)
        if self.equations is not None or is_equations(self.cell):
            check_rank(self, input_shape, 3, _AXES)
            inner = self if self.equations is not None else self.cell
            if inner.built and input_shape[-1] is not None:
                check_width(self, input_shape, inner.program().input_size)
        batch, steps = (input_shape[1], input_shape[0]) if self.time_major else input_shape[:2]
        shape = state_shapes(self.output_size, cast(int, batch))
        if self.return_sequences:
            shape = (steps, *shape) if self.time_major else (shape[0], steps, *shape[1:])
        if self.return_state:
            return (shape, *[state_shapes(size, cast(int, batch)) for size in self.state_size])
        return shape

    def parameter_sum(self) -> str:
        """Return the sum behind the parameter count of the cell."""
        if self.equations is not None:
            return super().parameter_sum()
        return self.cell.parameter_sum() if isinstance(self.cell, Layer) else Layer.parameter_sum(self)

    # Configuration ----------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that recreate the layer."""
        config = {**super().get_config(), **self.loop_config()}
        if self.equations is not None:
            return {**config, **self.equations_config(), "cell": cell_config(self.equations)}
        if not isinstance(self.cell, Layer):
            raise ArgumentError(
                f"cell: {self.cell!r} is not a layer, so a config can't hold it; derive it from layers.Layer"
            )
        return {**config, "cell": serialize(self.cell)}

    def loop_config(self) -> dict[str, Any]:
        """Return the part of the config for running over time."""
        names = (
            "return_sequences",
            "return_state",
            "go_backwards",
            "stateful",
            "unroll",
            "zero_output_for_mask",
        )
        config: dict[str, Any] = {name: getattr(self, name) for name in names}
        return {**config, "time_major": True} if self.time_major else config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Make the layer from what `get_config` returned."""
        if not isinstance(config, Mapping):
            raise ArgumentError(f"config: expected a dictionary, got {short(config)}")
        config = dict(config)
        if "cell" in config:
            config["cell"] = cell_from_config(config["cell"], custom_objects)
        return cls(**config)
