"""From batches to packed rows and back in native code: the layout of lengths and masks, and copies of rows.

In torch's operations, one after the other, a layout takes longer than a small layer does with its steps. Here
sequences are sorted by counting, and each step is looked at once. A copy goes once over the batch, whatever
its strides; a table says in which row each step lies. What is written lies in memory that is used again.
"""

import ctypes
from array import array
from collections.abc import Sequence
from functools import cache
from math import prod

import torch
from torch import Tensor

from nabi.errors import ArgumentError
from nabi.kernels._code._row_layout_arguments import COPY, LAYOUT
from nabi.kernels._rows import Rows
from nabi.native import compiled, host, threads as _threads
from nabi.native.addresses import arguments, expect, of_array, to_fill, to_read, to_update
from nabi.native.memory import fresh, zeros

__all__ = ["gather", "make_ready", "rows_of_lengths", "rows_of_mask", "spread"]

_WORD = 4
"""Bytes of a word. Copies count in words, so that the same code copies both types of numbers."""

_COST = 2.0
"""What a word costs in multiply-adds, to know when a second thread is worth it."""


def make_ready() -> None:
    """Compile the kernels, if that has not been done before; raises `NativeError` where it cannot be."""
    _addresses()


def rows_of_lengths(lengths: tuple[int, ...], time: int, reverse: bool) -> Rows:
    """Lay out the first steps of sequences.

    Args:
        lengths: how many steps of each sequence, from 0 to `time`.
        time: steps of the batch.
        reverse: from the last step of each sequence to its first.
    """
    if lengths and not 0 <= min(lengths) <= max(lengths) <= time:
        raise ArgumentError(f"lengths: expected numbers from 0 to {time}, got {list(lengths)}")
    return _lay_out("of_lengths", array("q", lengths), len(lengths), time, sum(lengths), reverse, 0, (0, 0))


def rows_of_mask(mask: Tensor, reverse: bool) -> Rows:
    """Lay out the steps that a mask `[B, T]` of booleans says are valid."""
    if mask.dtype is not torch.bool or mask.dim() != 2:
        raise ArgumentError(f"mask: expected booleans [B, T], got {mask.dtype} {tuple(mask.shape)}")
    batch, time = mask.shape
    lengths = array("q", bytes(8 * batch))
    return _lay_out(
        "of_mask",
        lengths,
        batch,
        time,
        batch * time,
        reverse,
        to_read(mask),
        (mask.stride(0), mask.stride(1)),
    )


def _lay_out(
    name: str,
    lengths: "array[int]",
    batch: int,
    time: int,
    most: int,
    reverse: bool,
    where: int,
    strides: tuple[int, int],
) -> Rows:
    """Run a kernel; there are `most` valid steps at most, and a mask lies at `where` with `strides`."""
    if torch.is_inference_mode_enabled():
        # Tensors that are made in it could not be used outside it.
        with torch.inference_mode(False):
            return _lay_out(name, lengths, batch, time, most, reverse, where, strides)
    sizes = (batch, batch, time + 1, most, batch * time)
    order, back, offset, place, table = [torch.empty(size, dtype=torch.int64) for size in sizes]
    starts, active = [array("q", bytes(8 * (time + 1))) for _ in range(2)]
    block = arguments(len(LAYOUT) + 3)
    block[: len(LAYOUT)] = [
        of_array(lengths), where, of_array(active), of_array(starts), to_fill(order), to_fill(back),
        to_fill(offset), to_update(place), to_fill(table), ctypes.addressof(block) + 8 * len(LAYOUT),
        batch, time, reverse, *strides,
    ]  # fmt: skip
    _threads.run(_addresses()[name], block, 1)
    moved, longest, count = block[len(LAYOUT) :]
    rows = Rows(active[:longest].tolist(), batch, order if moved else None, place[:count])
    rows.know(count=count, offset=offset[: longest + 1], back=back if moved else None, table=table)
    return rows


def gather(values: Tensor, table: Tensor, count: int) -> Tensor:
    """Return the rows `[count, width]` of a batch.

    Args:
        values: `[B, T, width]` with any strides, or packed data `[N, width]`.
        table: `[B * T]` or `[N]`, int64, the row of each step, -1 where a step has none.
        count: how many rows there are.
    """
    if values.stride(-1) != 1 or values.is_neg():
        values = values.resolve_neg().contiguous()
    expect("table", table, (prod(values.shape[:-1]),), torch.int64)
    found = fresh((count, values.shape[-1]), values.dtype)
    _copy("gather", found, values, table)
    return found


def spread(rows: Tensor, table: Tensor, shape: Sequence[int], time_major: bool) -> Tensor:
    """Return a batch from its rows, zero where a step has none; no view of anything.

    Args:
        rows: `[N, width]`, contiguous.
        table: as `gather` takes it.
        shape: of the batch, whose last number does not count.
        time_major: whether a step of all sequences shall lie together, and not all steps of a sequence.
    """
    width = rows.shape[1]
    expect("rows", rows, rows.shape, rows.dtype)
    expect("table", table, (prod(shape[:-1]),), torch.int64)
    strides: tuple[int, ...] = (width, 1)
    if len(shape) == 3:
        strides = (width, shape[0] * width, 1) if time_major else (shape[1] * width, width, 1)
    found = fresh((*shape[:-1], width), rows.dtype, strides)
    _copy("spread", rows, found, table)
    return found


def _copy(name: str, rows: Tensor, values: Tensor, table: Tensor) -> None:
    sizes, strides = values.shape, values.stride()
    words = values.dtype.itemsize // _WORD  # of an element
    width = sizes[-1] * words
    # What lies nearer together is walked through first.
    if len(sizes) == 2:
        loops = (sizes[0], 1, strides[0] * words, 0, 1, 0)
    elif strides[0] < strides[1]:
        loops = (sizes[1], sizes[0], strides[1] * words, strides[0] * words, 1, sizes[1])
    else:
        loops = (sizes[0], sizes[1], strides[0] * words, strides[1] * words, sizes[1], 1)
    of_rows, of_values = (to_fill, to_read) if name == "gather" else (to_read, to_fill)
    addresses = [of_rows(rows), of_values(values), to_read(table), zeros(width * _WORD)]
    block = arguments(len(COPY), [*addresses, *loops, width])
    threads = _threads.threads_for(loops[0] * loops[1] * width * _COST)
    _threads.run(_addresses()[name], block, threads)


@cache
def _addresses() -> dict[str, int]:
    def write() -> object:
        from nabi.kernels._code._row_layout_writer import write

        return write(machine)

    machine = host()
    names = ("of_lengths", "of_mask", "gather", "spread")
    library = compiled(("batches",), names, write, machine)
    return {name: library.address(name) for name in names}
