"""Whether native code may do what torch would do, and what happens where it cannot be made.

Native code is for float32 and float64 on the CPU. Where it cannot be had (llvmlite is missing, the processor
is unknown, `NABI_NATIVE=0`, or one piece of code does not compile) torch computes the same, slower; a warning
says so once.
"""

import os
import warnings
from collections.abc import Callable
from functools import cache
from typing import TypeVar

import torch
from torch import Tensor

from nabi.native._code._machine import NativeError, why_not
from nabi.native._torch_modes import are_ordinary, is_watched

__all__ = ["DTYPES", "can_read", "give_up", "has_failed", "is_available", "made_natively", "runs_native"]

DTYPES = (torch.float32, torch.float64)
"""The types that native code computes with."""

_failed: set[object] = set()

_Made = TypeVar("_Made")


def runs_native(*tensors: Tensor) -> bool:
    """Whether native code runs on these tensors: plain ones, on the CPU, and nothing of torch looks on."""
    return tensors[0].dtype in DTYPES and can_read(*tensors)


def can_read(*tensors: Tensor) -> bool:
    """Whether native code may read tensors, all of one type, whatever that is; without any, just run."""
    if torch.compiler.is_compiling() or is_watched():
        return False
    dtype = tensors[0].dtype if tensors else None
    for tensor in tensors:
        if tensor.dtype is not dtype or not tensor.is_cpu:
            return False
    return are_ordinary(*tensors) and is_available()


def is_available() -> bool:
    """Whether native code runs in this process; says once why not, unless it was turned off."""
    return _is_available(os.environ.get("NABI_NATIVE", ""))


@cache
def _is_available(setting: str) -> bool:
    reason = why_not()
    if reason is not None and not setting:
        warnings.warn(f"no native code here, layers run slower: {reason}", RuntimeWarning, stacklevel=3)
    return reason is None


def made_natively(key: object, what: str, make: Callable[[], _Made]) -> _Made | None:
    """Return what `make` returns, or None if its code cannot be compiled, now or earlier.

    Args:
        key: names the code, so that it is tried only once.
        what: names it in the warning.
        make: compiles the code; it raises `NativeError` where that fails.
    """
    if key in _failed:
        return None
    try:
        return make()
    except NativeError as problem:
        give_up(key, what, problem)
        return None


def has_failed(key: object) -> bool:
    """Whether the code of this name could not be compiled earlier."""
    return bool(_failed) and key in _failed


def give_up(key: object, what: str, problem: Exception) -> None:
    """Leave to torch from now on what could not be compiled, and say so once."""
    if key not in _failed:
        _failed.add(key)
        warnings.warn(f"no native code for {what}, it runs slower: {problem}", RuntimeWarning, stacklevel=4)
