"""Whether torch looks on: the one place that says when native code may go to memory by its address.

Native code takes numbers from memory and puts numbers there, and torch sees none of it. That is right only
while nothing records or replaces torch's operations, and only for tensors that are nothing but their memory.
Whatever is to be run on an address asks here first, at every call.
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
"""The usual types of ordinary tensors; asking `is_ordinary` of every tensor of every call would cost more."""

_ordinary: dict[type, bool] = dict.fromkeys(PLAIN, True)
"""For each type of tensor met so far whether it is nothing but numbers in memory."""


def is_ordinary(kind: type) -> bool:
    """Whether tensors of a type are nothing but numbers in memory.

    A subclass that takes part in torch's dispatch is not: fake tensors, distributed ones and others. A
    parameter with attributes of its own is.
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
    """Whether something in torch records, replaces or transforms operations in this thread.

    That is a trace (`torch.jit.trace`), a mode (fake tensors, `make_fx`, counters of operations, a default
    device other than the CPU), a transform of `torch.func`, or forward mode. Hooks on saved tensors and
    autocast are none: they look at what autograd keeps and at data types, and whoever calls a kernel minds
    both. `torch.compile` asks `torch.compiler.is_compiling`, before this.
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
    """Whether tensors are nothing but numbers in memory.

    Others are subclasses, tensors that stand for a batch of gradients (`is_grads_batched`), sparse ones,
    zeros without memory, and views that are still to be negated.
    """
    for tensor in tensors:
        kind = type(tensor)
        if (kind not in PLAIN and not is_ordinary(kind)) or tensor.is_neg():
            return False
        if not has_memory(tensor):
            return False
    return True


def has_memory(tensor: Tensor) -> bool:
    """Whether the elements of a tensor lie somewhere, or would on the `meta` device."""
    try:
        return tensor.data_ptr() != 0 or not tensor.numel() or tensor.is_meta
    except RuntimeError:
        return False


def has_lost_memory(tensor: Tensor) -> bool:
    """Whether a tensor's storage was given up, as those of a sharded model are between two steps.

    torch's own operations crash on such a tensor.
    """
    if not is_ordinary(type(tensor)) or tensor.is_meta or tensor.layout is not torch.strided:
        return False
    if _functorch.is_functorch_wrapped_tensor(tensor) or tensor._is_zerotensor() or not tensor.numel():
        return False
    return tensor.untyped_storage().nbytes() == 0


def _is_cpu_the_default() -> bool:
    """Whether the modes on functions only say that new tensors are on the CPU, where kernels want them."""
    modes = _get_current_function_mode_stack()
    return all(type(mode) is DeviceContext and mode.device.type == "cpu" for mode in modes)
