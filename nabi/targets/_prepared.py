"""A program that is run forward and backward again and again, with the same weights over the same rows."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from nabi.ir import Program
from nabi.kernels import Rows
from nabi.native import give_up
from nabi.targets._run import Record, is_native, name_of, run_backward, run_forward

__all__ = ["Prepared", "prepare"]


class Prepared(Protocol):
    """What is settled once for all steps of a training; a step is `forward`, then `backward`."""

    def forward(self, x: Tensor, initial: Sequence[Tensor]) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        """Run forward from input rows `[N, D]`, or `[1, N, D]`, and initial states `[B, width]`.

        Returns:
            The rows of the states that are kept, and the final states `[B, width]`.
        """

    def backward(
        self,
        state_cotangents: Sequence[Tensor],
        final_cotangents: Sequence[Tensor | None],
        need_input: bool,
    ) -> tuple[Tensor | None, Sequence[Tensor | None]]:
        """Run backward what ran forward last.

        Args:
            state_cotangents: of the rows of each state that is kept, `[N, width]`.
            final_cotangents: of each final state `[B, width]`, or None.
            need_input: whether the gradient of the input rows is wanted.

        Returns:
            The gradient of the input rows `[N, D]` if it is wanted, and those of the families, None where not
            needed. The next step may write its gradients over them.
        """


def prepare(
    program: Program,
    rows: Rows,
    x: Tensor,
    initial: Sequence[Tensor],
    families: Sequence[Tensor],
    *,
    keep: tuple[int, ...],
    need_families: tuple[bool, ...],
) -> Prepared:
    """Settle how a program runs on the target that can and is fastest.

    Args:
        program: the program, without random inputs.
        rows: the layout of all steps.
        x, initial: such tensors as the steps will be given.
        families: the weights. They may be written to between two steps, but not lie elsewhere.
        keep: the states whose rows are wanted.
        need_families: for each family whether its gradient is wanted.
    """
    # A weight that would be copied into a layout that kernels read is copied at every step.
    in_place = all(family.is_contiguous() or 1 in family.stride() for family in families)
    if in_place and is_native(program, (x, *initial, *families)):
        from nabi.targets.llvm import _kernel
        from nabi.targets.llvm._prepared import PreparedNative

        try:
            return PreparedNative(program, rows, x.dtype, families, keep=keep, need_families=need_families)
        except _kernel.NativeError as problem:
            give_up(program.key, name_of(program), problem)
    return _General(program, rows, families, keep, need_families)


class _General:
    """Nothing is settled: every step is run as any other."""

    def __init__(
        self,
        program: Program,
        rows: Rows,
        families: Sequence[Tensor],
        keep: tuple[int, ...],
        need_families: tuple[bool, ...],
    ) -> None:
        self._program, self._rows, self._families = program, rows, families
        self._keep, self._need_families = keep, need_families
        self._record: Record | None = None
        self._x: Tensor | None = None
        self._last: Sequence[Tensor | None] | None = None

    def forward(self, x: Tensor, initial: Sequence[Tensor]) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        self._x = x = x.reshape(-1, x.shape[-1])
        states, finals, self._record = run_forward(
            self._program, self._rows, x, tuple(initial), self._families, (), keep=self._keep, save=True
        )
        return [state for state in states if state is not None], finals

    def backward(
        self,
        state_cotangents: Sequence[Tensor],
        final_cotangents: Sequence[Tensor | None],
        need_input: bool,
    ) -> tuple[Tensor | None, Sequence[Tensor | None]]:
        assert self._record is not None
        assert self._x is not None
        x, self._x = self._x, None
        record, self._record = self._record, None
        given: list[Tensor | None] = [None] * len(self._program.state_names)
        for i, cotangent in zip(self._keep, state_cotangents, strict=True):
            given[i] = cotangent
        found = run_backward(
            self._program, self._rows, record, self._families, given, final_cotangents,
            need_input=need_input, need_initial=False, need_families=self._need_families, into=self._last,
        )  # fmt: skip
        self._last = found.families
        # No equation reads the input: its gradient is zero.
        dx = torch.zeros_like(x) if need_input and found.x is None else found.x
        return dx, found.families
