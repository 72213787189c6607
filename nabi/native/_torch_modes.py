"""Whether torch watches operations: the one place that decides when native code may access memory directly.

Native code reads and writes memory without torch's knowledge. This is correct only while nothing records or
replaces torch's operations, and only for tensors that are nothing but their memory. Code that uses addresses
checks here first, at every call.
"""

from typing import Any

import torch
from torch import Tensor
from torch._C import _functorch
from torch.autograd import forward_ad
from torch.overrides import _get_current_function_mode_stack
from torch.utils._device import DeviceContext

__all__ = ["PLAIN", "are_ordinary", "has_lost_memory", "has_memory", "is_ordinary", "is_watched"]

PLAIN = (Tensor, torch.nn.Parameter)
"""The usual types of ordinary tensors; calling `is_ordinary` for every tensor would cost more."""

_ordinary: dict[type, bool] = dict.fromkeys(PLAIN, True)
"""Whether each tensor type seen so far is nothing but numbers in memory."""


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
    """Tell whether tensors are nothing but numbers in memory.

    Not ordinary are subclasses, tensors that represent a batch of gradients (`is_grads_batched`), sparse
    tensors, zeros without memory, and lazily negated views.
    """
    for tensor in tensors:
        kind = type(tensor)
        if (kind not in PLAIN and not is_ordinary(kind)) or tensor.is_neg():
            return False
        if not has_memory(tensor):
            return False
    return True


def has_memory(tensor: Tensor) -> bool:
    """Tell whether a tensor has memory for its elements; tensors on the `meta` device count as well."""
    try:
        return tensor.data_ptr() != 0 or not tensor.numel() or tensor.is_meta
    except RuntimeError:
        return False


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
