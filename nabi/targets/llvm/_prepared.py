"""A program run natively again and again with the same weights over the same rows: steps of training.

A step of a small layer takes some ten microseconds, and finding kernels, memory and arguments would take
longer. So all of it is settled once, and a step only writes the addresses of what is new to it. The weights
are read anew at every step, from where they lay at the beginning.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from nabi.ir import Program
from nabi.kernels import Rows
from nabi.native.addresses import expect, to_fill, to_read
from nabi.native.memory import Block, fresh, give_back, take
from nabi.targets.llvm import _kernel
from nabi.targets.llvm._compiled import Repeated

__all__ = ["PreparedNative"]


class PreparedNative:
    """See `nabi.targets.Prepared`.

    Args:
        program: the program, without random inputs.
        rows: the layout.
        dtype: of all tensors.
        families: the weights; their memory must stay where it is.
        keep: the states whose rows are wanted.
        need_families: for each family whether its gradient is wanted.

    Raises:
        NativeError: if a kernel cannot be made.
    """

    def __init__(
        self,
        program: Program,
        rows: Rows,
        dtype: torch.dtype,
        families: Sequence[Tensor],
        *,
        keep: tuple[int, ...],
        need_families: tuple[bool, ...],
    ) -> None:
        self._program, self._rows, self._dtype, self._keep = program, rows, dtype, keep
        self._families, self._columns_first, self._lines = _kernel.laid_out(program, families, dtype)
        self._need_families = need_families
        compiled, sizes, limits = _kernel.forward_for(
            program, rows, dtype, self._columns_first, keep=keep, save=True
        )
        self._record = take(sizes.record_layout)
        place = compiled.place

        def make(memory: Block) -> list[int]:
            values = compiled.arguments(sizes, rows, *limits, memory)
            for at, offset in sizes.record:
                values[at] = self._record[1] + offset
            _kernel.fill_weights(compiled, values, self._families, self._lines)
            return values

        self._forward = Repeated(compiled, sizes, rows, make)
        self._x_at = place["x"]
        self._count = rows.count * program.input_size
        self._states_at = [
            (place[f"initial_{i}"], place[f"final_{i}"], rows.batch * width)
            for i, width in enumerate(program.state_widths)
        ]
        self._kept_at = [(place[f"state_{i}"], i, program.state_widths[i]) for i in keep]
        self._gradients: list[Tensor | None] = [
            _kernel.gradient_like(family, first) if True in need_families else None
            for family, first in zip(self._families, self._columns_first, strict=True)
        ]
        self._wanted = tuple(
            [g if needed else None for g, needed in zip(self._gradients, need_families, strict=True)]
        )
        self._backward: dict[bool, _Backward] = {}
        self._last: tuple[Tensor, Sequence[Tensor], list[Tensor]] | None = None

    def __del__(self) -> None:
        record = vars(self).get("_record")
        if record is not None:
            give_back(record[0])

    def forward(self, x: Tensor, initial: Sequence[Tensor]) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        """Run forward; the rows of the states that are kept, and the final states."""
        x = x.contiguous()
        if x.numel() != self._count or x.dtype is not self._dtype:
            expect("x", x, (self._rows.count, self._program.input_size), self._dtype)
        block = self._forward.arguments()
        block[self._x_at] = to_read(x)
        starts, finals = [], []
        for state, (start, end, size) in zip(initial, self._states_at, strict=True):
            state = state.contiguous()
            if state.numel() != size or state.dtype is not self._dtype:
                expect("states", state, (self._rows.batch, size // max(self._rows.batch, 1)), self._dtype)
            final = torch.empty_like(state)
            block[start], block[end] = to_read(state), to_fill(final)
            starts.append(state)
            finals.append(final)
        states = []
        for at, _, width in self._kept_at:
            kept = fresh((self._rows.count, width), self._dtype)
            block[at] = to_fill(kept)
            states.append(kept)
        self._forward.run()
        self._last = x, starts, states
        return states, tuple(finals)

    def backward(
        self,
        state_cotangents: Sequence[Tensor],
        final_cotangents: Sequence[Tensor | None],
        need_input: bool,
    ) -> tuple[Tensor | None, Sequence[Tensor | None]]:
        """Run backward what ran forward last; the gradients of the input rows and of the families.

        The gradients of the families lie in the same tensors at every step.
        """
        assert self._last is not None
        (x, initial, states), self._last = self._last, None
        known = self._backward.get(need_input)
        if known is None:
            known = self._backward[need_input] = self._prepare_backward(need_input)
        block = known.kernel.arguments()
        block[known.x_at] = to_read(x)
        for state, at in zip(initial, known.initial_at, strict=True):
            block[at] = to_read(state)
        for state, at in zip(states, known.state_at, strict=True):
            block[at] = to_read(state)
        alive = []
        for state, cotangent, at in zip(states, state_cotangents, known.given_at, strict=True):
            alive.append(cotangent := cotangent.contiguous())
            if cotangent.numel() != state.numel() or cotangent.dtype is not self._dtype:
                expect("cotangent of a state", cotangent, state.shape, self._dtype)
            block[at] = to_read(cotangent)
        for state, final, at in zip(initial, final_cotangents, known.final_at, strict=True):
            if final is None:
                block[at] = 0
            else:
                alive.append(final := final.contiguous())
                if final.numel() != state.numel() or final.dtype is not self._dtype:
                    expect("cotangent of a final state", final, state.shape, self._dtype)
                block[at] = to_read(final)
        dx = None
        if need_input:
            dx = fresh((self._rows.count, self._program.input_size), self._dtype)
            if known.input_at is None:
                dx.zero_()
            else:
                block[known.input_at] = to_fill(dx)
        known.kernel.run()
        del alive
        return dx, self._wanted

    def _prepare_backward(self, need_input: bool) -> "_Backward":
        program, rows, keep = self._program, self._rows, self._keep
        compiled, sizes, limits = _kernel.backward_for(
            program, rows, self._dtype, self._columns_first,
            keep=keep, given=keep, need_input=need_input, need_weights=True in self._need_families,
        )  # fmt: skip
        place = compiled.place

        def make(memory: Block) -> list[int]:
            values = compiled.arguments(sizes, rows, *limits, memory)
            for at, offset in sizes.record:
                values[at] = self._record[1] + offset
            _kernel.fill_weights(compiled, values, self._families, self._lines)
            for i, gradient in enumerate(self._gradients):
                if gradient is not None:
                    values[place[f"gradient_{i}"]] = to_fill(gradient)
            if rows.cut is not None:
                values[place["cut"]] = to_read(rows.cut)
            return values

        return _Backward(Repeated(compiled, sizes, rows, make), keep, len(program.state_names))


class _Backward:
    """A backward kernel and where the arguments lie that are new at every step."""

    def __init__(self, kernel: Repeated, keep: tuple[int, ...], states: int) -> None:
        place = kernel.place
        self.kernel = kernel
        self.x_at = place["x"]
        self.input_at: int | None = place.get("input_gradient")
        self.initial_at = [place[f"initial_{i}"] for i in range(states)]
        self.final_at = [place[f"final_gradient_{i}"] for i in range(states)]
        self.state_at = [place[f"state_{i}"] for i in keep]
        self.given_at = [place[f"given_{i}"] for i in keep]
