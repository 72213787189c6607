"""Data as users have it, made into tensors."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from nabi._dtypes import to_numpy
from nabi.errors import ArgumentError

__all__ = ["resolve_device", "sample_count", "to_tensor"]


def to_tensor(argument: str, value: Any, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A tensor of an array, list or tensor: numbers with a fraction become `dtype`, whole numbers int64.

    Raises:
        ArgumentError: for anything that is not a rectangular block of numbers.
    """
    tensor = value if isinstance(value, Tensor) else _from_array(argument, value)
    if tensor.is_floating_point():
        wanted = dtype
    elif tensor.is_complex():
        raise ArgumentError(f"{argument}: complex numbers were given, real ones are expected")
    else:
        wanted = torch.int64
    return tensor.detach().to(device=device, dtype=wanted)


def _from_array(argument: str, value: Any) -> Tensor:
    if isinstance(value, list | tuple) and any(isinstance(part, Tensor) for part in value):
        value = [to_numpy(part) if isinstance(part, Tensor) else part for part in value]
    # A list with one array in it is Keras' way of giving the only input of a model.
    if isinstance(value, list | tuple) and len(value) == 1 and getattr(value[0], "ndim", 0) > 1:
        value = value[0]
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as problem:
        raise ArgumentError(
            f"{argument}: the rows have different lengths or are no numbers ({problem}); "
            "pad sequences with nabi.preprocessing.sequence.pad_sequences"
        ) from problem
    if array.dtype.kind not in "fiub":
        raise ArgumentError(f"{argument}: got values of type {array.dtype}, expected numbers")
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        array = array.astype(np.int64)
    if not (array.flags.writeable and array.flags.aligned) or any(step < 0 for step in array.strides):
        array = array.copy()
    if array.dtype.byteorder == ">" or array.dtype.itemsize > 8:
        array = array.astype(np.float64 if array.dtype.kind == "f" else np.int64)
    return torch.from_numpy(array)


def sample_count(argument: str, tensor: Tensor) -> int:
    """How many samples a tensor holds.

    Raises:
        ArgumentError: if it has no axis of samples, or nothing on it.
    """
    if tensor.ndim == 0 or tensor.shape[0] == 0:
        raise ArgumentError(
            f"{argument}: shape {tuple(tensor.shape)} was given, expected at least one sample"
        )
    return tensor.shape[0]


def resolve_device(device: str | torch.device) -> torch.device:
    """The device of that name.

    Raises:
        ArgumentError: if there is no such device, or not on this machine.

    >>> resolve_device("cpu")
    device(type='cpu')
    """
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError, ValueError) as problem:
        raise ArgumentError(
            f"device: {device!r} was asked for, this machine has {', '.join(_devices())}"
        ) from problem
    return found


def _devices() -> list[str]:
    there = ["cpu"]
    there += [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        there.append("mps")
    return there
