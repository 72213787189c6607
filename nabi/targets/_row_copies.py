"""Rows brought from a batch to packed rows and back: by native code, or by torch where that does not run."""

import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from nabi.targets._native import runs_native
from nabi.targets._rows import Rows

__all__ = ["gather", "spread"]


def gather(values: Tensor, rows: Rows) -> Tensor:
    """Bring a batch `[B, T, width]`, or packed data `[N, width]`, to the rows `[N, width]` of a layout."""
    assert rows.place is not None
    if runs_native(values) and (native := _native()) is not None:
        found: Tensor = native.gather(values, rows.table(values.shape[:-1].numel()), rows.count)
        return found
    return values.reshape(-1, values.shape[-1]).index_select(0, rows.place)


def spread(values: Tensor, rows: Rows, shape: Sequence[int], time_major: bool) -> Tensor:
    """Bring rows back to a batch `[B, T, width]`, zero where a step is not valid, or to packed data.

    What is returned is no view of another tensor.

    Args:
        values: the rows `[N, width]`.
        rows: the layout.
        shape: of the batch `[B, T, ...]` or the packed data `[N, ...]`.
        time_major: whether native code shall put a step of all sequences together, and not all steps of one.
    """
    assert rows.place is not None
    size, width = torch.Size(shape[:-1]).numel(), values.shape[1]
    if runs_native(values) and (native := _native()) is not None:
        found: Tensor = native.spread(values.contiguous(), rows.table(size), shape, time_major)
        return found
    batch = values.new_zeros((*shape[:-1], width))
    batch.view(size, width).index_copy_(0, rows.place, values)
    return batch


@cache
def _native() -> Any:
    """The native code, None where it cannot be had."""
    from nabi.targets.llvm import _row_copies
    from nabi.targets.llvm._machine import NativeError

    try:
        _row_copies.make_ready()
    except NativeError as problem:
        message = f"no native code that copies rows, sequences of different lengths run slower: {problem}"
        warnings.warn(message, RuntimeWarning, stacklevel=2)
        return None
    return _row_copies
