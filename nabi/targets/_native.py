"""Whether native code may do what torch would do with plain tensors, for kernels that are no program's."""

import os

import torch
from torch import Tensor

from nabi.targets._run import _DTYPES, _is_available
from nabi.targets._watching import are_ordinary, is_watched

__all__ = ["can_read", "runs_native"]


def runs_native(*tensors: Tensor) -> bool:
    """Whether native code runs on these tensors: plain ones, on the CPU, and nothing of torch looks on."""
    return tensors[0].dtype in _DTYPES and can_read(*tensors)


def can_read(*tensors: Tensor) -> bool:
    """Whether native code may read tensors, all of one type, whatever that is; without any, just run."""
    if torch.compiler.is_compiling() or is_watched():
        return False
    dtype = tensors[0].dtype if tensors else None
    for tensor in tensors:
        if tensor.dtype is not dtype or not tensor.is_cpu:
            return False
    return are_ordinary(*tensors) and _is_available(os.environ.get("NABI_NATIVE", ""))
