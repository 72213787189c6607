"""When native code may replace torch, and the fallback if it is unavailable.

Native code supports float32 and float64 on the CPU. If it is unavailable (llvmlite is missing, the processor
is unknown, `NABI_NATIVE=0`, or a kernel does not compile), torch computes the same, more slowly; a warning is
issued once.
"""

import os
import warnings
from collections.abc import Callable
from functools import cache
from typing import TypeVar

import torch
from torch import Tensor

from nabi.native._machine import NativeError, why_not
from nabi.native._torch_modes import are_ordinary, is_watched

__all__ = ["DTYPES", "can_read", "give_up", "has_failed", "is_available", "made_natively", "runs_native"]

DTYPES = (torch.float32, torch.float64)
"""The dtypes that native code supports."""

_failed: set[object] = set()

_Made = TypeVar("_Made")


def runs_native(*tensors: Tensor) -> bool:
    """Tell whether native code runs on these tensors: plain ones on the CPU, not watched by torch."""
    return tensors[0].dtype in DTYPES and can_read(*tensors)


def can_read(*tensors: Tensor) -> bool:
    """Tell whether native code may read tensors of any one dtype; without tensors, whether it may run."""
    if torch.compiler.is_compiling() or is_watched():
        return False
    dtype = tensors[0].dtype if tensors else None
    for tensor in tensors:
        if tensor.dtype is not dtype or not tensor.is_cpu:
            return False
    return are_ordinary(*tensors) and is_available()


def is_available() -> bool:
    """Tell whether native code runs in this process; warn once if not, unless it was turned off."""
    return _is_available(os.environ.get("NABI_NATIVE", ""))


@cache
def _is_available(setting: str) -> bool:
    reason = why_not()
    if reason is not None and not setting:
        warnings.warn(
            f"native code is unavailable, layers run slower: {reason}", RuntimeWarning, stacklevel=3
        )
    return reason is None


def made_natively(key: object, what: str, make: Callable[[], _Made]) -> _Made | None:
    """Return the result of `make`, or None if its code can't be compiled, now or earlier.

    Args:
        key: identifies the code, so that it is tried only once.
        what: name of the code in the warning.
        make: compiles the code; raises `NativeError` if that fails.
    """
    if key in _failed:
        return None
    try:
        return make()
    except NativeError as problem:
        give_up(key, what, problem)
        return None


def has_failed(key: object) -> bool:
    """Tell whether compiling this code failed earlier."""
    return bool(_failed) and key in _failed


def give_up(key: object, what: str, problem: Exception) -> None:
    """Use torch from now on for code that could not be compiled, and warn once."""
    if key not in _failed:
        _failed.add(key)
        warnings.warn(f"no native code for {what}, it runs slower: {problem}", RuntimeWarning, stacklevel=4)
