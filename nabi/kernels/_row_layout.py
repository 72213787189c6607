"""Conversion of batches to packed rows and back: layouts for lengths and masks, and copies.

In native code, or in torch if native code does not run. In torch's operations, one after the other, a layout
takes longer than a small layer does with its steps. Native code sorts sequences by counting and looks at each
step once. A copy goes once over the batch, whatever its strides; a table says in which row each step lies.
What is written lies in memory that is used again.
"""

import ctypes
from array import array
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from math import prod
from typing import NoReturn

import torch
from torch import Tensor

from nabi.errors import ArgumentError, ShapeError
from nabi.kernels._code import _row_layout as _code
from nabi.kernels._rows import Rows
from nabi.native import can_read, made_natively, runs_native, threads as _threads
from nabi.native.addresses import arguments_type, expect, of_array, to_fill, to_read, to_update
from nabi.native.memory import fresh, zeros

__all__ = [
    "MaskRows",
    "from_rows",
    "gather",
    "hand_out",
    "in_batch_order",
    "in_row_order",
    "rows_of_lengths",
    "rows_of_mask",
    "spread",
    "to_rows",
]

_WORD = 4
"""Bytes of a word. Copies count in words, so that the same code copies both dtypes."""

_COST = 2.0
"""Cost of a word in multiply-adds, to decide when a second thread pays off."""

_COUNTERS = 3
"""Numbers that a layout kernel leaves behind its arguments: rows moved, steps of the longest, rows."""

_CopyArguments = arguments_type(len(_code.COPY))
_LayoutArguments = arguments_type(len(_code.LAYOUT) + _COUNTERS)

_zeros = cache(zeros)

_ready: Mapping[str, int] = {}
"""Where the native code lies, once it is compiled."""


def to_rows(values: Tensor, rows: Rows, native: bool | None = None, memory: Tensor | None = None) -> Tensor:
    """Bring a batch `[B, T, width]`, or packed data `[N, width]`, into rows `[N, width]`.

    Args:
        values: the batch.
        rows: the layout.
        native: whether native code runs on `values`, where that has been found out.
        memory: for as many rows or more, where native code copies to (default: new memory).
    """
    if rows.place is not None:
        return gather(values, rows, native, memory)
    if values.dim() == 2:
        return values
    batch, time, width = values.shape
    if batch == 1:
        return values.view(time, width) if values.is_contiguous() else values.reshape(time, width)
    return values.transpose(0, 1).reshape(batch * time, width)


def from_rows(
    values: Tensor,
    rows: Rows,
    shape: Sequence[int],
    strides: Sequence[int] = (),
    native: bool | None = None,
    memory: Tensor | None = None,
) -> Tensor:
    """Copy rows back to a batch `[B, T, width]`, zero at invalid steps, or to packed data.

    Args:
        values: the rows `[N, width]`.
        rows: the layout.
        shape: of the batch `[B, T, ...]` or the packed data `[N, ...]`.
        strides: of the batch that was the input; its order in memory is taken over where a copy is made.
        native: as for `to_rows`.
        memory: a batch that native code writes over (default: new memory).
    """
    if rows.place is not None:
        time_major = len(strides) == 3 and strides[0] < strides[1]
        return spread(values, rows, shape, time_major, native, memory)
    if len(shape) == 2:
        return values
    return values.view(shape[1], shape[0], values.shape[1]).transpose(0, 1)


def hand_out(
    values: Tensor,
    rows: Rows,
    shape: Sequence[int],
    strides: Sequence[int] = (),
    native: bool | None = None,
) -> Tensor:
    """As `from_rows`, but never a view: rows that need no copy are given in a tensor of the same memory.

    autograd forbids changing a view that a function made, and a view would keep its graph alive for ever.
    """
    if rows.place is not None:
        return from_rows(values, rows, shape, strides, native)
    width = values.shape[1]
    size, stride = (shape[0], width), (width, 1)
    if len(shape) == 3:
        size, stride = (shape[0], shape[1], width), (width, shape[0] * width, 1)  # type: ignore[assignment]
    return values.new_empty(0).set_(values.untyped_storage(), 0, size, stride)


def in_row_order(states: Tensor, rows: Rows) -> Tensor:
    """Sort what belongs to sequences, `[B, width]`, as they come in the rows."""
    return states if rows.order is None else states.index_select(0, rows.order)


def in_batch_order(states: Tensor, rows: Rows) -> Tensor:
    """Sort what belongs to sequences, `[B, width]`, back as they come in the batch."""
    return states if rows.back is None else states.index_select(0, rows.back)


