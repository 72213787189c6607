"""Programs whose weights are small: packed once, and run with the packed weights ever after.

The numbers stay as they are stored; packing only brings them into the order in which products read them. They
are packed anew when somebody has written to them.
"""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from nabi.errors import ArgumentError
from nabi.ir import Program
from nabi.kernels import Rows
from nabi.native.addresses import to_read
from nabi.small_weights import SmallWeight, shrink
from nabi.targets.llvm._binder._bound import EARLY_ROWS, FEW, Fixed, Forward
from nabi.targets.llvm._compiled import small_weights_kernel
from nabi.targets.llvm._plan._forward import ForwardKernel
from nabi.targets.llvm._plan._operand_groups import FOUR, packed_inputs, scale_name, start_name

__all__ = ["SmallWeightsRun", "small_weights_run"]

_MIDDLE_DIGIT = 128
"""The highest digit of zero in dot products of bytes."""

_SIZES = 64
"""Sizes of batches that are kept ready."""


class SmallWeightsRun:
    """A program bound to small weights.

    Args:
        program: the program.
        families: its weights, of which the matrices are small weights of one kind.

    Raises:
        ArgumentError: if they are not.
        NativeError: if a kernel cannot be made, when it is run.
    """

    def __init__(self, program: Program, families: Sequence[Tensor]) -> None:
        self._program = program
        self._families = [_readable(family) for family in families]
        self._key = _key(families)
        kinds = {f.stored.kind for f in self._families if isinstance(f, SmallWeight)}
        if len(kinds) != 1:
            raise ArgumentError(f"weights: expected one kind, got {', '.join(sorted(kinds)) or 'none'}")
        self._kind = kinds.pop()
        self._packed: dict[bool, dict[str, Tensor]] = {}
        self._bound: dict[tuple[tuple[int, ...], bool, int, int, int], Forward] = {}

    def is_for(self, families: Sequence[Tensor]) -> bool:
        """Tell whether these are the weights that it was made for, and nobody has written to them."""
        return _key(families) == self._key

    def prepared(self) -> Self:
        """Make the kernels of a step, for a few rows and for many."""
        for batch in (1, FEW + 1):
            self._bind((), False, batch, batch, 1)
        return self

    def run(
        self,
        rows: Rows,
        x: Tensor,
        initial: Sequence[Tensor] | None,
        noises: Sequence[Tensor] = (),
        *,
        keep: tuple[int, ...],
    ) -> tuple[list[Tensor | None], tuple[Tensor, ...]]:
        """Run over rows; the states that are kept at every step, None for others, and the final states."""
        key = (keep, rows.zero is not None, rows.batch, rows.count, len(rows.active))
        bound = self._bound.get(key)
        if bound is None:
            bound = self._bind(*key)
        states, finals, _ = bound.run(rows, x, initial, noises=noises)
        return states, finals

    def _bind(self, keep: tuple[int, ...], flags: bool, batch: int, count: int, steps: int) -> Forward:
        few = batch <= FEW
        compiled = small_weights_kernel(self._program, keep, flags, few, self._kind)
        assert isinstance(compiled.kernel, ForwardKernel)
        limit = EARLY_ROWS if few else max(count, 1)
        chunk_rows = min(count, max(limit, batch)) if few else 0
        bound = Forward(compiled, torch.float32, batch, count, steps, limit, chunk_rows)
        bound.fix(self._fixed(compiled.kernel, compiled.place))
        if len(self._bound) >= _SIZES:
            self._bound.clear()
        self._bound[keep, flags, batch, count, steps] = bound
        return bound

    def _fixed(self, kernel: ForwardKernel, place: dict[str, int]) -> Fixed:
        """Return the arguments of a kernel that lead to the weights, which are held here."""
        if kernel.few_rows not in self._packed:
            self._packed[kernel.few_rows] = self._packed_arrays(kernel)
        fixed = {place[name]: to_read(array) for name, array in self._packed[kernel.few_rows].items()}
        for i, family in enumerate(self._families):
            if not isinstance(family, SmallWeight):
                fixed[place[f"family_{i}"]], fixed[place[f"line_{i}"]] = to_read(family), family.shape[-1]
        return fixed

    def _packed_arrays(self, kernel: ForwardKernel) -> dict[str, Tensor]:
        """Return packed weights `[tile][k][accumulator][vector][lane]`, and factors without `[k]`.

        For dot products of bytes it is `[tile][k / 4][accumulator][vector][lane][4]`.
        """
        found: dict[str, Tensor] = {}
        group = FOUR if kernel.by_dots else 1
        for name, (_, segment, columns) in kernel.weights.entries.items():
            size = columns.vectors * kernel.lanes
            room = columns.tiles * size
            values, scales, starts = [], [], []
            for (matrix,) in zip(*segment.matrices, strict=True):
                of_values, of_scales = self._matrix(matrix.name)
                inputs = packed_inputs(segment.width, kernel.by_dots)
                padded = of_values.new_zeros(room, inputs)
                padded[: of_values.shape[0], : segment.width] = of_values
                values.append(padded.view(columns.tiles, size, inputs // group, group).transpose(1, 2))
                if of_scales is not None:
                    factors = of_scales.new_zeros(room)
                    factors[: of_scales.shape[0]] = of_scales
                    scales.append(factors.view(columns.tiles, size))
                starts.append(padded.sum(1, dtype=torch.int32).view(columns.tiles, size) * -_MIDDLE_DIGIT)
            found[name] = torch.stack(values, 2).contiguous()
            if scales:
                found[scale_name(name)] = torch.stack(scales, 1).contiguous()
            if kernel.by_dots:
                found[start_name(name)] = torch.stack(starts, 1).contiguous()
        return found

    def _matrix(self, name: str) -> tuple[Tensor, Tensor | None]:
        """Return the stored values `[outputs, inputs]` of a matrix of the program, and their scales."""
        number, rows = self._program.family_of(name)
        family = self._families[number]
        assert isinstance(family, SmallWeight)
        stored = family.stored
        values = stored.values.t() if family.is_turned else stored.values
        return values[rows], None if stored.scales is None else stored.scales[rows]


def _readable(family: Tensor) -> Tensor:
    """Return a weight as kernels read it: a small one with the scales on its outputs, or a plain vector."""
    if not isinstance(family, SmallWeight):
        return family.detach()
    outputs = 1 if family.is_turned else 0
    if family.stored.scales is not None and family.stored.axis != outputs:
        # Somebody has given scales to the inputs.
        return shrink(family.stored.dense().t() if family.is_turned else family.stored.dense(), "int8", 0)
    return family


def _key(families: Sequence[Tensor]) -> tuple[object, ...]:
    return tuple(
        [
            (id(f.stored), f.is_turned, f.stored.version) if isinstance(f, SmallWeight) else f.data_ptr()
            for f in families
        ]
    )


def small_weights_run(program: Program, families: Sequence[Tensor]) -> SmallWeightsRun:
    """Return what runs a program with small weights; it is kept with the first of them."""
    first = next(family for family in families if isinstance(family, SmallWeight))
    found: SmallWeightsRun | None = first.stored.prepared.get(program)
    if found is None or not found.is_for(families):
        found = first.stored.prepared[program] = SmallWeightsRun(program, families)
    return found
