"""Arrays in JSON: tensors of the Open Inference Protocol, version 2, and the steps of a session."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from nabi.serving._limits import Limits
from nabi.serving._refused import RefusedError

__all__ = ["array", "finite", "from_tensor", "is_unicode", "nested", "to_tensor"]

_TYPES = {
    "BOOL": np.bool_, "UINT8": np.uint8, "UINT16": np.uint16, "UINT32": np.uint32, "UINT64": np.uint64,
    "INT8": np.int8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64,
    "FP16": np.float16, "FP32": np.float32, "FP64": np.float64,
}  # fmt: skip
_DATATYPES = {np.dtype(kind): name for name, kind in _TYPES.items()}


def array(name: str, value: Any) -> npt.NDArray[np.float32]:
    """Return nested lists of numbers as an array.

    Raises:
        RefusedError: for lists of different lengths, and for what is no number; with 422 for a number that is
            not finite as a 32-bit float.
    """
    if not isinstance(value, list):
        raise RefusedError(400, f"{name}: expected a list of numbers")
    try:
        found = np.asarray(value)
    except (ValueError, OverflowError):
        raise RefusedError(400, f"{name}: expected nested lists of equal lengths") from None
    if found.size and found.dtype.kind not in "iuf":
        raise RefusedError(400, f"{name}: expected numbers")
    with np.errstate(over="ignore"):
        return finite(name, found.astype(np.float32))


def finite(name: str, numbers: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return numbers of a client as they are.

    Raises:
        RefusedError: with 422 if one is not finite.
    """
    if not np.isfinite(numbers).all():
        raise RefusedError(422, f"{name}: expected finite numbers that fit into {numbers.dtype}")
    return numbers


def is_unicode(text: str) -> bool:
    """Return whether a text has only whole characters; JSON can hold halves of them."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def nested(name: str, found: npt.NDArray[Any]) -> list[Any]:
    """Return an array as nested lists of numbers.

    Raises:
        RefusedError: with 422 for a number that is not finite, which JSON cannot hold.
    """
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise RefusedError(422, f"{name}: the model gives numbers that are not finite for this input")
    values: list[Any] = found.tolist()
    return values


def from_tensor(tensor: Any, limits: Limits) -> npt.NDArray[Any]:
    """Return a tensor of the protocol as an array; one of type BYTES becomes an array of texts.

    Raises:
        RefusedError: for a field that is missing or wrong.
    """
    if not isinstance(tensor, dict):
        raise RefusedError(400, "inputs: expected objects with name, shape, datatype and data")
    shape, datatype, data = (tensor.get(field) for field in ("shape", "datatype", "data"))
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape) or not shape:
        raise RefusedError(400, "shape: expected a list of sizes")
    if len(shape) > 8:
        raise RefusedError(400, "shape: expected at most 8 axes")
    if shape[0] > limits.items:
        raise RefusedError(413, f"shape: expected at most {limits.items} rows, got {shape[0]}")
    if any(size > limits.steps for size in shape[1:]):
        raise RefusedError(413, f"shape: expected axes of at most {limits.steps}")
    if not isinstance(data, list):
        raise RefusedError(400, "data: expected a list; binary tensors are not supported")
    if datatype == "BYTES":
        return _texts(shape, data, limits)
    if not isinstance(datatype, str) or datatype not in _TYPES:
        raise RefusedError(400, f"datatype: expected one of BYTES, {', '.join(_TYPES)}")
    try:
        flat = np.asarray(data).reshape(-1)
    except (ValueError, OverflowError):
        raise RefusedError(400, "data: expected numbers, flat or in lists of equal lengths") from None
    if len(flat) != math.prod(shape):
        raise RefusedError(
            400, f"data: expected {math.prod(shape)} numbers for the shape {shape}, got {len(flat)}"
        )
    kind = np.dtype(_TYPES[datatype])
    if flat.dtype.kind not in ("b" if kind.kind == "b" else "iu" if kind.kind in "iu" else "iuf") and len(
        flat
    ):
        raise RefusedError(400, f"data: expected values of type {datatype}")
    with np.errstate(over="ignore"):
        values = flat.astype(kind)
    if kind.kind in "iu" and not (values == flat).all():
        raise RefusedError(400, f"data: expected values that {datatype} can hold")
    if kind.kind == "f":
        finite("data", values)
    return values.reshape(shape)


def _texts(shape: list[int], data: list[Any], limits: Limits) -> npt.NDArray[Any]:
    if len(shape) != 1 and math.prod(shape) != shape[0]:
        raise RefusedError(400, "shape: expected one text a row")
    while len(data) == 1 and isinstance(data[0], list):
        data = data[0]
    data = [one[0] if isinstance(one, list) and len(one) == 1 else one for one in data]
    if len(data) != shape[0] or not all(isinstance(one, str) for one in data):
        raise RefusedError(400, f"data: expected {shape[0]} texts")
    if any(len(one) > limits.characters for one in data):
        raise RefusedError(413, f"data: expected texts of at most {limits.characters} characters")
    if not all(map(is_unicode, data)):
        raise RefusedError(400, "data: expected characters of Unicode, got half of one")
    found = np.empty(len(data), object)
    found[:] = data
    return found


def to_tensor(name: str, found: npt.NDArray[Any]) -> dict[str, Any]:
    """Return an array as a tensor of the protocol; an array of texts has the type BYTES."""
    datatype = "BYTES" if found.dtype == object else _DATATYPES[found.dtype]
    values = nested(name, found.reshape(-1))
    return {"name": name, "shape": list(found.shape), "datatype": datatype, "data": values}
