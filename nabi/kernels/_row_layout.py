"""Conversion of batches to packed rows and back: layouts for lengths and masks, and copies.

In native code, or in torch if native code does not run.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nabi.errors import ShapeError
from nabi.kernels._rows import Rows
from nabi.native import can_read, made_natively, runs_native

__all__ = ["gather", "rows_of_lengths", "rows_of_mask", "spread"]

_ready: Any = None
"""The module of the native code, once it is compiled."""


def rows_of_lengths(lengths: tuple[int, ...], time: int, reverse: bool, device: torch.device) -> Rows | None:
    """Lay out the first steps of sequences; None if torch must be used.

    Args:
        lengths: the number of steps of each sequence, from 0 to `time`.
        time: the number of steps of the batch.
        reverse: whether rows run from the last step of each sequence to its first.
        device: the device of the index tensors.
    """
    if device.type != "cpu" or not can_read() or (native := _native()) is None:
        return None
    found: Rows = native.rows_of_lengths(lengths, time, reverse)
    return found


def rows_of_mask(mask: Tensor, reverse: bool) -> Rows | None:
    """Lay out the valid steps of a boolean mask `[B, T]`; None if torch must be used."""
    if not can_read(mask) or (native := _native()) is None:
        return None
    found: Rows = native.rows_of_mask(mask, reverse)
    return found


def gather(values: Tensor, rows: Rows) -> Tensor:
    """Copy a batch `[B, T, width]`, or packed data `[N, width]`, to the rows `[N, width]` of a layout."""
    assert rows.place is not None
    if runs_native(values) and (native := _native()) is not None:
        found: Tensor = native.gather(values, rows.table(_steps(values.shape)), rows.count)
        return found
    return values.reshape(-1, values.shape[-1]).index_select(0, rows.place)


def spread(values: Tensor, rows: Rows, shape: Sequence[int], time_major: bool) -> Tensor:
    """Copy rows back to a batch `[B, T, width]`, zero at invalid steps, or to packed data.

    The result is not a view of another tensor.

    Args:
        values: the rows `[N, width]`.
        rows: the layout.
        shape: shape of the batch `[B, T, ...]` or the packed data `[N, ...]`.
        time_major: whether native code stores the sequences of a step together, not the steps of a sequence.
    """
    assert rows.place is not None
    if values.shape[0] != rows.count:
        raise ShapeError(f"rows: expected {rows.count}, got {values.shape[0]}")
    size, width = _steps(shape), values.shape[1]
    if runs_native(values) and (native := _native()) is not None:
        found: Tensor = native.spread(values.contiguous(), rows.table(size), shape, time_major)
        return found
    batch = values.new_zeros((*shape[:-1], width))
    batch.view(size, width).index_copy_(0, rows.place, values)
    return batch


def _steps(shape: Sequence[int]) -> int:
    """Return the number of steps of a batch `[B, T, ...]` or packed data `[N, ...]`, valid or not."""
    return shape[0] * shape[1] if len(shape) == 3 else shape[0]


def _native() -> Any:
    """Return the native code, None if it is unavailable."""
    return _ready or made_natively("row layout", "the layout of lengths and masks", _make_ready)


def _make_ready() -> Any:
    global _ready
    from nabi.kernels._code import _row_layout

    _row_layout.make_ready()
    _ready = _row_layout
    return _ready
