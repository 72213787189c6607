"""Arrays inside configs, which are JSON: the values of an initializer that was given an array."""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nabi import _checks
from nabi.errors import ArgumentError

__all__ = ["as_constant", "config_of"]


def as_constant(value: Any) -> float | Tensor:
    """Return a number as a float, and an array, a list or what `config_of` returned as a tensor.

    Raises:
        ArgumentError: for what holds no real numbers.
    """
    if isinstance(value, Mapping):
        value = _from_config(value)
    elif isinstance(value, str | bytes) or getattr(value, "shape", None) == () or np.isscalar(value):
        return _checks.real("value", value)
    if isinstance(value, Tensor):
        tensor = value.detach().to("cpu", copy=True)
    else:
        try:
            tensor = torch.tensor(np.asarray(value))
        except (TypeError, ValueError, RuntimeError):
            tensor = None  # a ragged list, or no numbers
    if tensor is None or tensor.is_complex() or tensor.dtype == torch.bool or not tensor.dim():
        raise ArgumentError(f"value: expected a number or an array of numbers, got {_checks.short(value)}")
    return tensor


def config_of(value: float | Tensor) -> float | dict[str, Any]:
    """Return a value as JSON can hold it; an array by its shape, its dtype and its bytes, which is exact.

    >>> config_of(as_constant([1.0, 2.0]))
    {'shape': [2], 'dtype': 'float64', 'base64': 'AAAAAAAA8D8AAAAAAAAAQA=='}
    """
    if not isinstance(value, Tensor):
        return value
    content = value.contiguous().flatten().view(torch.uint8).numpy().tobytes()
    name = str(value.dtype).removeprefix("torch.")
    return {
        "shape": list(value.shape),
        "dtype": name,
        "base64": base64.b64encode(content).decode("ascii"),
    }


def _from_config(config: Mapping[str, Any]) -> Any:
    if config.get("class_name") in ("__numpy__", "__tensor__"):  # how Keras writes an array
        return np.asarray(config["config"]["value"], dtype=config["config"].get("dtype"))
    try:
        content = bytearray(base64.b64decode(config["base64"], validate=True))
        dtype = getattr(torch, config["dtype"])
        if not isinstance(dtype, torch.dtype):
            raise TypeError("not a data type")
        values = torch.frombuffer(content, dtype=dtype) if content else torch.empty(0, dtype=dtype)
        return values.reshape(config["shape"])
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as problem:
        raise ArgumentError(
            f"value: expected the shape, dtype and base64 of an array, got {_checks.short(dict(config))}"
        ) from problem
