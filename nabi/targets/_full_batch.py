"""A program over batches in which every sequence has every step: the case that is called most.

Whether native code runs it is asked at every call, because that depends on an environment variable and on
modes of torch. All else is settled once for every size of a batch.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from nabi.ir import Program
from nabi.kernels import Rows
from nabi.native import give_up, has_memory
from nabi.targets._run import is_native, name_of

__all__ = ["BatchShape", "FullBatch", "full_batch"]


class BatchShape(NamedTuple):
    """What is to be run, as far as it decides about code and memory.

    Attributes:
        batch, time: sequences and steps, at least one each.
        time_major: whether input and output are `[T, B, width]` or `[B, T, width]`.
        stacked: whether states are `[1, B, width]` or `[B, width]`.
        columns_first: for each family whether what an output reads lies side by side in memory.
        save: whether a backward pass will follow.
    """

    batch: int
    time: int
    time_major: bool
    stacked: bool
    columns_first: tuple[bool, ...]
    save: bool


class FullBatch(Protocol):
    """A program over batches of one shape. What it is given lies contiguous, input and output time first."""

    def forward(
        self, x: Tensor, initial: Sequence[Tensor] | None, families: Sequence[Tensor], lines: Sequence[int]
    ) -> tuple[Tensor, tuple[Tensor, ...], Any]:
        """Run forward.

        Args:
            x: input `[T, B, D]`.
            initial: initial states, or None for zeros.
            families: weights.
            lines: how far the lines of each lie apart in memory.

        Returns:
            The first state at every step, the final states, and the record for `backward`, None if there
            will be none. The record does not hold the output: autograd does, and both would never be free.
        """

    def backward(
        self,
        record: Any,
        output: Tensor,
        families: Sequence[Tensor],
        lines: Sequence[int],
        output_cotangent: Tensor | None,
        final_cotangents: Sequence[Tensor | None],
        *,
        need_input: bool,
        need_initial: bool,
        need_families: bool,
    ) -> tuple[Tensor | None, list[Tensor | None], list[Tensor]] | None:
        """Run backward.

        Args:
            record, output, families, lines: from and as in `forward`.
            output_cotangent: `[T, B, width]`, or None.
            final_cotangents: of the final states, or None.
            need_input, need_initial, need_families: which gradients are wanted; initial states were given
                if theirs are.

        Returns:
            The gradients of the input and of the initial states, None unless wanted, and those of all
            families or of none. None alone if no native code can be made.
        """


def full_batch(program: Program, shape: BatchShape, tensors: Sequence[Tensor]) -> FullBatch | None:
    """Return what runs a program without random inputs over such batches; None where native code does not.

    Args:
        program: the program.
        shape: the batches.
        tensors: input, initial states and weights.
    """
    if not is_native(program, tensors):
        return None
    for tensor in tensors[: len(tensors) - len(program.families)]:
        if not has_memory(tensor):
            return None
    return _native(program, shape, tensors[0].dtype)


@lru_cache(maxsize=256)
def _native(program: Program, shape: BatchShape, dtype: torch.dtype) -> FullBatch | None:
    from nabi.native import NativeError
    from nabi.targets.llvm._full_batch import NativeFullBatch

    rows = Rows([shape.batch] * shape.time, shape.batch)
    try:
        return NativeFullBatch(program, shape, rows, dtype)
    except NativeError as problem:
        give_up(program.key, name_of(program), problem)
        return None
