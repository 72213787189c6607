"""Conversion of batches to packed rows and back in native code: layouts for lengths and masks, and copies.

With torch operations, a layout takes longer than the steps of a small layer. Here sequences are sorted by
counting, and each step is visited once. A copy passes over the batch once, whatever its strides; a table
gives the row of each step. Results are written to reusable memory.
"""

import ctypes
from array import array
from collections.abc import Sequence
from functools import cache
from math import prod

import torch
from torch import Tensor

from nabi.errors import ArgumentError
from nabi.kernels._rows import Rows
from nabi.native import compiled, host, threads as _threads
from nabi.native.addresses import arguments, expect, of_array, to_fill, to_read, to_update
from nabi.native.memory import fresh, zeros

__all__ = ["COPY", "LAYOUT", "gather", "make_ready", "rows_of_lengths", "rows_of_mask", "spread"]

LAYOUT = (
    "lengths", "mask", "active", "starts", "order", "back", "offset", "place", "table", "found",
    "batch", "time", "reverse", "mask_batch", "mask_time",
)  # fmt: skip
"""Arguments of the kernels `of_lengths` and `of_mask`."""

COPY = (
    "rows", "values", "table", "zeros",
    "outer", "inner", "values_outer", "values_inner", "table_outer", "table_inner", "words",
)  # fmt: skip
"""Arguments of the kernels `gather` and `spread`."""

_WORD = 4
"""Bytes of a word. Copies count in words, so that the same code copies both dtypes."""

_COST = 2.0
"""Cost of a word in multiply-adds, to decide when a second thread pays off."""


def make_ready() -> None:
    """Compile the kernels if needed; raises `NativeError` if that fails."""
    _addresses()


def rows_of_lengths(lengths: tuple[int, ...], time: int, reverse: bool) -> Rows:
    """Lay out the first steps of sequences.

    Args:
        lengths: the number of steps of each sequence, from 0 to `time`.
        time: the number of steps of the batch.
        reverse: whether rows run from the last step of each sequence to its first.
    """
    if lengths and not 0 <= min(lengths) <= max(lengths) <= time:
        raise ArgumentError(f"lengths: expected numbers from 0 to {time}, got {list(lengths)}")
    return _lay_out("of_lengths", array("q", lengths), len(lengths), time, sum(lengths), reverse, 0, (0, 0))


def rows_of_mask(mask: Tensor, reverse: bool) -> Rows:
    """Lay out the valid steps of a boolean mask `[B, T]`."""
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
    """Run a kernel for at most `most` valid steps and a mask at address `where` with `strides`."""
    if torch.is_inference_mode_enabled():
        # Tensors created in inference mode can't be used outside it.
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
        count: the number of rows.
    """
    if values.stride(-1) != 1 or values.is_neg():
        values = values.resolve_neg().contiguous()
    expect("table", table, (prod(values.shape[:-1]),), torch.int64)
    found = fresh((count, values.shape[-1]), values.dtype)
    _copy("gather", found, values, table)
    return found


def spread(rows: Tensor, table: Tensor, shape: Sequence[int], time_major: bool) -> Tensor:
    """Return a batch from its rows, zero for steps without a row; not a view.

    Args:
        rows: `[N, width]`, contiguous.
        table: as for `gather`.
        shape: shape of the batch; its last number is ignored.
        time_major: whether the sequences of a step are stored together, not the steps of a sequence.
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
    # The axis with the smaller stride is the inner loop.
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
