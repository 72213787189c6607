"""A program in a training: passes over batches of one shape, forward and backward in turn.

For a small layer all that is done around a kernel takes longer than the kernel. What stays the same from step
to step is settled once, by `nabi.targets`; here is what a step still asks.
"""

from collections.abc import Sequence

from torch import Tensor

from nabi.ir import Program
from nabi.kernels import MaskRows, from_rows, to_rows
from nabi.native import NativeError, give_up
from nabi.native.bound import BoundPass
from nabi.scan._layout import Layout, Options
from nabi.targets import TorchPasses, prepare

__all__ = ["TrainingPass"]


class TrainingPass:
    """A program that runs over batches of one shape, forward and backward in turn, again and again.

    What stays the same from step to step is settled when this is made; a mask changes only the layout of
    rows. A step writes over all that the last one returned.

    Args:
        program: the program, without random inputs.
        options: how it runs over time; nothing is recomputed.
        x: such an input as every step will bring, `[B, T, D]`.
        states: such initial states, each `[B, width]`.
        families: the weights, in the order of `program.families`. They may be written to between two steps,
            but must not lie elsewhere.
        need_families: for each family whether its gradient is wanted.
        new_finals: whether every step gives final states in memory of their own, for someone to keep.
        from_zeros: whether all initial states will be zeros, which native code then does not multiply.
    """

    def __init__(
        self,
        program: Program,
        options: Options,
        x: Tensor,
        states: Sequence[Tensor],
        families: Sequence[Tensor],
        need_families: tuple[bool, ...],
        *,
        new_finals: bool = False,
        from_zeros: bool = False,
    ) -> None:
        self.shape = x.shape
        self._readouts, program = program.readouts, program.as_states
        if self._readouts:
            # What it starts from is never read.
            self._begin = (x.new_zeros((x.shape[0], program.state_widths[0])),)
            states = (*self._begin, *states)
        self._program, self._families, self._options = program, families, options
        self._kept, self._need_families = options.kept(program), need_families
        self._plain = self._rows = Layout(None, None, None).rows(x, options)
        self._masked, self._strides = MaskRows(x.shape[:2], options.reverse), x.stride()
        self._passes = prepare(
            program, x, states, families, keep=self._kept, need_families=need_families,
            new_finals=new_finals, from_zeros=from_zeros,
        )  # fmt: skip
        self._native = not isinstance(self._passes, TorchPasses)
        # The steps of one sequence are rows as they are.
        self._is_rows = x.shape[0] == 1 and self._plain.place is None
        # Where native code copies to under a mask: rows, and batches that the first copies have made.
        self._x_rows: Tensor | None = None
        self._cotangent_rows: list[Tensor | None] = [None] * len(self._kept)
        self._outputs: Sequence[Tensor | None] = [None] * len(self._kept)
        self._dx: Tensor | None = None
        # What the last run forward was given: input rows, and initial states.
        self._last: tuple[Tensor, Sequence[Tensor]] = x, states

    def forward(
        self, x: Tensor, states: Sequence[Tensor], mask: Tensor | None = None
    ) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Run forward; the states that are kept at every step, `[B, T, width]`, and the final states.

        Args:
            x: the input.
            states: the initial states; with a mask those of all sequences are the same.
            mask: `[B, T]`, whether a step counts, or None when all do. States at others are zero.

        An output that is no state comes before the states, at every step and at the last.
        """
        if self._readouts:
            states = (*self._begin, *states)
        rows = self._plain
        if mask is not None:
            rows = self._masked.rows(mask, self._native) or Layout(mask, None, None).rows(x, self._options)
            if self._x_rows is None:
                self._make_room(x)
        self._rows = rows
        if not self._is_rows or rows is not self._plain:
            x = to_rows(x, rows, self._native, self._x_rows)
        try:
            kept, finals = self._passes.forward(rows, x, states)
        except NativeError as problem:
            self._go_on_by_torch(problem)
            kept, finals = self._passes.forward(rows, x, states)
        self._last = x, states
        if rows.back is not None:
            finals = list(finals)
            for i, final in enumerate(finals):
                finals[i] = final.index_select(0, rows.back)
        if kept and rows.place is None:
            kept = [from_rows(values, rows, self.shape) for values in kept]
        elif kept:
            self._outputs = kept = [
                from_rows(values, rows, self.shape, self._strides, self._native, memory)
                for values, memory in zip(kept, self._outputs, strict=True)
            ]
        return kept, finals

    def _make_room(self, x: Tensor) -> None:
        widths, count = self._program.state_widths, x.shape[0] * x.shape[1]
        self._x_rows = x.new_empty(count, x.shape[2])
        self._cotangent_rows = [x.new_empty(count, widths[i]) for i in self._kept]

    def bound(self, need_input: bool) -> BoundPass | None:
        """Return the last step, forward and backward, as two runs of kernels; None if it was more than that.

        Args:
            need_input: whether the gradient of the input was wanted.
        """
        rows = self._rows
        if isinstance(self._passes, TorchPasses) or rows is not self._plain or rows.place is not None:
            return None
        found = self._passes.bound(self._options.only_finals, need_input)
        if found is None or not self._readouts:
            return found
        return found._replace(initial=found.initial[self._readouts :], final=found.final[self._readouts :])

    def _go_on_by_torch(self, problem: NativeError) -> None:
        give_up(self._program.key, type(self._program.cell).__name__, problem)
        self._passes = TorchPasses(self._program, self._families, self._kept, self._need_families)
        self._native = False

    def backward(
        self, cotangents: Sequence[Tensor], final_cotangents: Sequence[Tensor | None], need_input: bool
    ) -> tuple[Tensor | None, Sequence[Tensor | None]]:
        """Run backward what ran forward last.

        Args:
            cotangents: of the states that are kept; none of any stand for zeros.
            final_cotangents: of the final states, behind that of the output at the last step if it is no
                state, or None.
            need_input: whether the gradient of the input is wanted.

        Returns:
            The gradient of the input and those of the families.
        """
        rows = self._rows
        if cotangents:
            cotangents = [
                to_rows(cotangent, rows, self._native, memory)
                for cotangent, memory in zip(cotangents, self._cotangent_rows, strict=True)
            ]
        if (order := rows.order) is not None:
            final_cotangents = [None if c is None else c.index_select(0, order) for c in final_cotangents]
        try:
            dx, families = self._passes.backward(cotangents, final_cotangents, need_input)
        except NativeError as problem:
            self._go_on_by_torch(problem)
            self._passes.forward(rows, *self._last)
            dx, families = self._passes.backward(cotangents, final_cotangents, need_input)
        if dx is None or rows.place is None:
            return None if dx is None else from_rows(dx, rows, self.shape), families
        self._dx = from_rows(dx, rows, self.shape, self._strides, self._native, self._dx)
        return self._dx, families