def gather(values: Tensor, rows: Rows, native: bool | None = None, memory: Tensor | None = None) -> Tensor:
    """Copy a batch `[B, T, width]`, or packed data `[N, width]`, to rows `[N, width]`; see `to_rows`."""
    assert rows.place is not None
    if (runs_native(values) if native is None else native) and (code := _native()) is not None:
        return copy_to_rows(code, values, _table(rows, values.shape), rows.count, memory)
    return values.reshape(-1, values.shape[-1]).index_select(0, rows.place)


def spread(
    values: Tensor,
    rows: Rows,
    shape: Sequence[int],
    time_major: bool,
    native: bool | None = None,
    memory: Tensor | None = None,
) -> Tensor:
    """Copy rows back to a batch `[B, T, width]`, zero at invalid steps, or to packed data.

    The result is not a view of another tensor.

    Args:
        values: the rows `[N, width]`.
        rows: the layout.
        shape: shape of the batch `[B, T, ...]` or the packed data `[N, ...]`.
        time_major: whether native code stores the sequences of a step together, not the steps of a sequence.
        native: as for `to_rows`.
        memory: as for `from_rows`.
    """
    assert rows.place is not None
    if values.shape[0] != rows.count:
        raise ShapeError(f"rows: expected {rows.count}, got {values.shape[0]}")
    if (runs_native(values) if native is None else native) and (code := _native()) is not None:
        return copy_from_rows(code, values.contiguous(), _table(rows, shape), shape, time_major, memory)
    batch = values.new_zeros((*shape[:-1], values.shape[1]))
    batch.view(prod(shape[:-1]), values.shape[1]).index_copy_(0, rows.place, values)
    return batch


def copy_to_rows(
    code: Mapping[str, int], values: Tensor, table: Tensor, count: int, memory: Tensor | None = None
) -> Tensor:
    """Return the rows `[count, width]` of a batch, by native code.

    Args:
        code: where it lies.
        values: `[B, T, width]` with any strides, or packed data `[N, width]`.
        table: `[B * T]` or `[N]`, int64, the row of each step, -1 where a step has none.
        count: how many rows there are.
        memory: `[M, width]`, contiguous, M not below `count`; or None for new memory.
    """
    if values.stride(-1) != 1 or values.is_neg():
        values = values.resolve_neg().contiguous()
    loops = _loops(values.shape, values.stride(), table, values.dtype)
    found = fresh((count, values.shape[-1]), values.dtype) if memory is None else memory[:count]
    block = _CopyArguments(to_fill(found), to_read(values), to_read(table), 0, *loops)
    _threads.run(code["gather"], block, _threads.threads_for(loops[0] * loops[1] * loops[-1] * _COST))
    return found


def copy_from_rows(
    code: Mapping[str, int],
    rows: Tensor,
    table: Tensor,
    shape: Sequence[int],
    time_major: bool,
    memory: Tensor | None = None,
) -> Tensor:
    """Return a batch from its rows, zero where a step has none, by native code; no view of anything.

    Args:
        code: where it lies.
        rows: `[N, width]`, contiguous.
        table: as `copy_to_rows` takes it.
        shape: of the batch, whose last number does not count.
        time_major: whether a step of all sequences shall lie together, and not all steps of a sequence.
        memory: what an earlier call with the same arguments but for the rows returned, to be written over.
    """
    width = rows.shape[1]
    strides: tuple[int, ...] = (width, 1)
    if len(shape) == 3:
        strides = (width, shape[0] * width, 1) if time_major else (shape[1] * width, width, 1)
    size = (*shape[:-1], width)
    loops = _loops(size, strides, table, rows.dtype)
    found = fresh(size, rows.dtype, strides) if memory is None else memory
    block = _CopyArguments(to_read(rows), to_fill(found), to_read(table), _zeros(loops[-1] * _WORD), *loops)
    _threads.run(code["spread"], block, _threads.threads_for(loops[0] * loops[1] * loops[-1] * _COST))
    return found


def _loops(
    sizes: Sequence[int], strides: Sequence[int], table: Tensor, dtype: torch.dtype
) -> tuple[int, ...]:
    """How a copy goes over a batch, in words; what lies nearer together comes first.

    Returns:
        Turns of the outer and the inner loop, the steps of both in the batch and in the table, and the words
        of a row.
    """
    if table.numel() != prod(sizes[:-1]) or table.dtype is not torch.int64:
        expect("table", table, (prod(sizes[:-1]),), torch.int64)
    words = dtype.itemsize // _WORD  # of an element
    width = sizes[-1] * words
    if len(sizes) == 2:
        return sizes[0], 1, strides[0] * words, 0, 1, 0, width
    if strides[0] < strides[1]:
        return sizes[1], sizes[0], strides[1] * words, strides[0] * words, 1, sizes[1], width
    return sizes[0], sizes[1], strides[0] * words, strides[1] * words, sizes[1], 1, width


