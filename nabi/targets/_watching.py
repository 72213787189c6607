"""Whether torch looks on: the one place that says when native code may go to memory by its address.

Native code takes numbers from memory and puts numbers there, and torch sees none of it. That is right only
while nothing records or replaces torch's operations, and only for tensors that are nothing but their memory.
Whatever is to be run on an address asks here first, at every call.
"""

import torch
from torch import Tensor
from torch._C import _functorch
from torch.autograd import forward_ad
from torch.overrides import _get_current_function_mode_stack
from torch.utils._device import DeviceContext

__all__ = ["ORDINARY", "are_ordinary", "has_memory", "is_watched"]

ORDINARY = (Tensor, torch.nn.Parameter)
"""The types of tensors that are no subclass: fake tensors, distributed ones and others are."""


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
        if type(tensor) not in ORDINARY or tensor.is_neg():
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


def _is_cpu_the_default() -> bool:
    """Whether the modes on functions only say that new tensors are on the CPU, where kernels want them."""
    modes = _get_current_function_mode_stack()
    return all(type(mode) is DeviceContext and mode.device.type == "cpu" for mode in modes)
