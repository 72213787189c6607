"""Running a cell over time: one copy per step, or one operation for all steps."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nabi.errors import ArgumentError, ShapeError
from nabi.tf1._arrays import as_dtype, as_tensor, to_numpy
from nabi.tf1._cell import RNNCell, gives_tensors
from nabi.tf1._structure import check_state, flatten, pack_like

__all__ = ["bidirectional_dynamic_rnn", "dynamic_rnn", "static_bidirectional_rnn", "static_rnn"]


def dynamic_rnn(
    cell: RNNCell,
    inputs: Any,
    sequence_length: Any = None,
    initial_state: Any = None,
    dtype: Any = None,
    parallel_iterations: Any = None,
    swap_memory: bool = False,
    time_major: bool = False,
    scope: Any = None,
) -> tuple[Any, Any]:
    """Run a cell over a whole sequence in one operation, as `tf.nn.dynamic_rnn`.

    Args:
        cell: any cell of this module.
        inputs: `[batch, time, width]`, array or tensor; `[time, batch, width]` with `time_major`.
        sequence_length: the number of valid steps of each sample, from 0 to the number of time steps. Outputs
            past a sample's end are zero, and its state is that of its last valid step.
        initial_state: structured like `cell.state_size`; zeros by default.
        dtype: type of the numbers, such as `tf.float32`; required without `initial_state`.
        parallel_iterations, swap_memory, scope: accepted for compatibility, without effect.
        time_major: whether time is the first axis of inputs and outputs; False by default.

    Returns:
        `(outputs, state)`: outputs `[batch, time, cell.output_size]`, the state after the last valid step.
        NumPy arrays unless `inputs` is a tensor.

    Raises:
        ArgumentError: neither `dtype` nor `initial_state`, or a length that is negative or too long.
        ShapeError: wrong rank of the inputs, wrong shape of lengths or state.

    Example:
        >>> import numpy as np
        >>> import nabi.tf1 as tf
        >>> X = np.ones([4, 2, 3])
        >>> outputs, state = tf.nn.dynamic_rnn(tf.nn.rnn_cell.BasicRNNCell(5), X, dtype=tf.float32)
        >>> outputs.shape, state.shape, bool((outputs[:, -1] == state).all())
        ((4, 2, 5), (4, 5), True)
    """
    _check_cell(cell, "cell")
    number = _number(initial_state, dtype)
    x = _sequence(inputs, number, time_major)
    as_tensors = gives_tensors(inputs, initial_state)
    with torch.set_grad_enabled(torch.is_grad_enabled() and as_tensors):
        lengths = _lengths(sequence_length, x)
        cell.ensure_built(x)
        state = _state(cell, initial_state, x, "initial_state")
        outputs, final = cell.over_time(x, state, lengths)
    outputs = outputs.transpose(0, 1) if time_major else outputs
    return (outputs, final) if as_tensors else (to_numpy(outputs), to_numpy(final))


def bidirectional_dynamic_rnn(
    cell_fw: RNNCell,
    cell_bw: RNNCell,
    inputs: Any,
    sequence_length: Any = None,
    initial_state_fw: Any = None,
    initial_state_bw: Any = None,
    dtype: Any = None,
    parallel_iterations: Any = None,
    swap_memory: bool = False,
    time_major: bool = False,
    scope: Any = None,
) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Run one cell forwards and another backwards over the same sequence.

    The backward cell begins at each sample's last valid step. Arguments and errors as in `dynamic_rnn`.

    Returns:
        `((outputs_fw, outputs_bw), (state_fw, state_bw))`, both outputs in the order of the inputs.
    """
    _check_cell(cell_fw, "cell_fw")
    _check_cell(cell_bw, "cell_bw")
    states = (initial_state_fw, initial_state_bw)
    number = _number(next((state for state in states if state is not None), None), dtype)
    if dtype is None and any(state is None for state in states):
        raise ArgumentError("dtype: needed when one of initial_state_fw and initial_state_bw is missing")
    x = _sequence(inputs, number, time_major)
    as_tensors = gives_tensors(inputs, [state for state in states if state is not None])
    outputs, finals = [], []
    with torch.set_grad_enabled(torch.is_grad_enabled() and as_tensors):
        lengths = _lengths(sequence_length, x)
        for cell, given, direction in ((cell_fw, states[0], "fw"), (cell_bw, states[1], "bw")):
            cell.ensure_built(x)
            state = _state(cell, given, x, f"initial_state_{direction}")
            output, final = cell.over_time(x, state, lengths, direction == "bw")
            outputs.append(output.transpose(0, 1) if time_major else output)
            finals.append(final)
    if not as_tensors:
        outputs, finals = to_numpy(outputs), to_numpy(finals)
    return (outputs[0], outputs[1]), (finals[0], finals[1])


