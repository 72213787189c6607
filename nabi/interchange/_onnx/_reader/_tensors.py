"""Constant tensors of ONNX files as arrays."""

import math
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np

from nabi.interchange._onnx._reader._refusal import Refusal
from nabi.targets.onnx import Tensor

__all__ = ["BFLOAT16", "BOOL", "DOUBLE", "FLOAT", "FLOAT16", "NUMPY", "array_of", "type_name"]

FLOAT, FLOAT16, DOUBLE, BFLOAT16, BOOL, STRING = 1, 10, 11, 16, 9, 8
Array = np.ndarray[Any, Any]
# How each element type is stored; bfloat16 has no type in NumPy and is read from its bits.
NUMPY: dict[int, str] = {
    FLOAT: "<f4",
    2: "|u1",
    3: "|i1",
    4: "<u2",
    5: "<i2",
    6: "<i4",
    7: "<i8",
    BOOL: "|b1",
    FLOAT16: "<f2",
    DOUBLE: "<f8",
    12: "<u4",
    13: "<u8",
    BFLOAT16: "<u2",
}
_NAMES = (
    "undefined float uint8 int8 uint16 int16 int32 int64 string bool float16 double uint32 uint64 "
    "complex64 complex128 bfloat16 float8e4m3fn float8e4m3fnuz float8e5m2 float8e5m2fnuz uint4 int4 "
    "float4e2m1 float8e8m0 uint2 int2"
)
# The typed list that holds the numbers of each element type.
_LISTS = {
    **dict.fromkeys((FLOAT,), "float_data"),
    **dict.fromkeys((DOUBLE,), "double_data"),
    **dict.fromkeys((7,), "int64_data"),
    **dict.fromkeys((12, 13), "uint64_data"),
    **dict.fromkeys((2, 3, 4, 5, 6, BOOL, FLOAT16, BFLOAT16), "int32_data"),
}
_MOST_AXES = 32


def type_name(element: int | None) -> str:
    """Return ONNX's name of an element type."""
    names = _NAMES.split()
    return names[element or 0] if (element or 0) in range(len(names)) else f"type {element}"


def array_of(tensor: Tensor, folder: Path | None) -> Array:
    """Return the numbers of a tensor; float16 and bfloat16 as float32, which holds them exactly.

    Args:
        tensor: the message.
        folder: where files with further numbers lie; None if there can be none.

    Raises:
        Refusal: if the numbers do not fit to the shape, or the type or place of the numbers is not accepted.
    """
    kind = tensor.data_type
    if kind not in NUMPY:
        hint = " (quantised weights: export the model before it is quantised)" if kind > BFLOAT16 else ""
        raise Refusal(f"tensor {tensor.name!r} has elements of {type_name(kind)}, which nabi lacks{hint}")
    if len(tensor.dims) > _MOST_AXES or any(size < 0 for size in tensor.dims):
        raise Refusal(f"tensor {tensor.name!r} has the shape {tensor.dims[:9]}", damaged=True)
    stored = np.dtype(NUMPY[kind])
    count = math.prod(tensor.dims)
    given: Any = getattr(tensor, _LISTS[kind])
    if tensor.data_location == 1:
        data = _external(tensor, folder, count * stored.itemsize)
        flat = np.frombuffer(data, stored)
    elif tensor.raw_data or not given:
        if len(tensor.raw_data) != count * stored.itemsize:
            raise Refusal(
                f"tensor {tensor.name!r} of shape {tensor.dims} needs {count * stored.itemsize} bytes, "
                f"got {len(tensor.raw_data)}",
                damaged=True,
            )
        flat = np.frombuffer(tensor.raw_data, stored)
    else:
        flat = _typed(tensor, kind, given, count)
    if kind == BFLOAT16:
        flat = (flat.astype(np.uint32) << 16).view(np.float32)
    elif kind == FLOAT16:
        flat = flat.astype(np.float32)
    elif kind == BOOL:
        flat = flat.view(np.uint8).astype(bool)  # a damaged file may hold other bytes than 0 and 1
    return flat.reshape(tensor.dims).astype(flat.dtype.newbyteorder("="), copy=False)


def _typed(tensor: Tensor, kind: int, given: list[Any], count: int) -> Array:
    if len(given) != count:
        raise Refusal(
            f"tensor {tensor.name!r} of shape {tensor.dims} needs {count} numbers, got {len(given)}",
            damaged=True,
        )
    if kind in (FLOAT, DOUBLE):
        return np.array(given, NUMPY[kind])
    wide = np.array([number & 0xFFFFFFFFFFFFFFFF for number in given], np.uint64)
    size = 8 * np.dtype(NUMPY[kind]).itemsize
    bits = (wide & np.uint64((1 << size) - 1)).astype(f"<u{size // 8}")
    return (bits != 0) if kind == BOOL else bits.view(NUMPY[kind])


def _external(tensor: Tensor, folder: Path | None, size: int) -> bytes:
    """Read the numbers from another file: one with a plain name, in the same folder, no link."""
    told = {entry.key: entry.value for entry in tensor.external_data}
    name = told.get("location", "")
    where = f"tensor {tensor.name!r}: external data {name!r}"
    if folder is None:
        raise Refusal(f"{where} can't be read here")
    if not name or name in (".", "..") or any(sign in name for sign in "/\\:\0"):
        raise Refusal(f"{where}: expected the plain name of a file in the same folder", damaged=True)
    try:
        offset, length = int(told.get("offset") or 0), int(told.get("length") or size)
    except ValueError:
        raise Refusal(f"{where}: expected whole numbers for offset and length", damaged=True) from None
    if offset < 0 or length != size:
        raise Refusal(f"{where}: the shape {tensor.dims} needs {size} bytes, got {length}", damaged=True)
    try:
        place = os.open(
            folder / name, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        )
    except OSError as problem:
        if (folder / name).is_symlink():
            raise Refusal(
                f"{where}: expected a file, got a link, which is not followed", damaged=True
            ) from None
        raise Refusal(f"{where}: {problem.strerror or problem}", damaged=True) from None
    about = os.fstat(place)
    if not stat.S_ISREG(about.st_mode):
        os.close(place)
        raise Refusal(f"{where}: expected a file", damaged=True)
    with os.fdopen(place, "rb") as file:
        if about.st_size < offset + size:
            raise Refusal(
                f"{where}: expected at least {offset + size} bytes in it, got {about.st_size}", damaged=True
            )
        file.seek(offset)
        return file.read(size)
