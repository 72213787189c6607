"""Which way a program runs: decided here for every call, by what torch does with operations at the time.

`docs/pytorch.md` has the table.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Any

import torch
from torch import Tensor

from nabi.errors import ArgumentError
from nabi.native import are_ordinary, has_lost_memory, is_watched
from nabi.native.addresses import NO_MEMORY

__all__ = ["Way", "untraced", "way_of"]


class Way(Enum):
    """How a program runs.

    Attributes:
        KERNEL: the kernel, in an autograd function where gradients are wanted. A custom operator's own
            dispatch costs more than a small layer (on torch 2.13, 175 against 46 microseconds).
        OPERATOR: `torch.ops.nabi.scan`, one node in a graph.
        DEFINITION: plain torch operations, step after step, for transforms that a custom operator answers
            with an error or, in forward mode, with zeros, and for modes that want to see the operations.
    """

    KERNEL = "kernel"
    OPERATOR = "operator"
    DEFINITION = "definition"


def way_of(x: Tensor, others: Sequence[Tensor]) -> Way:
    """Decide how to run, where native code does not, on an input and on states, weights, random numbers."""
    if torch.compiler.is_compiling() or x.is_meta:
        return Way.OPERATOR
    transformed = torch._C._functorch.peek_interpreter_stack() is not None or _forward_level() >= 0
    if torch._C._is_tracing() and not transformed:
        # A trace holds for sequences of other lengths only if the steps are not written out in it.
        if torch.onnx.is_in_onnx_export():
            # What is written then is of no use to anyone else.
            from nabi.scan._torch_onnx import register_symbolic

            register_symbolic()
        return Way.OPERATOR
    if is_watched():
        return Way.DEFINITION
    if are_ordinary(x, *others):
        return Way.KERNEL
    if has_lost_memory(x) or any(map(has_lost_memory, others)):
        raise ArgumentError(NO_MEMORY)
    return Way.DEFINITION


@contextmanager
def untraced() -> Iterator[None]:
    """Let `torch.jit.trace` see nothing of what is done here: checks of shapes, an operator's own work."""
    tracer: Any = torch._C
    state = tracer._get_tracing_state()
    if state is None:
        yield
        return
    tracer._set_tracing_state(None)
    try:
        yield
    finally:
        tracer._set_tracing_state(state)


def _forward_level() -> int:
    level: int = torch.autograd.forward_ad._current_level
    return level