def static_rnn(
    cell: RNNCell,
    inputs: Sequence[Any],
    initial_state: Any = None,
    dtype: Any = None,
    sequence_length: Any = None,
    scope: Any = None,
) -> tuple[list[Any], Any]:
    """Run a cell over a list of steps, with one copy per step, as `tf.nn.static_rnn`.

    The copies share the weights, and the autograd graph grows with the number of steps. The results are those
    of `dynamic_rnn`, which is preferable for long sequences.

    Args:
        cell: any cell of this module.
        inputs: list of `[batch, width]`, one for each time step; `tf.unstack(X, axis=1)` makes it from
            `[batch, time, width]`.
        initial_state: structured like `cell.state_size`; zeros by default.
        dtype: type of the numbers, such as `tf.float32`; required without `initial_state`.
        sequence_length: see `dynamic_rnn`.
        scope: accepted for compatibility, without effect.

    Returns:
        `(outputs, state)`: the list of `[batch, cell.output_size]`, and the state after the last valid step.

    Raises:
        ArgumentError: no steps, neither `dtype` nor `initial_state`, or a length out of range.
        ShapeError: the steps differ in shape, or lengths or state have a wrong shape.

    Example:
        >>> import numpy as np
        >>> import nabi.tf1 as tf
        >>> X0, X1 = np.ones([4, 3]), np.zeros([4, 3])
        >>> outputs, state = tf.nn.static_rnn(tf.nn.rnn_cell.BasicRNNCell(5), [X0, X1], dtype=tf.float32)
        >>> len(outputs), bool((outputs[-1] == state).all())
        (2, True)
    """
    _check_cell(cell, "cell")
    number = _number(initial_state, dtype)
    steps = _steps(inputs, number)
    as_tensors = gives_tensors(list(inputs), initial_state)
    with torch.set_grad_enabled(torch.is_grad_enabled() and as_tensors):
        lengths = _lengths(sequence_length, torch.stack(steps, dim=1))
        cell.ensure_built(steps[0])
        state = _state(cell, initial_state, steps[0], "initial_state")
        outputs = []
        for time, x in enumerate(steps):
            if lengths is None:
                output, state = cell.call(x, state)
            else:
                output, state = _masked_step(cell, x, state, (time < lengths)[:, None])
            outputs.append(output)
    return (outputs, state) if as_tensors else (to_numpy(outputs), to_numpy(state))


def static_bidirectional_rnn(
    cell_fw: RNNCell,
    cell_bw: RNNCell,
    inputs: Sequence[Any],
    initial_state_fw: Any = None,
    initial_state_bw: Any = None,
    dtype: Any = None,
    sequence_length: Any = None,
    scope: Any = None,
) -> tuple[list[Any], Any, Any]:
    """Run one cell forwards and another backwards over a list of steps, with one copy of each per step.

    Arguments and errors as in `static_rnn`.

    Returns:
        `(outputs, state_fw, state_bw)`: outputs a list of `[batch, forward + backward width]`.
    """
    number = _number(initial_state_fw if initial_state_fw is not None else initial_state_bw, dtype)
    steps = _steps(inputs, number)
    as_tensors = gives_tensors(
        list(inputs), [s for s in (initial_state_fw, initial_state_bw) if s is not None]
    )
    with torch.set_grad_enabled(torch.is_grad_enabled() and as_tensors):
        lengths = _lengths(sequence_length, torch.stack(steps, dim=1))
        forward, state_fw = static_rnn(cell_fw, steps, initial_state_fw, dtype, lengths)
        backward, state_bw = static_rnn(cell_bw, _reversed(steps, lengths), initial_state_bw, dtype, lengths)
        pairs = zip(forward, _reversed(backward, lengths), strict=True)
        outputs = [torch.cat(pair, dim=1) for pair in pairs]
    if as_tensors:
        return outputs, state_fw, state_bw
    return to_numpy(outputs), to_numpy(state_fw), to_numpy(state_bw)


