"""When native code may replace torch, and the fallback if it is unavailable.

Native code reads and writes memory without torch's knowledge. This is correct only while nothing records or
replaces torch's operations, and only for tensors that are nothing but their memory. Code that uses addresses
checks here first, at every call.

It computes with float32 and float64 on the CPU. Where it cannot be had (llvmlite is missing, the processor
is unknown, `NABI_NATIVE=0`, or one piece of code does not compile) torch computes the same, slower; a warning
says so once.
"""

import os
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch._C import _functorch
from torch.autograd import forward_ad
from torch.overrides import _get_current_function_mode_stack
from torch.utils._device import DeviceContext

from nabi.errors import ArgumentError
from nabi.native._code._machine import NativeError, why_not
from nabi.native.addresses import NO_MEMORY, to_read

__all__ = [
    "DTYPES",
    "are_ordinary",
    "are_readable",
    "can_read",
    "give_up",
    "has_failed",
    "has_lost_memory",
    "is_available",
    "is_watched",
    "made_natively",
    "plain_addresses",
    "runs_native",
    "runs_now",
]

DTYPES = (torch.float32, torch.float64)
"""The dtypes that native code supports."""

PLAIN = (Tensor, torch.nn.Parameter)
"""The usual types of ordinary tensors; calling `is_ordinary` for every tensor would cost more."""

_ordinary: dict[type, bool] = dict.fromkeys(PLAIN, True)
"""Whether each tensor type seen so far is nothing but numbers in memory."""

_failed: set[object] = set()

# Encoding and decoding the variable takes longer than a small layer's arguments. Where Python keeps
# variables in another way, the usual one serves.
_variables: Any = getattr(os.environ, "_data", os.environ)
_SETTING: Any = "NABI_NATIVE" if _variables is os.environ else os.environ.encodekey("NABI_NATIVE")

_Made = TypeVar("_Made")


def runs_native(*tensors: Tensor) -> bool:
    """Tell whether native code runs on these tensors: plain ones on the CPU, not watched by torch."""
    return tensors[0].dtype in DTYPES and can_read(*tensors)


def runs_now() -> bool:
    """Tell whether native code runs on plain tensors now: it is available, and torch watches nothing."""
    return not (torch.compiler.is_compiling() or is_watched()) and is_available()


def can_read(*tensors: Tensor) -> bool:
    """Whether native code may read tensors, all of one type, whatever that is; without any, just run.

    Raises:
        ArgumentError: a tensor's storage has been given up; torch's own operations would crash on it.
    """
    return runs_now() and are_readable(*tensors)


def are_readable(*tensors: Tensor) -> bool:
    """Whether tensors are plain ones in CPU memory, all of one type.

    Raises:
        ArgumentError: a tensor's storage has been given up.
    """
    dtype = tensors[0].dtype if tensors else None
    try:
        for tensor in tensors:
            kind = type(tensor)
            if (kind not in PLAIN and not is_ordinary(kind)) or tensor.dtype is not dtype:
                return False
            if not tensor.is_cpu or tensor.is_neg():
                return False
            if not tensor.data_ptr() and tensor.numel():
                if has_lost_memory(tensor):
                    raise ArgumentError(NO_MEMORY)
                return False
    except RuntimeError:  # it only stands for a tensor
        return False
    return True


def plain_addresses(
    tensors: Sequence[Tensor], shapes: Sequence[tuple[int, ...]], dtype: torch.dtype
) -> list[int] | None:
    """Return the addresses of tensors that a kernel only reads, if they are as most are.

    This is `can_read` and more in one pass, for calls that take as long as their checks.

    Args:
        tensors: the tensors, which the caller holds.
        shapes: the shape that each should have.
        dtype: the dtype that all should have.

    Returns:
        None if there are more or fewer, or one is not contiguous, has another shape or dtype, is no plain
        tensor or not in CPU memory, or has no memory. Kernels may be able to read it all the same.
    """
    if len(tensors) != len(shapes):
        return None
    try:
        for tensor, shape in zip(tensors, shapes, strict=True):
            if (
                type(tensor) not in PLAIN
                or tensor.dtype is not dtype
                or tensor.shape != shape
                or not tensor.is_cpu
                or not tensor.is_contiguous()
                or tensor.is_neg()
            ):
                return None
        found = [to_read(tensor) for tensor in tensors]
    except RuntimeError:  # it only stands for a tensor
        return None
    return None if 0 in found else found


def is_available() -> bool:
    """Tell whether native code runs in this process; warn once if not, unless it was turned off."""
    return _is_available(_variables.get(_SETTING))


@cache
def _is_available(setting: object) -> bool:
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


def is_ordinary(kind: type) -> bool:
    """Tell whether tensors of a type are nothing but numbers in memory.

    A subclass that takes part in torch's dispatch is not: fake tensors, distributed tensors and others. A
    parameter with extra attributes is.
    """
    known = _ordinary.get(kind)
    return _learn(kind) if known is None else known


def _learn(kind: Any) -> bool:
    found = _ordinary[kind] = (
        issubclass(kind, torch.nn.Parameter)
        and kind.__torch_function__ == torch.nn.Parameter.__torch_function__
        and kind.__torch_dispatch__ == Tensor.__torch_dispatch__
    )
    return found


def is_watched() -> bool:
    """Tell whether something in torch records, replaces or transforms operations in this thread.

    That is a trace (`torch.jit.trace`), a mode (fake tensors, `make_fx`, operation counters, a default device
    other than the CPU), a transform of `torch.func`, or forward mode. Hooks on saved tensors and autocast do
    not count: they concern what autograd saves and dtypes, which callers of kernels handle. For
    `torch.compile`, callers check `torch.compiler.is_compiling` first.
    """
    modes = torch._C
    level: int = forward_ad._current_level
    return (
        modes._len_torch_dispatch_stack() > 0
        or (modes._len_torch_function_stack() > 0 and not _is_cpu_the_default())
        or modes._is_tracing()
        or _functorch.peek_interpreter_stack() is not None
        or level >= 0
    )


def are_ordinary(*tensors: Tensor) -> bool:
    """Whether tensors are nothing but numbers in memory, or would be on the `meta` device.

    Not ordinary are subclasses, tensors that represent a batch of gradients (`is_grads_batched`), sparse
    tensors, zeros without memory, and lazily negated views.
    """
    try:
        for tensor in tensors:
            kind = type(tensor)
            if (kind not in PLAIN and not is_ordinary(kind)) or tensor.is_neg():
                return False
            if not tensor.data_ptr() and tensor.numel() and not tensor.is_meta:
                return False
    except RuntimeError:
        return False
    return True


def has_lost_memory(tensor: Tensor) -> bool:
    """Tell whether a tensor's storage was freed, as in a sharded model between two steps.

    torch's own operations crash on such a tensor.
    """
    if not is_ordinary(type(tensor)) or tensor.is_meta or tensor.layout is not torch.strided:
        return False
    if _functorch.is_functorch_wrapped_tensor(tensor) or tensor._is_zerotensor() or not tensor.numel():
        return False
    return tensor.untyped_storage().nbytes() == 0


def _is_cpu_the_default() -> bool:
    """Tell whether the active function modes only set the CPU as default device, which kernels expect."""
    modes = _get_current_function_mode_stack()
    return all(type(mode) is DeviceContext and mode.device.type == "cpu" for mode in modes)
