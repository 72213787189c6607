"""The model that is being made: layers with their names and weights, and tensors brought into an order."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from nabi import layers
from nabi.interchange._onnx._reader._call import Call
from nabi.interchange._onnx._reader._refusal import Refusal, Restart
from nabi.interchange._onnx._reader._values import Array, Axes, Axis, Const, Group, Value, atoms, static
from nabi.layers import SymbolicTensor
from nabi.targets.onnx import Node

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
        self.used: set[str] = set()  # names that some node or the model reads
        self.consumers: dict[str, list[Node]] = {}
        self.names: dict[str, Any] = {}
        self.inputs: list[SymbolicTensor] = []
        self.conflict = ""  # about sizes of the batch; it may end when the right axes are known
        self.biased: dict[str, str] = {}
        self._names: set[str] = set()
        self._named_axes: dict[str, Axis] = {}

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

    @staticmethod
    def plain(make: Any, *arguments: Any, kind: str, **named: Any) -> Any:
        """Make a layer that stands for no node of its own; its name is numbered."""
        return make(*arguments, dtype="float64" if kind == "float64" else "float32", **named)

    @staticmethod
    def set_weights(layer: Any, weights: Sequence[Array]) -> None:
        """Give a layer its weights."""
        layer.set_weights([np.array(one) for one in weights])

    def bias_after(self, call: Call, units: int) -> Array | None:
        """Return the constant that the only reader of a product adds to it; that node is then done."""
        (output,) = call.node.output
        readers = self.consumers.get(output, [])
        if len(readers) != 1 or readers[0].op_type != "Add" or len(readers[0].input) != 2:
            return None
        (other,) = [name for name in readers[0].input if name != output] or [""]
        given = self.names.get(other)
        if not isinstance(given, Const) or given.array.shape != (units,) or given.array.dtype.kind != "f":
            return None
        self.biased[output] = readers[0].output[0]
        return given.array

    # Axes -------------------------------------------------------------------------------------------------

    def batch_axis(self, name: str, place: int, size: int | None) -> Axis:
        """Return the batch, as an axis of an input; a size that the file states fits its other shapes."""
        if size is not None and self.batch.size not in (None, size):
            self.conflict = (
                f"input {name!r} has a batch of {size}, and another input one of {self.batch.size}"
            )
        self.batch.size = size if self.batch.size is None else self.batch.size
        return self.batch

    def input_axis(self, name: str, place: int, size: int | str | None) -> Axis:
        """Return an axis of an input; axes of the same name in the file are the same."""
        if isinstance(size, str):
            own = self._named_axes.setdefault(size, Axis(size, None, (name, place)))
            return own if own.place == (name, place) else Axis(size, None, (name, place))
        return Axis(f"{name}.{place}", size, (name, place))

    @staticmethod
    def layer_name(name: str) -> str:
        """Return a name of the file as one of a layer."""
        return re.sub(r"[^0-9A-Za-z_.]+", "_", name)[:60] or "input"

    def learn_batch(self, axis: Axis) -> None:
        """Start again with an axis of an input as the batch."""
        if axis.place is None or self.batches.get(axis.place[0], -1) == axis.place[1]:
            raise Refusal("the axis of its sequences (the batch) is not the batch of the model")
        self.batches[axis.place[0]] = axis.place[1]
        raise Restart

    def no_batch(self) -> None:
        """Start again with an input that is one sample, without a batch."""
        for name, place in self.batches.items():
            if place is not None:
                self.batches[name] = None
                raise Restart
        raise Refusal("the axis of its sequences (the batch) has size 1, and the batch is another axis")

    @staticmethod
    def static(group: Group) -> int | None:
        """Return the size of an axis, None if it is open."""
        return static(group)

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
            return self._permuted(symbol, [held.index(group) for group in layout[1:]], value.kind)
        if have != want:
            apart = tuple((axis,) for axis in have)
            symbol = self._reshaped(symbol, held, apart, value.kind)
            symbol = self._permuted(symbol, [have.index(axis) for axis in want[1:]], value.kind)
            held = tuple((axis,) for axis in want)
        return self._reshaped(symbol, held, layout, value.kind)

    def _permuted(self, symbol: SymbolicTensor, order: list[int], kind: str) -> SymbolicTensor:
        result: SymbolicTensor = self.plain(layers.Permute, order, kind=kind)(symbol)
        return result

    def _reshaped(self, symbol: SymbolicTensor, held: Axes, layout: Axes, kind: str) -> SymbolicTensor:
        if held == layout:
            return symbol
        sizes = [static(group) for group in layout[1:]]
        if sizes.count(None) > 1:
            raise Refusal(f"it reshapes several open axes, {[axis.name for axis in atoms(layout[1:])]}")
        wanted = [-1 if size is None else size for size in sizes]
        result: SymbolicTensor = self.plain(layers.Reshape, wanted, kind=kind)(symbol)
        return result

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
                raise Refusal(
                    f"a constant has the size {size} where the tensor has {static(group) or 'an open'}"
                )
            sizes[group] = size
        order = [
            value.axes.index(group) for group in layout if group in value.axes and group != (self.batch,)
        ]
        rest = [place for place in range(len(value.axes)) if place not in order]
        array = array.transpose(order + rest)
        return array.reshape([sizes.get(group, 1) for group in layout[1:]])
