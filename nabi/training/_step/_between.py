"""What goes from one flat step to the next, or is drawn for each: states that layers keep, random numbers."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nabi.kernels import draw_keys
from nabi.layers import RNN, Dropout
from nabi.native.addresses import to_fill, to_read, to_update
from nabi.native.bound import BoundPass, Slot

__all__ = ["Draws", "StatesOfSteps", "put"]

# Numbers of new final states for which memory is taken at once.
_STATE_NUMBERS = 1 << 12
_CPU, _KEY_BYTES = torch.device("cpu"), 8


class StatesOfSteps:
    """The states that a stateful layer keeps: where they are read and where new ones are written.

    Args:
        layer: the layer.
        bound: its runs.
        readers: where else the address of the new first state goes, if that is the layer's output.
    """

    def __init__(self, layer: RNN, bound: BoundPass, readers: Sequence[Slot]) -> None:
        self._layer, self._initial, self._final, self.readers = layer, bound.initial, bound.final, readers
        self._like = layer.kept_states()
        # Read backward too, when the layer has new ones.
        self._given: Sequence[Tensor] = ()
        self._spare: list[tuple[Tensor, ...]] = []
        self.new: tuple[Tensor, ...] = ()
        # For several steps by one call: the states before and after each.
        self._rows: list[Tensor] = []

    def kept(self) -> Sequence[Tensor] | None:
        """Return the states that the layer keeps; None if they are not as they were when this was made."""
        states: Sequence[Tensor] = self.new
        if states and self._layer.still_keeps(states):
            return states
        states = self._layer.kept_states()
        for state, like in zip(states, self._like, strict=True):
            fits = state.shape == like.shape and state.dtype is like.dtype and state.is_contiguous()
            if not (fits and state.is_cpu):
                return None
        return states

    def begin(self) -> bool:
        """Write the addresses of the states; return whether these are as they were when this was made."""
        states = self.kept()
        if states is None:
            return False
        for state, slots in zip(states, self._initial, strict=True):
            put(slots, to_read(state))
        self._given = states
        new = self.new = self._fresh()
        for state, (block, at) in zip(new, self._final, strict=True):
            block[at] = to_fill(state)
        if self.readers:
            put(self.readers, to_read(new[0]))
        return True

    def _fresh(self) -> tuple[Tensor, ...]:
        """Memory for new states, which someone may keep for ever."""
        if not self._spare:
            numbers = max(state.numel() for state in self._like)
            count = max(1, _STATE_NUMBERS // numbers)
            several = [state.new_empty((count, *state.shape)).unbind() for state in self._like]
            self._spare = list(zip(*several, strict=True))
        return self._spare.pop()

    def keep(self) -> None:
        """Give the layer its new states, after a run."""
        self._layer.keep_states(self.new)

    # Several steps by one call -----------------------------------------------------------------------------

    @property
    def slots(self) -> list[Slot]:
        """The places of the addresses that change from step to step."""
        return [*(slot for slots in self._initial for slot in slots), *self._final, *self.readers]

    def begin_several(self, count: int) -> tuple[list[int], list[int]]:
        """Return what is in each slot at the first of some steps, and how far it moves on, in bytes."""
        states = self.kept()
        assert states is not None
        if not self._rows or len(self._rows[0]) <= count:
            self._rows = [state.new_zeros((count + 1, *state.shape)) for state in self._like]
        starts: list[int] = []
        final: list[int] = []
        sizes = [state.nbytes for state in self._like]
        for state, rows, slots in zip(states, self._rows, self._initial, strict=True):
            rows[0].copy_(state)
            starts += [to_update(rows)] * len(slots)
            final.append(to_update(rows[1:]))
        strides = [size for size, slots in zip(sizes, self._initial, strict=True) for _ in slots]
        readers = len(self.readers)
        return [*starts, *final, *final[:1] * readers], [*strides, *sizes, *sizes[:1] * readers]

    def keep_several(self, count: int) -> None:
        """Give the layer the states after some steps, in memory that it may keep."""
        new = self.new = self._fresh()
        for state, rows in zip(new, self._rows, strict=True):
            state.copy_(rows[count])
        self._layer.keep_states(new)

    def outputs_of(self, count: int) -> Sequence[Tensor]:
        """Return the first state after each of the steps just made."""
        return self._rows[0][1 : count + 1].clone().unbind()


class Draws:
    """What the random numbers of all dropouts of a step follow from.

    A layer draws a number at every step, from torch's generator or its own; the order is that of the layers.
    """

    def __init__(self) -> None:
        self.slots: list[Slot] = []
        self._layers: list[tuple[Dropout, float]] = []
        self._alive: list[Tensor] = []

    def add(self, layer: Dropout, key: Slot) -> None:
        """Add a layer that draws before those that were added."""
        self.slots.insert(0, key)
        self._layers.insert(0, (layer, layer.rate))

    def are_as_before(self) -> bool:
        """Return whether all layers still draw what they drew."""
        return all(layer.training and layer.rate == rate for layer, rate in self._layers)

    def draw(self, steps: int) -> tuple[list[int], list[int]]:
        """Draw for some steps; return where the first number of each layer is, and how far the next."""
        by_generator: dict[int, tuple[Any, list[int]]] = {}
        for number, (layer, _) in enumerate(self._layers):
            generator = layer.seed_generator.generator(_CPU)
            by_generator.setdefault(id(generator), (generator, []))[1].append(number)
        starts, strides = [0] * len(self.slots), [0] * len(self.slots)
        self._alive = []
        for generator, numbers in by_generator.values():
            keys = draw_keys((steps, len(numbers)), generator)
            self._alive.append(keys)
            for place, number in enumerate(numbers):
                starts[number], strides[number] = to_read(keys[:, place:]), _KEY_BYTES * len(numbers)
        return starts, strides


def put(slots: Sequence[Slot], address: int) -> None:
    """Write an address to several places."""
    for block, at in slots:
        block[at] = address
