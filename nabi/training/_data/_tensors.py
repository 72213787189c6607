"""Conversion of user data to tensors."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from nabi._dtypes import to_numpy
from nabi.errors import ArgumentError

__all__ = ["resolve_device", "sample_count", "to_tensor"]


_USUAL = {np.dtype(name): getattr(torch, name) for name in ("float32", "float64", "int64")}


def to_tensor(argument: str, value: Any, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Convert an array, list or tensor to a tensor: floats become `dtype`, integers int64.

    Raises:
        ArgumentError: for anything that is not a rectangular block of numbers.
    """
    # Most arrays are as they should be, and looking at all that may be wrong takes longer than a small layer.
    if type(value) is np.ndarray and value.flags.carray and device.type == "cpu":
        kind = _USUAL.get(value.dtype)
        if kind is dtype or kind is torch.int64:
            return torch.from_numpy(value)
        if kind is not None and dtype.is_floating_point:
            return torch.from_numpy(value).to(dtype)
    tensor = value if isinstance(value, Tensor) else _from_array(argument, value)
    if tensor.is_floating_point():
        wanted = dtype
    elif tensor.is_complex():
        raise ArgumentError(f"{argument}: expected real numbers, got complex ones")
    else:
        wanted = torch.int64
    if tensor is not value and tensor.dtype is wanted and device.type == "cpu":
        return tensor  # new, and as it is wanted
    return tensor.detach().to(device=device, dtype=wanted)


def _from_array(argument: str, value: Any) -> Tensor:
    if isinstance(value, list | tuple) and any(isinstance(part, Tensor) for part in value):
        value = [to_numpy(part) if isinstance(part, Tensor) else part for part in value]
    # In Keras, a list of one array is the only input of a model.
    if isinstance(value, list | tuple) and len(value) == 1 and getattr(value[0], "ndim", 0) > 1:
        value = value[0]
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as problem:
        raise ArgumentError(
            f"{argument}: the rows have different lengths or are not numbers ({problem}); "
            "pad sequences with nabi.preprocessing.sequence.pad_sequences"
        ) from problem
    if array.dtype.kind not in "fiub":
        raise ArgumentError(f"{argument}: expected numbers, got values of type {array.dtype}")
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        array = array.astype(np.int64)
    if not (array.flags.writeable and array.flags.aligned) or any(step < 0 for step in array.strides):
        array = array.copy()
    if array.dtype.byteorder == ">" or array.dtype.itemsize > 8:
        array = array.astype(np.float64 if array.dtype.kind == "f" else np.int64)
    return torch.from_numpy(array)


def sample_count(argument: str, tensor: Tensor) -> int:
    """Return the number of samples in a tensor.

    Raises:
        ArgumentError: if it has no axis of samples, or no samples.
    """
    if tensor.ndim == 0 or tensor.shape[0] == 0:
        raise ArgumentError(f"{argument}: expected at least one sample, got shape {tuple(tensor.shape)}")
    return tensor.shape[0]


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the device of that name.

    Raises:
        ArgumentError: if there is no such device on this machine.

    >>> resolve_device("cpu")
    device(type='cpu')
    """
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError, ValueError) as problem:
        raise ArgumentError(
            f"device: expected one of this machine's devices {', '.join(_devices())}, got {device!r}"
        ) from problem
    return found


def _devices() -> list[str]:
    there = ["cpu"]
    there += [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        there.append("mps")
    return there
