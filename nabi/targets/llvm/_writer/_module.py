"""From the plan of a kernel to its module."""

from llvmlite import ir

from nabi.targets.llvm._plan._backward import BackwardKernel
from nabi.targets.llvm._plan._chunked import ChunkedBackward, ChunkedForward
from nabi.targets.llvm._plan._forward import ForwardKernel
from nabi.targets.llvm._writer._backward import BackwardWriter
from nabi.targets.llvm._writer._chunked_backward import ChunkedBackwardWriter
from nabi.targets.llvm._writer._chunked_forward import ChunkedForwardWriter
from nabi.targets.llvm._writer._forward import ForwardWriter

__all__ = ["write_module"]


def write_module(kernel: ForwardKernel | BackwardKernel) -> ir.Module:
    """Write the module of a kernel."""
    if isinstance(kernel, ChunkedForward):
        return ChunkedForwardWriter(kernel).write()
    if isinstance(kernel, ChunkedBackward):
        return ChunkedBackwardWriter(kernel).write()
    writer = ForwardWriter(kernel) if isinstance(kernel, ForwardKernel) else BackwardWriter(kernel)
    return writer.write()
