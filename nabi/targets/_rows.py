"""The layout in which the valid steps of a batch are computed: packed rows.

Step k of every sequence that has one lies in `active[k]` rows, the longest sequences first; `active` never
grows. It is the layout of `torch.nn.utils.rnn.PackedSequence`, and lengths, masks, resets, reversal and
packed input are all expressed in it, so that a target which knows packed rows knows them all.
"""

from dataclasses import dataclass

from torch import Tensor

__all__ = ["Rows"]


@dataclass(frozen=True, eq=False)
class Rows:
    """How packed rows relate to a batch.

    Attributes:
        active: rows of each step, never growing; their sum is the number of rows N.
        batch: number of sequences B, those without any valid step among them.
        order: sequences from the longest to the shortest, `[B]`, or None when they come in that order.
        place: `[N]`, where each row lies in the batch (`b * T + t`, or the row of packed data), or None when
            row `k * B + b` is step k of sequence b.
        zero: `[N]`, whether the state becomes zero before a step, or None.
        cut: `[N]`, whether no gradient flows back from a step to the one before, or None; includes `zero`.
    """

    active: list[int]
    batch: int
    order: Tensor | None = None
    place: Tensor | None = None
    zero: Tensor | None = None
    cut: Tensor | None = None

    @property
    def count(self) -> int:
        """How many rows there are."""
        return sum(self.active)
