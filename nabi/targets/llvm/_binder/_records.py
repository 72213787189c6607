"""What a forward pass leaves for the backward pass, and where its memory comes from and goes."""

from collections import deque
from collections.abc import Sequence

from torch import Tensor

from nabi.native.addresses import GUARDED, Layout
from nabi.native.memory import Block, give_back, take

__all__ = ["NativeRecord", "RecordMemory"]

_LITTLE = 64 << 10
"""Bytes of a record that is kept by the kernel which it was made for."""

_KEPT = 4
"""So many of these are kept: some models run a layer several times before the first backward pass."""


class RecordMemory:
    """Memory for the records of one kernel, all of one size.

    Little memory is kept here, where nothing has to be searched: that takes as long as a small kernel. More
    goes to the common store, so that kernels for other sizes can have it.

    Args:
        layout: of a record.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        # Not with the guard on: whoever takes memory then finds nothing in it, see `start_of`.
        self._free: deque[Block] | None = None
        if layout.size <= _LITTLE and not GUARDED:
            self._free = deque(maxlen=_KEPT)

    def take(self) -> Block:
        """Return memory for a record."""
        if self._free:
            try:
                return self._free.pop()
            except IndexError:  # another thread was faster
                pass
        return take(self._layout)

    def give_back(self, memory: Block) -> None:
        """Keep memory for the next record; at any moment and in any thread, as `memory.give_back`."""
        if self._free is None:
            give_back(memory[0])
        else:
            self._free.append(memory)


class NativeRecord:
    """What a native forward pass leaves for the backward pass.

    Attributes:
        x: input rows.
        initial: initial states; none where all are zero.
        states: rows of the states that were handed out, where nobody else holds them; the others lie in
            `memory`.
        noises: rows of every random input.
        memory: where saved values lie; None where nothing is.
    """

    __slots__ = ("__weakref__", "_home", "initial", "memory", "noises", "states", "x")

    def __init__(
        self,
        x: Tensor,
        initial: Sequence[Tensor],
        noises: Sequence[Tensor],
        memory: Block | None,
        home: RecordMemory,
    ) -> None:
        self.x, self.initial, self.noises, self.memory, self._home = x, initial, noises, memory, home
        self.states: Sequence[Tensor | None] = ()

    def __del__(self) -> None:
        if self.memory is not None:
            self._home.give_back(self.memory)
            self.memory = None
