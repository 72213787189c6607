"""Models with bidirectional layers as passes: each goes through a whole sequence, forwards or backwards.

A pass computes what it can of a step, and keeps what later passes read in a row of that step. Layers have
levels: even ones go forwards, odd ones backwards, and `_ONCE` is computed after the last step.
"""

from collections.abc import Sequence
from typing import Any, Literal

from nabi import layers
from nabi.shipping._program._equation_layer import UnshippableError
from nabi.shipping._program._instructions import Move, Value
from nabi.shipping._program._layers import merged, steps_of
from nabi.shipping._program._recurrent import recurrent_layers
from nabi.shipping._program._step_program import Pass, StepLayer

__all__ = ["Passes"]

_ONCE = 1 << 20
_FOLDING = (layers.GlobalAveragePooling1D, layers.GlobalMaxPooling1D)
"""Layers that make one row of all steps, as recurrent layers without `return_sequences` do."""


class Passes:
    """Puts the layers of a model into passes, while they are written."""

    def __init__(self) -> None:
        self.row = Value("row", 0, "input")
        self._levels: dict[int, int] = {}  # of values: in which pass they are known
        self._places: dict[int, int] = {}  # of layers: in which pass they are computed
        self._kept: dict[int, tuple[int, Value, Value]] = {}
        self._values: list[Value] = []  # so that no other gets the number of one

    def entry(self, width: int) -> Value:
        """Return what a step reads: the first piece of its row."""
        found = self._piece("x", width)
        self._know(found, 0)
        self._kept[id(found)] = (0, found, found)
        return found

    def steps_of(self, layer: Any, sources: Sequence[Value]) -> list[StepLayer]:
        """Return the steps of a layer, as `_layers.steps_of` does, for values of any pass.

        Raises:
            UnshippableError: if it cannot be computed in passes.
        """
        levels = [self._levels.get(id(source), 0) for source in sources]
        level = max(levels)
        if _ONCE in levels and min(levels) < _ONCE:
            raise UnshippableError("it reads outputs of steps together with one of the whole sequence")
        if isinstance(layer, layers.Bidirectional):
            return self._both_ways(layer, sources, level + level % 2)
        if level < _ONCE:
            level += level % 2
            sources = [self._in_pass(source, level) for source in sources]
        found = steps_of(layer, sources)
        self._place(found, level, folds=_folds(layer))
        return found

    def _both_ways(self, layer: Any, sources: Sequence[Value], level: int) -> list[StepLayer]:
        if len(sources) > 1:
            raise UnshippableError("it is given initial states or further inputs by other layers")
        if level >= _ONCE:
            raise UnshippableError("it reads one output of a whole sequence")
        if layer.forward_layer.go_backwards:
            raise UnshippableError("its forward layer has go_backwards=True")
        if layer.merge_mode is None:
            raise UnshippableError("merge_mode=None gives two outputs")
        found, ends = [], []
        for one, place in ((layer.forward_layer, level), (layer.backward_layer, level + 1)):
            steps = recurrent_layers(one, self._in_pass(sources[0], place), backwards=place > level)
            self._place(steps, place, folds=not layer.return_sequences)
            ends.append(steps[-1].output)
            found += steps
        last = level + 2 if layer.return_sequences else _ONCE
        if layer.return_sequences:
            ends = [self._in_pass(end, last) for end in ends]
        both = merged(layer.name, layer.merge_mode, ends)
        self._place([both], last, folds=False)
        return [*found, both]

    def renamed(self, old: StepLayer, new: StepLayer) -> None:
        """Note that a layer has another name now."""
        self._places[id(new)] = self._places[id(old)]

    def finished(self, found: Sequence[StepLayer]) -> tuple[Pass, ...]:
        """Return the passes of all layers."""
        levels = sorted({self._places[id(layer)] for layer in found})
        passes = []
        for level in levels:
            own = [layer for layer in found if self._places[id(layer)] == level]
            pairs = [(value, piece) for at, value, piece in self._kept.values()
                     if at == level and value is not piece]  # fmt: skip
            if pairs:
                moves = [Move(value, piece, (value.width,), (0, (1,)), (0, (1,))) for value, piece in pairs]
                text = ("what later passes read of this step",)
                own.append(StepLayer(f"row_{level}", "Row of the step", text, tuple(moves), (), pairs[-1][1]))
            passes.append(Pass(_order(level), tuple(own)))
        if self._levels[id(found[-1].output)] == _ONCE and levels[-1] < _ONCE:
            passes.append(Pass("once", ()))
        return tuple(passes)

    def _piece(self, name: str, width: int) -> Value:
        found = Value(name, width, "input", whole=self.row, piece=len(self.row.pieces))
        self.row.pieces += (width,)
        self.row.width += width
        return found

    def _in_pass(self, value: Value, level: int) -> Value:
        """Return a value where a pass can read it: in the row of the step, if it is of another pass."""
        own = self._levels.get(id(value), 0)
        if own == level:
            return value
        if id(value) not in self._kept:
            self._kept[id(value)] = (own, value, self._piece(value.name, value.width))
        return self._kept[id(value)][2]

    def _place(self, found: Sequence[StepLayer], level: int, *, folds: bool) -> None:
        for one in found:
            self._places[id(one)] = level
            self._know(one.output, level)
        if found and folds:
            self._know(found[-1].output, _ONCE)

    def _know(self, value: Value, level: int) -> None:
        self._values.append(value)
        self._levels[id(value)] = level


def _order(level: int) -> Literal["forward", "backward", "once"]:
    if level == _ONCE:
        return "once"
    return "backward" if level % 2 else "forward"


def _folds(layer: Any) -> bool:
    if isinstance(layer, layers.RNN):
        return not layer.return_sequences
    return isinstance(layer, _FOLDING)
