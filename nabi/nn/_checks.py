"""Checks of what RNN is given, before any work is done."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nabi._shown import short
from nabi.errors import ArgumentError, ShapeError
from nabi.nn._stack import States, autocast_dtype
from nabi.scan import check_dense

__all__ = ["check_input", "check_states", "check_step_resets"]


def check_input(x: Any, ranks: tuple[int, ...], input_size: int | None, dtype: torch.dtype | None) -> None:
    """Check the rank, width and dtype of an input; None stands for any width, any dtype."""
    if not isinstance(x, Tensor):
        raise ArgumentError(f"x: expected a tensor or a PackedSequence, got {type(x).__name__}")
    check_dense(x)
    if x.dim() not in ranks:
        expected = " or ".join(str(rank) for rank in ranks)
        raise ShapeError(f"x: expected {expected} dimensions, got the shape {list(x.shape)}")
    if input_size is not None and x.shape[-1] != input_size:
        raise ShapeError(f"x: expected {input_size} features on the last axis, got the shape {list(x.shape)}")
    if dtype is not None and x.dtype != dtype and autocast_dtype(x) is None:
        raise ArgumentError(f"x: expected the dtype of the parameters, {dtype}, got {x.dtype}")


def check_states(state: Any, widths: dict[str, int], count: int, batch: int, batched: bool) -> States | None:
    """Check initial states and return them with an axis for the batch; None stays None.

    Args:
        state: a tuple of tensors, or one tensor if there is one state.
        widths: of the states by name, in order.
        count: layers times directions, the first axis.
        batch: the second axis, which is missing for one sequence (not `batched`).
        batched: whether the input has an axis for the batch.
    """
    if state is None:
        return None
    if not isinstance(state, Tensor | tuple | list):
        raise ArgumentError(f"state: expected the states {', '.join(widths)}, got {short(state)}")
    states: Sequence[Any] = (state,) if isinstance(state, Tensor) else tuple(state)
    if len(states) != len(widths):
        raise ArgumentError(f"state: expected the states {', '.join(widths)}, got {len(states)} values")
    for (name, width), given in zip(widths.items(), states, strict=True):
        if not isinstance(given, Tensor):
            raise ArgumentError(f"state.{name}: expected a tensor, got {type(given).__name__}")
        expected = (count, batch, width) if batched else (count, width)
        if tuple(given.shape) != expected:
            raise ShapeError(
                f"state.{name}: expected the shape {list(expected)} (layers times directions, "
                f"{'batch, ' if batched else ''}width), got {list(given.shape)}"
            )
    return tuple(states) if batched else tuple([given.unsqueeze(1) for given in states])


def check_step_resets(resets: Any, batch: int) -> Tensor | None:
    """Check the resets of one step, `[B]`, or one value for a single sequence."""
    if resets is None:
        return None
    found = torch.as_tensor(resets)
    if tuple(found.shape) != (batch,) and not (batch == 1 and found.dim() == 0):
        raise ShapeError(f"resets: expected the shape {[batch]}, got {list(found.shape)}")
    return found