def _masked_step(cell: RNNCell, x: Tensor, state: Any, real: Tensor) -> tuple[Tensor, Any]:
    """Compute one step for the rows that are `real`; padding may contain NaN."""
    output, new_state = cell.call(torch.where(real, x, 0.0), state)
    kept = [torch.where(real, new, old) for new, old in zip(flatten(new_state), flatten(state), strict=True)]
    return torch.where(real, output, 0.0), pack_like(cell.state_size, kept)


def _reversed(steps: list[Tensor], lengths: Tensor | None) -> list[Tensor]:
    """Reverse the valid part of every row; padding stays in place."""
    if lengths is None:
        return steps[::-1]
    time = torch.arange(len(steps), device=lengths.device)
    order = torch.where(time < lengths[:, None], lengths[:, None] - 1 - time, time)
    stacked = torch.stack(steps, dim=1)
    return list(stacked[torch.arange(len(lengths), device=lengths.device)[:, None], order].unbind(1))


def _check_cell(cell: Any, argument: str) -> None:
    if not isinstance(cell, RNNCell):
        raise ArgumentError(
            f"{argument}: expected a cell such as tf.nn.rnn_cell.BasicRNNCell(5), got {cell!r}"
        )


def _number(initial_state: Any, dtype: Any) -> torch.dtype:
    """Return the type of the numbers by TensorFlow 1's rule: that of the initial state, or else `dtype`."""
    if dtype is not None:
        return as_dtype(dtype)
    if initial_state is None:
        raise ArgumentError(
            "dtype: needed when there is no initial_state, to determine the type of the zero state; "
            "write dtype=tf.float32"
        )
    return as_dtype(as_tensor(flatten(initial_state)[0], None, "initial_state").dtype, "initial_state")


def _sequence(inputs: Any, number: torch.dtype, time_major: bool) -> Tensor:
    x = as_tensor(inputs, number, "inputs")
    if x.dim() != 3:
        axes = "[time steps, batch, width]" if time_major else "[batch, time steps, width]"
        raise ShapeError(f"inputs: expected {axes}, got the shape {list(x.shape)}")
    return x.transpose(0, 1) if time_major else x


def _steps(inputs: Any, number: torch.dtype) -> list[Tensor]:
    if not isinstance(inputs, (list, tuple)):
        raise ArgumentError(
            f"inputs: expected a list of [batch, width], one for each step, got {type(inputs).__name__}; "
            "tf.unstack(X, axis=1) makes the list from [batch, time steps, width]"
        )
    if not inputs:
        raise ArgumentError("inputs: expected at least one time step, got an empty list")
    steps = [as_tensor(x, number, f"inputs[{time}]", rank=2) for time, x in enumerate(inputs)]
    for time, x in enumerate(steps):
        if x.shape != steps[0].shape:
            raise ShapeError(
                f"inputs[{time}]: expected the shape {list(steps[0].shape)} of inputs[0], got {list(x.shape)}"
            )
    return steps


def _lengths(sequence_length: Any, x: Tensor) -> Tensor | None:
    if sequence_length is None:
        return None
    batch, steps = x.shape[:2]
    lengths = as_tensor(sequence_length, None, "sequence_length").to(x.device)
    if lengths.shape != (batch,):
        raise ShapeError(
            f"sequence_length: expected one whole number for each of the {batch} samples, "
            f"got the shape {list(lengths.shape)}"
        )
    whole = not (lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool)
    if not whole and batch:
        raise ArgumentError(f"sequence_length: expected whole numbers, got {lengths.dtype}")
    for sample, length in enumerate(lengths.tolist()):
        if not 0 <= length <= steps:
            raise ArgumentError(
                f"sequence_length: expected 0 to {steps} time steps, got {length} for sample {sample}"
            )
    return lengths.long()


def _state(cell: RNNCell, given: Any, x: Tensor, argument: str) -> Any:
    if given is None:
        zeros = [x.new_zeros(x.shape[0], width) for width in flatten(cell.state_size)]
        return pack_like(cell.state_size, zeros)
    return check_state(given, cell.state_size, x.shape[0], x.dtype, x.device, argument)
