"""Step-by-step runs of Keras-style cells: any object with `call(inputs, states)` and `state_size`."""

from typing import Any

import torch
from torch import Tensor

from nabi.errors import ArgumentError, ShapeError
from nabi.layers._layer._base import Layer
from nabi.layers._recurrent._states import flatten, pack, zero_states

__all__ = ["call_cell", "check_cell", "initial_state_of", "output_size_of", "run_cells"]


def check_cell(argument: str, cell: Any) -> None:
    """Raise `ArgumentError` unless a cell has `call` and `state_size`."""
    for name in ("call", "state_size"):
        if not hasattr(cell, name):
            raise ArgumentError(
                f"{argument}: expected a nabi.cells cell, or a Keras-style cell with call(inputs, states) "
                f"and state_size, got {type(cell).__name__} without {name}"
            )
    sizes = cell.state_size
    if sizes is None or not isinstance(sizes, int | list | tuple):
        raise ArgumentError(
            f"{argument}: expected a whole number or a list of them as state_size, got {sizes!r}"
        )


def output_size_of(cell: Any) -> Any:
    """Return the width of a cell's output: `output_size`, or the first `state_size`."""
    size = getattr(cell, "output_size", None)
    while size is None or (isinstance(size, list | tuple) and not isinstance(size, torch.Size)):
        size = cell.state_size if size is None else size[0]
    return size


def call_cell(cell: Any, inputs: Any, states: Any, training: bool) -> tuple[Any, Any]:
    """Run one step of a Keras-style cell, passing `training` if it takes it."""
    if isinstance(cell, Layer):
        result = (
            cell(inputs, states, training=training) if type(cell)._takes_training else cell(inputs, states)
        )
    else:
        result = cell(inputs, states) if callable(cell) else cell.call(inputs, states)
    if isinstance(result, Tensor):
        # A single state that is also the output, as a step on tensors may return it.
        return result, _checked(cell, result, states)
    if not isinstance(result, list | tuple) or len(result) != 2:
        got = f"{len(result)} values" if isinstance(result, list | tuple) else type(result).__name__
        raise ArgumentError(
            f"{type(cell).__name__}: expected call to return the output and the new states, "
            f"(output, states), got {got}"
        )
    output, new = result
    if not isinstance(output, Tensor):
        raise ArgumentError(
            f"{type(cell).__name__}: expected a tensor as output, got {type(output).__name__}"
        )
    return output, _checked(cell, new, states)


def _checked(cell: Any, new: Any, states: Any) -> Any:
    """Return the new states if their number and shapes match the old ones."""
    old, found = list(flatten(states)), list(flatten(new))
    name = type(cell).__name__
    if len(old) != len(found) or not all(isinstance(one, Tensor) for one in found):
        raise ArgumentError(
            f"{name}: expected call to return {len(old)} new states, tensors, got "
            f"{', '.join(type(one).__name__ for one in found) or 'none'}"
        )
    for place, (one, before) in enumerate(zip(found, old, strict=True)):
        if one.shape != before.shape:
            raise ShapeError(
                f"{name}: expected the new state {place} in shape {tuple(before.shape)}, "
                f"got {tuple(one.shape)}"
            )
    return new


def initial_state_of(cell: Any, batch_size: int, layer: Layer) -> Any:
    """Return the initial state of a cell: its own, or zeros."""
    own = getattr(cell, "get_initial_state", None)
    if own is not None:
        return own(batch_size=batch_size)
    weight = next(layer.parameters(), None)
    return zero_states(cell.state_size, batch_size, layer.dtype, None if weight is None else weight.device)


def reset_masks(cell: Any) -> None:
    """Reset the dropout masks of a cell, or of the cells of a stack."""
    for one in getattr(cell, "cells", [cell]):
        for name in ("reset_dropout_mask", "reset_recurrent_dropout_mask"):
            reset = getattr(one, name, None)
            if reset is not None:
                reset()


def run_cells(
    cell: Any,
    x: Tensor,
    states: Any,
    *,
    mask: Tensor | None,
    training: bool,
    reverse: bool,
    keep_outputs: bool,
) -> tuple[Tensor | None, Tensor | None, list[Any]]:
    """Run a Keras-style cell over `[B, T, ...]` step by step.

    Returns the outputs (zero on masked steps; None unless kept), the output of each row's last step (zero for
    a row without one; None without steps), and the final states.
    """
    reset_masks(cell)
    outputs: list[Tensor] = []
    last: Tensor | None = None
    for t in range(x.shape[1] - 1, -1, -1) if reverse else range(x.shape[1]):
        x_t = x[:, t]
        if mask is None:
            last, new = call_cell(cell, x_t, states, training)
            states = list(new) if isinstance(new, list | tuple) else [new]
            if keep_outputs:
                outputs.append(last)
            continue
        counts = mask[:, t]
        # Padding may be NaN, which a product with zero would keep, so it is replaced first.
        output, new = call_cell(cell, torch.where(_like(counts, x_t), x_t, 0), states, training)
        new = list(new) if isinstance(new, list | tuple) else [new]
        pairs = zip(flatten(new), flatten(states), strict=True)
        states = pack(states, [torch.where(_like(counts, a), a, b) for a, b in pairs])
        here = _like(counts, output)
        last = torch.where(here, output, torch.zeros_like(output) if last is None else last)
        if keep_outputs:
            outputs.append(torch.where(here, output, 0.0))
    reset_masks(cell)
    stacked = torch.stack(outputs[::-1] if reverse else outputs, 1) if outputs else None
    return stacked, last, list(states)


def _like(mask: Tensor, tensor: Tensor) -> Tensor:
    """Return a mask `[B]` with axes of size 1 appended up to the rank of a tensor."""
    return mask.reshape(-1, *[1] * (tensor.dim() - 1))
