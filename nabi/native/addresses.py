"""The one place where tensors become addresses, and the rules for keeping their memory alive.

A kernel knows only addresses. Each address comes from a function here, which also states how the kernel uses
it, and is stored in a block from `arguments`. Two rules hold until the kernel has returned:

- the caller of a kernel holds every tensor whose address is in the block, in a local or an attribute;
- working memory is held by the block itself, as `block.memory`.

With `NABI_GUARD` set (see `nabi.native._guard`), both rules and the kernel's memory accesses are checked at
every run. Otherwise the functions are plain `Tensor.data_ptr` and the block is an array.
"""

import ctypes
from array import array
from collections.abc import Callable, Sequence
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nabi.errors import ArgumentError, ShapeError
from nabi.native import _guard
from nabi.native._layout import ALIGNMENT, Layout, lay_out

__all__ = [
    "GUARDED",
    "NO_MEMORY",
    "Arguments",
    "Layout",
    "arguments",
    "arguments_type",
    "expect",
    "lay_out",
    "of_array",
    "start_of",
    "to_fill",
    "to_read",
    "to_update",
]

if TYPE_CHECKING:
    Arguments = ctypes.Array[ctypes.c_int64]
else:
    Arguments = ctypes.Array

NO_MEMORY = "x, states and weights: expected tensors with memory, got one whose storage has been given up"


@cache
def _array_type(size: int) -> Any:
    # ctypes frees a type that nobody holds, and creating it again takes longer than filling it.
    return ctypes.c_int64 * size


def _array(size: int, values: Sequence[int] = ()) -> Arguments:
    found: Arguments = _array_type(size)(*values)
    return found


def _array_address(values: "array[int]") -> int:
    return values.buffer_info()[0]


def _first_line(memory: Tensor, layout: Layout, kept: bool) -> int:
    start = memory.data_ptr()
    return start + -start % ALIGNMENT


arguments: Callable[..., Arguments] = _array
"""`arguments(size, values)`: a block of `size` 64-bit arguments, starting with `values`, then zeros."""

arguments_type: Callable[[int], Callable[..., Arguments]] = _array_type
"""`arguments_type(size)(*values)`: the same, for blocks of one size."""

to_read: Callable[[Tensor], int] = Tensor.data_ptr
"""The address of a tensor that a kernel only reads."""

to_fill: Callable[[Tensor], int] = Tensor.data_ptr
"""The address of a tensor of which a kernel writes every element before reading any."""

to_update: Callable[[Tensor], int] = Tensor.data_ptr
"""The address of a tensor that a kernel updates or partly writes."""

of_array: Callable[["array[int]"], int] = _array_address
"""Like `to_update`, for a Python array."""

start_of: Callable[[Tensor, Layout, bool], int] = _first_line
"""`start_of(memory, layout, kept)`: the start of a layout's arrays in memory, on a cache line.

`kept` tells whether another kernel reads the content later; otherwise it is working memory.
"""

GUARDED = bool(_guard.MODE)
"""Whether addresses remember what lies there; else the start of some memory is the same for all layouts."""

if GUARDED:
    arguments, to_read, to_fill, to_update = _guard.block, _guard.to_read, _guard.to_fill, _guard.to_update
    of_array, start_of, arguments_type = _guard.of_array, _guard.start_of, _guard.block_type


def expect(name: str, tensor: Tensor, shape: Sequence[int], dtype: torch.dtype) -> None:
    """Check that a tensor is as a kernel expects it, before its address is stored.

    Args:
        name: its name in the message.
        tensor: the tensor, to be read or written without gaps, with as many elements as `shape`.
        shape: the expected shape; another shape with the same number of elements is accepted.
        dtype: the expected dtype.

    Raises:
        ShapeError: if it has another number of elements.
        ArgumentError: if it has another dtype, is not contiguous, or is not in CPU memory.
    """
    if tensor.numel() != prod(shape):
        raise ShapeError(f"{name}: expected shape {tuple(shape)}, got {tuple(tensor.shape)}")
    if tensor.dtype is not dtype:
        raise ArgumentError(f"{name}: expected {dtype}, got {tensor.dtype}")
    if tensor.device.type != "cpu" or tensor.layout is not torch.strided:
        raise ArgumentError(
            f"{name}: expected a dense tensor on the CPU, got {tensor.layout} on {tensor.device}"
        )
    if not tensor.is_contiguous():
        raise ArgumentError(f"{name}: expected a contiguous tensor, got strides {tensor.stride()}")