def rows_of_lengths(lengths: tuple[int, ...], time: int, reverse: bool, device: torch.device) -> Rows | None:
    """Lay out the first steps of sequences; None if torch must be used.

    Args:
        lengths: the number of steps of each sequence, from 0 to `time`.
        time: the number of steps of the batch.
        reverse: whether rows run from the last step of each sequence to its first.
        device: the device of the index tensors.
    """
    if device.type != "cpu" or not can_read() or (code := _native()) is None:
        return None
    if lengths and not 0 <= min(lengths) <= max(lengths) <= time:
        raise ArgumentError(f"lengths: expected numbers from 0 to {time}, got {list(lengths)}")
    layout = _Layout(array("q", lengths), time, sum(lengths), reverse)
    return layout.run(code["of_lengths"], 0, (0, 0))


def rows_of_mask(mask: Tensor, reverse: bool) -> Rows | None:
    """Lay out the valid steps of a boolean mask `[B, T]`; None if torch must be used."""
    return MaskRows(mask.shape, reverse).rows(mask) if mask.dim() == 2 else _refuse(mask)


class MaskRows:
    """Lays out one mask after the other, all of one shape, in the same memory.

    Args:
        shape: of the masks, `[B, T]`.
        reverse: whether rows run from the last valid step of each sequence to its first.
    """

    def __init__(self, shape: Sequence[int], reverse: bool) -> None:
        self._shape, self._reverse = tuple(shape), reverse
        self._layout: _Layout | None = None

    def rows(self, mask: Tensor, native: bool | None = None) -> Rows | None:
        """Lay out the valid steps of a boolean mask; None if torch must be used.

        The next call writes over the rows of the last one. `native` says whether native code can read the
        mask, where that has been found out.
        """
        if not (can_read(mask) if native is None else native) or (code := _native()) is None:
            return None
        if mask.dtype is not torch.bool or mask.shape != self._shape:
            _refuse(mask)
        batch, time = self._shape
        if self._layout is None:
            self._layout = _Layout(array("q", bytes(8 * batch)), time, batch * time, self._reverse)
        return self._layout.run(code["of_mask"], to_read(mask), mask.stride())


def _refuse(mask: Tensor) -> NoReturn:
    raise ArgumentError(f"mask: expected booleans [B, T], got {mask.dtype} {tuple(mask.shape)}")


class _Layout:
    """The memory of a layout of at most `most` valid steps, and the arguments of the kernels that fill it."""

    def __init__(self, lengths: "array[int]", time: int, most: int, reverse: bool) -> None:
        batch, given = len(lengths), len(_code.LAYOUT)
        sizes = (batch, batch, time + 1, most, batch * time)
        # Tensors created in inference mode can't be used outside it.
        with torch.inference_mode(False) if torch.is_inference_mode_enabled() else nullcontext():
            tensors = [torch.empty(size, dtype=torch.int64) for size in sizes]
        self._tensors, self._lengths = tensors, lengths
        order, back, offset, place, table = tensors
        self._active, self._starts = [array("q", bytes(8 * (time + 1))) for _ in range(2)]
        self._block = block = _LayoutArguments()
        block[:given] = [
            of_array(lengths), 0, of_array(self._active), of_array(self._starts), to_fill(order),
            to_fill(back), to_fill(offset), to_update(place), to_fill(table),
            ctypes.addressof(block) + 8 * given, batch, time, reverse, 0, 0,
        ]  # fmt: skip

    def run(self, kernel: int, mask: int, strides: Sequence[int]) -> Rows:
        """Run a kernel, on a mask at an address with strides; the next run writes over the rows."""
        block, given = self._block, len(_code.LAYOUT)
        block[1], block[given - 2], block[given - 1] = mask, *strides
        _threads.run(kernel, block, 1)
        moved, longest, count = block[given:]
        order, back, offset, place, table = self._tensors
        active, batch = self._active[:longest].tolist(), len(self._lengths)
        rows = Rows(active, batch, order if moved else None, place[:count])
        # What would be computed when it is asked for.
        vars(rows).update(
            count=count, is_even=not active or active[-1] == batch, offset=offset[: longest + 1],
            back=back if moved else None,
        )  # fmt: skip
        rows.tables[len(table)] = table
        return rows


def _table(rows: Rows, shape: Sequence[int]) -> Tensor:
    """The row of every step of a batch `[B, T, ...]` or of packed data `[N, ...]`."""
    size = shape[0] * shape[1] if len(shape) == 3 else shape[0]
    known = rows.tables.get(size)
    return rows.table(size) if known is None else known


def _native() -> Mapping[str, int] | None:
    """Where the native code lies, None where it cannot be had."""
    return _ready or made_natively("row layout", "the layout of lengths and masks", _make_ready)


def _make_ready() -> Mapping[str, int]:
    global _ready
    _ready = _code.addresses()
    return _ready
