"""Who runs a program's kernels, and what stays from run to run: rows, a shape, weights, packed weights."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nabi.errors import ArgumentError, ShapeError
from nabi.ir import Program
from nabi.kernels import Rows
from nabi.native import are_readable, made_natively
from nabi.native.addresses import lay_out, to_read
from nabi.native.memory import Block, new_memory
from nabi.targets.llvm._binder._bound import (
    FEW,
    Backward,
    Fixed,
    Forward,
    bind_backward,
    bind_forward,
    bound_backward,
    bound_forward,
)
from nabi.targets.llvm._binder._records import NativeRecord
from nabi.targets.llvm._compiled import Compiled, forward_kernel
from nabi.targets.llvm._plan._forward import ForwardKernel

__all__ = ["Passes", "Steps", "layout_of", "readable", "run_backward", "run_forward", "weights_of"]

_BATCH_SIZES = 64
"""Sizes of a batch that single steps keep ready."""


def run_forward(
    program: Program,
    rows: Rows,
    x: Tensor,
    initial: tuple[Tensor, ...] | None,
    families: Sequence[Tensor],
    noises: Sequence[Tensor],
    *,
    keep: tuple[int, ...],
    save: bool,
) -> tuple[list[Tensor | None], tuple[Tensor, ...], NativeRecord | None]:
    """Run a program over packed rows; see the eager kernel. Noises come as rows, and no states are zeros."""
    families, columns_first, lines = readable(program, families, x.dtype)
    bound = bound_forward(
        program, x.dtype, columns_first, keep, save, rows.zero is not None, rows.batch, rows.count,
        len(rows.active),
    )  # fmt: skip
    states, finals, record = bound.run(rows, x, initial, list(map(to_read, families)), lines, noises)
    if record is not None:
        record.states = states
    return states, finals, record


def run_backward(
    program: Program,
    rows: Rows,
    record: NativeRecord,
    families: Sequence[Tensor],
    state_cotangents: Sequence[Tensor | None],
    final_cotangents: Sequence[Tensor | None],
    *,
    need_input: bool,
    need_initial: bool,
    need_families: tuple[bool, ...],
) -> tuple[Tensor | None, tuple[Tensor | None, ...], tuple[Tensor | None, ...]]:
    """Run the derivative over packed rows; see the eager kernel."""
    families, columns_first, lines = readable(program, families, record.x.dtype)
    keep = tuple([i for i, state in enumerate(record.states) if state is not None])
    given = tuple([i for i, cotangent in enumerate(state_cotangents) if cotangent is not None])
    bound = bound_backward(
        program, record.x.dtype, columns_first, keep, given, need_input, True in need_families,
        rows.zero is not None, rows.cut is not None, rows.batch, rows.count, len(rows.active),
    )  # fmt: skip
    dx, initial, gradients = bound.run(
        rows, record, families, lines, record.states, state_cotangents, final_cotangents,
        need_input=need_input, need_initial=need_initial,
    )  # fmt: skip
    found: Sequence[Tensor | None] = gradients or [None] * len(families)
    wanted = [g if needed else None for g, needed in zip(found, need_families, strict=True)]
    return dx, tuple(initial), tuple(wanted)


class Passes:
    """A program bound to rows, run forward and backward again and again.

    Args:
        program: the program, without random inputs.
        rows: the layout.
        dtype: of all tensors.
        columns_first: how the weights lie in memory; see `layout_of`.
        keep: the states whose values at every step are wanted.
        save: whether a backward pass will follow.
        batched: see `Bound`.
        from_zeros: whether no states will be given to start from.

    Raises:
        NativeError: if the forward kernel cannot be made.
    """

    def __init__(
        self,
        program: Program,
        rows: Rows,
        dtype: torch.dtype,
        columns_first: tuple[bool, ...],
        *,
        keep: tuple[int, ...],
        save: bool,
        batched: tuple[int, bool, bool] | None = None,
        from_zeros: bool = False,
    ) -> None:
        self._program, self._rows, self._dtype, self._columns_first = program, rows, dtype, columns_first
        self._keep, self._batched = keep, batched
        self._forward = bind_forward(
            program, dtype, columns_first, keep, save, rows.zero is not None, rows.batch, rows.count,
            len(rows.active), batched, from_zeros,
        )  # fmt: skip
        # Blocks of light kernels that no thread uses now; None where any run of the kernel may use them.
        self._light: list[Any] | None = None
        self._backward: dict[tuple[tuple[int, ...], bool, bool], tuple[Backward, list[Any] | None]] = {}

    def own(self) -> "Passes":
        """Return passes by the same forward kernel for whoever keeps them: with arguments of their own.

        These need not be looked up, and have working memory of their own if that is little.
        """
        found = copy.copy(self)
        found._light, found._backward = ([] if self._forward.is_light else None), {}
        return found

    def forward(
        self,
        x: Tensor,
        initial: Sequence[Tensor] | None,
        weights: Sequence[int],
        lines: Sequence[int],
    ) -> tuple[list[Tensor | None], tuple[Tensor, ...], NativeRecord | None]:
        """Run forward; see `Forward.run`."""
        return self._forward.run(self._rows, x, initial, weights, lines, (), self._light)

    def backward(
        self,
        record: NativeRecord,
        states: Sequence[Tensor | None],
        families: Sequence[Tensor],
        lines: Sequence[int],
        cotangents: Sequence[Tensor | None],
        final_cotangents: Sequence[Tensor | None],
        *,
        need_input: bool,
        need_initial: bool,
        need_families: bool,
    ) -> tuple[Tensor | None, list[Tensor | None], list[Tensor]] | None:
        """Run backward; see `Backward.run`. None if the kernel cannot be made."""
        given = tuple([i for i, cotangent in enumerate(cotangents) if cotangent is not None])
        found = self._backward.get((given, need_input, need_families))
        if found is None:
            found = self._bind_backward(given, need_input, need_families)
            if found is None:
                return None
        bound, light = found
        return bound.run(
            self._rows, record, families, lines, states, cotangents, final_cotangents,
            need_input=need_input, need_initial=need_initial, light=light,
        )  # fmt: skip

    def _bind_backward(
        self, given: tuple[int, ...], need_input: bool, need_families: bool
    ) -> tuple[Backward, list[Any] | None] | None:
        program, rows = self._program, self._rows
        bound = made_natively(
            program.key,
            type(program.cell).__name__,
            lambda: bind_backward(
                program, self._dtype, self._columns_first, self._keep, given, need_input, need_families,
                rows.zero is not None, rows.cut is not None, rows.batch, rows.count, len(rows.active),
                self._batched,
            ),
        )  # fmt: skip
        if bound is None:
            return None
        light: list[Any] | None = [] if self._light is not None and bound.is_light else None
        found = self._backward[given, need_input, need_families] = bound, light
        return found


class Steps:
    """A program bound to weights that are packed once: takes one step after the other.

    A kernel packs its weights at every run, because they may have changed since the last. Where steps come
    one by one, each with the same weights, packing costs several times what the step itself does. So a kernel
    without any step packs them into memory that is kept, and kernels that leave packing out go on from there.

    Args:
        program: the program, without random inputs.
        families: the weights, which must not change.

    Raises:
        NativeError: if a kernel cannot be made.
    """

    def __init__(self, program: Program, families: Sequence[Tensor]) -> None:
        self._program, self._dtype = program, families[0].dtype
        self._families, self._columns_first, self._lines = readable(program, families, self._dtype)
        self._packed: dict[bool, tuple[Fixed, Block]] = {}
        self._ready: dict[int, tuple[Forward, Rows, Block]] = {}
        self._pack(few=True)

    def __call__(self, x: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Take a step from input `[B, D]` and states `[B, width]`; the new states."""
        batch = x.shape[0]
        ready = self._ready.get(batch)
        if ready is None:
            if not batch:
                return tuple([state.clone() for state in states])
            ready = self._bind(batch)
        return ready[0].run(ready[1], x, states)[1]

    def _bind(self, batch: int) -> tuple[Forward, Rows, Block]:
        few = batch <= FEW
        fixed, packed = self._pack(few)
        bound = Forward(self._kernel(few, is_packed=True), self._dtype, batch, batch, 1, batch, batch)
        bound.fix(fixed)
        if len(self._ready) >= _BATCH_SIZES:
            self._ready.clear()
        # Of threads that pack at the same time each reads what it has packed, so that is held here.
        ready = self._ready[batch] = bound, Rows([batch], batch), packed
        return ready

    def _pack(self, few: bool) -> tuple[Fixed, Block]:
        """Pack the weights, as kernels for few rows or for many read them, by a run without any step."""
        found = self._packed.get(few)
        if found is not None:
            return found
        compiled = self._kernel(few, is_packed=False)
        kernel, place = compiled.kernel, compiled.place
        assert isinstance(kernel, ForwardKernel)
        layout = lay_out(kernel.weights.sizes, self._dtype.itemsize)
        memory = new_memory(layout)
        fixed = {place[name]: memory[1] + at for name, at in layout.places.items()}
        for i, (family, line) in enumerate(zip(self._families, self._lines, strict=True)):
            fixed[place[f"family_{i}"]], fixed[place[f"line_{i}"]] = to_read(family), line
        batch = 1 if few else FEW + 1
        # Without a step nothing reads the input.
        nothing = torch.empty(0, self._program.row_size, dtype=self._dtype)
        bound = Forward(compiled, self._dtype, batch, 0, 0, batch, batch)
        bound.fix(fixed)
        bound.run(Rows([], batch), nothing, None)
        # Only now may other threads read it.
        self._packed[few] = found = fixed, memory
        return found

    def _kernel(self, few: bool, is_packed: bool) -> Compiled:
        return forward_kernel(
            self._program, self._dtype, False, (), False, self._columns_first, few, False, is_packed
        )


