"""Which kernels a program has: those of a loop without products, or those of a loop step by step."""

from nabi.ir import Program
from nabi.targets.llvm._plan._backward import BackwardKernel
from nabi.targets.llvm._plan._chunked import ChunkedBackward, ChunkedForward
from nabi.targets.llvm._plan._forward import ForwardKernel
from nabi.targets.llvm._plan._strata import strata_of

__all__ = ["backward_type", "forward_type"]


def forward_type(program: Program) -> type[ForwardKernel]:
    """Return the kind of the forward kernel of a program."""
    return ForwardKernel if strata_of(program) is None else ChunkedForward


def backward_type(program: Program) -> type[BackwardKernel]:
    """Return the kind of its backward kernel."""
    return BackwardKernel if strata_of(program) is None else ChunkedBackward
