"""The model that is being made: layers with their names and weights, and tensors brought into an order."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from nabi import layers
from nabi.interchange._onnx._nodes import Call
from nabi.interchange._onnx._refusal import Refusal, Restart
from nabi.interchange._onnx._values import Array, Axes, Axis, Const, Group, Value, atoms, static
from nabi.layers import SymbolicTensor

__all__ = ["Builder"]


class Builder:
    """What handlers of nodes need: layers made in the model, tensors in the layout that a layer reads.

    `batches` tells for each input which of its axes is the batch (None: the file has none). An operator that
    knows better changes it and asks for a new start by `Restart`.
    """

    def __init__(self, batches: dict[str, int | None], only_last: set[str]) -> None:
        self.batch = Axis("batch", None)
        self.batches = batches
        self.only_last = only_last
        self.read_fully: set[str] = set()
        self.read_last: set[str] = set()
        self.notes: list[str] = []
        self.used: set[str] = set()
        self._names: set[str] = set()

    # Layers -----------------------------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """Keep something that the user should know about the imported model."""
        if text not in self.notes:
            self.notes.append(text)

    def name(self, wanted: str) -> str:
        """Return a name that no other layer of the model has."""
        name, number = wanted, 1
        while name in self._names:
            number += 1
            name = f"{wanted}_{number}"
        self._names.add(name)
        return name

    def layer(self, call: Call, make: Any, *arguments: Any, kind: str = "float32", **named: Any) -> Any:
        """Make a layer named after a node."""
        wanted = call.name or f"{call.kind.lower()}"
        dtype = "float64" if kind == "float64" else "float32"
        return make(*arguments, name=self.name(wanted), dtype=dtype, **named)

    def apply(self, call: Call, make: Any, value: Value, layout: Axes, **named: Any) -> SymbolicTensor:
        """Apply a new layer to a value in a layout."""
        result: SymbolicTensor = self.layer(call, make, kind=value.kind, **named)(self.arranged(value, layout))
        return result

    @staticmethod
    def set_weights(layer: Any, weights: Sequence[Array]) -> None:
        """Give a layer its weights."""
        layer.set_weights([np.ascontiguousarray(one) for one in weights])

    # Axes -------------------------------------------------------------------------------------------------

    def learn_batch(self, axis: Axis) -> None:
        """Start again with an axis of an input as the batch."""
        if axis.place is None or self.batches.get(axis.place[0], -1) == axis.place[1]:
            raise Refusal("the axis of its sequences (the batch) is not the batch of the model")
        self.batches[axis.place[0]] = axis.place[1]
        raise Restart

    def natural(self, value: Value) -> Axes:
        """Return a layout of whole axes, batch first: the held one if that is one."""
        seen = tuple(group for group in value.axes if group)
        if {group for group in value.held if group} - {(self.batch,)} == set(seen) - {(self.batch,)}:
            return tuple(group for group in value.held if group)
        return self.layout(value.axes)

    def layout(self, axes: Sequence[Group]) -> Axes:
        """Return axes as a layout: the batch first, axes of size 1 left out."""
        own = tuple(group for group in axes if group and group != (self.batch,))
        if any(self.batch in group for group in own):
            raise Refusal("it puts the batch and another axis together")
        return ((self.batch,), *own)

    def with_last(self, value: Value, group: Group) -> Axes:
        """Return a layout with an axis last; the others as they are held, where they are held apart."""
        inside = set(group)
        if all(inside >= set(held) or not inside & set(held) for held in value.held):
            return (*[held for held in value.held if held and not inside & set(held)], group)
        return (*[one for one in self.layout(value.axes) if one != group], group)

    def arranged(self, value: Value, layout: Axes, last: bool = False) -> SymbolicTensor:
        """Return the tensor of a value in a layout, rearranged by layers where it is held otherwise."""
        if value.last is not None:
            raise Refusal("only the last step of it was made")
        if not last:
            self.read_fully.add(value.source)
        if value.held == layout:
            return value.symbol
        have, want = atoms(value.held), atoms(layout)
        if set(have) != set(want) or len(have) != len(want) or layout[:1] != ((self.batch,),):
            raise Refusal(f"it needs axes {list(layout)}, and its input has {list(value.axes)}")
        symbol, held = value.symbol, value.held
        whole = all(held) and all(layout)
        if whole and set(held) == set(layout):
            return layers.Permute([held.index(group) for group in layout[1:]])(symbol)
        if have != want:
            apart = tuple((axis,) for axis in have)
            symbol = self._reshaped(symbol, held, apart)
            symbol = layers.Permute([have.index(axis) for axis in want[1:]])(symbol)
            held = tuple((axis,) for axis in want)
        return self._reshaped(symbol, held, layout)

    def _reshaped(self, symbol: SymbolicTensor, held: Axes, layout: Axes) -> SymbolicTensor:
        if held == layout:
            return symbol
        sizes = [static(group) for group in layout[1:]]
        if sizes.count(None) > 1:
            raise Refusal(f"it reshapes several open axes, {[axis.name for axis in atoms(layout[1:])]}")
        return layers.Reshape([-1 if size is None else size for size in sizes])(symbol)

    # Constants --------------------------------------------------------------------------------------------

    def constant(self, given: Any, what: str) -> Array:
        """Return an input that has to be a constant of numbers."""
        if not isinstance(given, Const):
            raise Refusal(f"{what}: expected a constant, got something that is computed")
        if given.array.dtype == object:
            raise Refusal(f"{what} depends on the size of an open axis")
        return given.array

    def constant_in(self, array: Array, value: Value, layout: Axes) -> Array:
        """Return a constant that a value takes in by broadcasting, in a layout without its batch."""
        if array.ndim > len(value.axes):
            if array.shape[: array.ndim - len(value.axes)] != (1,) * (array.ndim - len(value.axes)):
                raise Refusal("a constant has more axes than the tensor that it meets")
            array = array.reshape(array.shape[array.ndim - len(value.axes) :])
        array = array.reshape((1,) * (len(value.axes) - array.ndim) + array.shape)
        sizes: dict[Group, int] = {}
        for place, group in enumerate(value.axes):
            size = array.shape[place]
            if size != 1 and group == (self.batch,):
                if size and (array == array.take([0], place)).all():
                    array, size = array.take([0], place), 1
                else:
                    raise Refusal("a constant has other numbers for each sequence of the batch")
            if size not in (1, static(group)):
                raise Refusal(f"a constant has the size {size} where the tensor has {static(group) or 'an open'}")
            sizes[group] = size
        order = [value.axes.index(group) for group in layout if group in value.axes and group != (self.batch,)]
        rest = [place for place in range(len(value.axes)) if place not in order]
        array = array.transpose(order + rest)
        return array.reshape([sizes.get(group, 1) for group in layout[1:]])

    def torch_dtype(self, kind: str) -> torch.dtype:
        """Return the type of a layer's numbers."""
        return torch.float64 if kind == "float64" else torch.float32
