"""A program over batches of one shape, forward and backward in turn, for training without autograd."""

from collections.abc import Sequence

from torch import Tensor

from nabi.ir import Program
from nabi.scan._definition import Options
from nabi.scan._layout import batch_rows, from_rows, to_rows
from nabi.targets import prepare

__all__ = ["TrainingPass"]


class TrainingPass:
    """What stays the same from step to step is settled when this is made.

    Args:
        program: the program, without random inputs.
        options: how it runs over time; nothing is recomputed.
        x: such an input as every step will bring, `[B, T, D]`.
        states: such initial states, each `[B, width]`.
        families: the weights, in the order of `program.families`. They may be written to between two steps,
            but must not lie elsewhere.
        need_families: for each family whether its gradient is wanted.
    """

    def __init__(
        self,
        program: Program,
        options: Options,
        x: Tensor,
        states: Sequence[Tensor],
        families: Sequence[Tensor],
        need_families: tuple[bool, ...],
    ) -> None:
        batch, time = x.shape[:2]
        self._rows = batch_rows(
            batch, time, mask=None, resets=None, reverse=options.reverse, truncate=options.truncate,
            device=x.device,
        )  # fmt: skip
        self.shape = x.shape
        # The steps of one sequence are rows as they are.
        self._is_rows = batch == 1 and self._rows.place is None
        self._prepared = prepare(
            program, self._rows, to_rows(x, self._rows), states, families,
            keep=options.kept(program), need_families=need_families,
        )  # fmt: skip

    def forward(self, x: Tensor, states: Sequence[Tensor]) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        """Run forward; the states that are kept at every step, `[B, T, width]`, and the final states."""
        kept, finals = self._prepared.forward(x if self._is_rows else to_rows(x, self._rows), states)
        return [from_rows(values, self._rows, self.shape) for values in kept], finals

    def backward(
        self, cotangents: Sequence[Tensor], final_cotangents: Sequence[Tensor | None], need_input: bool
    ) -> tuple[Tensor | None, Sequence[Tensor | None]]:
        """Run backward what ran forward last.

        Args:
            cotangents: of the states that are kept.
            final_cotangents: of the final states, or None.
            need_input: whether the gradient of the input is wanted.

        Returns:
            The gradient of the input and those of the families; the next step may write over the latter.
        """
        rows = self._rows
        of_rows = [to_rows(cotangent, rows) for cotangent in cotangents]
        dx, families = self._prepared.backward(of_rows, final_cotangents, need_input)
        return None if dx is None else from_rows(dx, rows, self.shape), families