def weights_of(
    program: Program, families: Sequence[Tensor], dtype: torch.dtype
) -> tuple[tuple[bool, ...], tuple[int, ...], list[int]] | None:
    """Say how and where weights lie in memory; None if kernels cannot read them there.

    Returns:
        For each family whether what an output reads lies side by side, how far lines lie apart, and the
        address, which is valid as long as the caller holds the weights.

    Raises:
        ArgumentError: the storage of a weight has been given up.
    """
    if not all(family.dtype is dtype for family in families) or not are_readable(*families):
        return None
    laid = layout_of(program, families)
    return None if laid is None else (*laid, list(map(to_read, families)))


def layout_of(
    program: Program, families: Sequence[Tensor]
) -> tuple[tuple[bool, ...], tuple[int, ...]] | None:
    """Say how weights lie in memory; None if one has the wrong shape or kernels would need a copy.

    Returns:
        For each family whether what an output reads lies side by side, and how far lines lie apart.
    """
    if len(families) != len(program.families):
        return None
    columns_first, lines = [], []
    for family, tensor in zip(program.families, families, strict=True):
        shape = family.shape
        if tensor.shape != shape:
            return None
        first, line = True, shape[-1]
        if not tensor.is_contiguous():
            if len(shape) != 2 or 1 not in (strides := tensor.stride()):
                return None
            first, line = (True, strides[0]) if strides[1] == 1 else (False, strides[1])
        columns_first.append(first)
        lines.append(line)
    return tuple(columns_first), tuple(lines)


def readable(
    program: Program, families: Sequence[Tensor], dtype: torch.dtype
) -> tuple[Sequence[Tensor], tuple[bool, ...], tuple[int, ...]]:
    """Bring weights into a layout that kernels read; say which, as `layout_of`.

    Raises:
        ShapeError, ArgumentError: weights are not those of the program, or of another type.
    """
    for declared, family in zip(program.families, families, strict=True):
        if family.dtype is not dtype:
            raise ArgumentError(f"{declared.name}: expected {dtype}, got {family.dtype}")
    found = layout_of(program, families)
    if found is None:
        for declared, family in zip(program.families, families, strict=True):
            if family.shape != declared.shape:
                given = tuple(family.shape)
                raise ShapeError(f"{declared.name}: expected shape {declared.shape}, got {given}")
        families = [
            family if family.dim() == 2 and 1 in family.stride() else family.detach().contiguous()
            for family in families
        ]
        found = layout_of(program, families)
        assert found is not None
    return families, *found
