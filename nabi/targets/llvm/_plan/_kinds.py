"""Which kernels a program has: those of a loop without products, or those of a loop step by step."""

from typing import Any

from nabi.ir import Program
from nabi.targets.llvm._plan._backward import BackwardKernel
from nabi.targets.llvm._plan._chunked import ChunkedBackward, ChunkedForward
from nabi.targets.llvm._plan._forward import ForwardKernel
from nabi.targets.llvm._plan._strata import strata_of

__all__ = ["goes_in_chunks", "make_backward", "make_forward"]


def goes_in_chunks(program: Program, few_rows: bool) -> bool:
    """Tell whether both kernels of a program go chunk by chunk, because they can and it pays."""
    strata = strata_of(program)
    return strata is not None and strata.pays(few_rows)


def make_forward(*arguments: Any, **options: Any) -> ForwardKernel:
    """Make the forward kernel of a program; arguments as `ForwardKernel` takes them."""
    kernel = ForwardKernel(*arguments, **options)
    in_chunks = goes_in_chunks(kernel.program, kernel.few_rows)
    return ChunkedForward(*arguments, **options) if in_chunks else kernel


def make_backward(*arguments: Any, **options: Any) -> BackwardKernel:
    """Make the backward kernel of a program; arguments as `BackwardKernel` takes them."""
    kernel = BackwardKernel(*arguments, **options)
    in_chunks = goes_in_chunks(kernel.program, kernel.few_rows)
    return ChunkedBackward(*arguments, **options) if in_chunks else kernel
