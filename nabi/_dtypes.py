"""Data types given as torch's, NumPy's, or a text."""

from typing import Any

import numpy.typing as npt
import torch

from nabi._shown import short
from nabi.errors import ArgumentError, unknown_name

__all__ = ["as_device", "as_dtype", "as_floating", "is_half", "to_numpy"]

_DTYPES = {
    "float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32, "float64": torch.float64,
    "int8": torch.int8, "int16": torch.int16, "int32": torch.int32, "int64": torch.int64,
    "uint8": torch.uint8, "bool": torch.bool,
    "half": torch.float16, "float": torch.float32, "double": torch.float64,
}  # fmt: skip


def as_dtype(dtype: Any, argument: str = "dtype") -> torch.dtype:
    """Return the torch dtype for a torch dtype, a NumPy dtype or a name; None is torch's default dtype.

    Raises:
        UnknownNameError: for anything else.

    >>> as_dtype("bfloat16"), as_dtype("torch.float64")
    (torch.bfloat16, torch.float64)
    """
    if isinstance(dtype, torch.dtype):
        return dtype
    if dtype is None:
        return torch.get_default_dtype()
    # NumPy's classes (np.float32) and Python's float have a name; NumPy's dtypes convert to it.
    name = dtype if isinstance(dtype, str) else getattr(dtype, "__name__", None) or str(dtype)
    found = _DTYPES.get(name.removeprefix("torch."))
    if found is None:
        raise unknown_name(argument, name, _DTYPES)
    return found


def is_half(dtype: torch.dtype) -> bool:
    """Tell whether a dtype has 16 bits: too few to compute weights with, and not all readable by NumPy."""
    return dtype in (torch.float16, torch.bfloat16)


def to_numpy(values: torch.Tensor) -> npt.NDArray[Any]:
    """Return the values of a tensor as an array; bfloat16, which NumPy lacks, is returned as float32."""
    if values.requires_grad:
        values = values.detach()
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy(force=True)


def as_device(device: Any) -> torch.device | None:
    """Return the device for a name; None stays None.

    Raises:
        ArgumentError: for a name that torch does not know.
    """
    try:
        return None if device is None else torch.device(device)
    except (TypeError, ValueError, RuntimeError):
        raise ArgumentError(
            f"device: expected a device such as 'cpu' or 'cuda', got {short(device)}"
        ) from None


def as_floating(dtype: Any) -> torch.dtype:
    """Return a dtype as `as_dtype` does; `ArgumentError` for integer dtypes, which weights can't have."""
    found = as_dtype(dtype)
    if not found.is_floating_point:
        raise ArgumentError(f"dtype: expected a floating-point dtype, got {found}")
    return found
