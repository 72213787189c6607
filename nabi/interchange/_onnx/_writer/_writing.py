"""A graph that is being written: values with shapes and masks, inputs, outputs, states, problems."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from torch import Tensor

from nabi.errors import ArgumentError
from nabi.targets.onnx import GraphScope, ValueInfo, element_type

__all__ = [
    "RESERVED_CODES",
    "Mask",
    "Shape",
    "UnwritableError",
    "Value",
    "Writing",
    "axes_of",
    "changed",
    "masked",
    "numbers",
]

RESERVED_CODES = {"padding": 0, "start": 1, "unknown": 2, "separator": 3}
"""Of every vocabulary; its words follow."""

Shape = tuple[int | None, ...]


class UnwritableError(Exception):
    """A layer has no rendering in ONNX; the message says why."""


@dataclass(frozen=True)
class Mask:
    """Which steps count.

    Attributes:
        name: `[B, T]`, bool.
        lengths: `[B]`, int32, where the steps that count come first in every row; else None.
        rank: 3 for `[B, T, S]`, the words of sentences.
    """

    name: str
    lengths: str | None = None
    rank: int = 2


@dataclass(frozen=True)
class Value:
    """A tensor of the graph: its name, its shape in nabi's layout (batch first), and its mask."""

    name: str
    shape: Shape
    mask: Mask | None = None
    is_whole: bool = False
    """Whether its numbers are int64, as those of an input that only embeddings read."""


@dataclass(frozen=True)
class _Packed:
    """How steps that count are moved to the front of their rows, and back."""

    order: str  # [B, T, 1]: which step stands at each place
    place: str  # [B, T, 1]: the place of the last step that counts up to here; 0 before the first
    started: str  # [B, T], bool: whether a step up to here counts
    lengths: str  # [B], int32


@dataclass
class Writing:
    """The file that is being written.

    Attributes:
        graph: its nodes, constants and functions.
        stateful: whether recurrent layers have their states as inputs and outputs.
        inputs, outputs: of the file.
        states: the pairs of inputs and outputs that are states, for `nabi.states`.
        preprocessing: what a system does with raw data before its network, for `nabi.preprocessing`.
        problems: layers without a rendering: name, kind and reason, for one error at the end.
        parts: other files of the same model, each by what it is: "step" of "model.onnx" is "model.step.onnx".
    """

    graph: GraphScope
    stateful: bool = False
    inputs: list[ValueInfo] = field(default_factory=list)
    outputs: list[ValueInfo] = field(default_factory=list)
    states: list[dict[str, Any]] = field(default_factory=list)
    problems: list[tuple[str, str, str]] = field(default_factory=list)
    preprocessing: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, "Writing"] = field(default_factory=dict)
    _packed: dict[str, _Packed] = field(default_factory=dict)
    _state_outputs: list[tuple[str, str, list[Any]]] = field(default_factory=list)

    def beside(self, part: str) -> "Writing":
        """Begin another file of the same model."""
        self.parts[part] = Writing(GraphScope(self.graph.opset))
        return self.parts[part]

    # Inputs and outputs -----------------------------------------------------------------------------------

    def input(self, name: str, dtype: Any, axes: Sequence[int | str | None], shape: Shape) -> Value:
        """Declare an input of the file."""
        own = self.graph.name(name)
        self.inputs.append(ValueInfo.of(own, element_type(dtype), axes))
        return Value(own, shape)

    def output(self, value: str, name: str, dtype: Any, axes: Sequence[int | str | None]) -> None:
        """Declare an output of the file."""
        own = self.graph.name(name)
        self.graph.add_under(own, value)
        self.outputs.append(ValueInfo.of(own, element_type(dtype), axes))

    def state(self, name: str, axes: Sequence[int | str | None]) -> str:
        """Declare a state as an input; `next_state` says what it becomes."""
        own = self.graph.name(name)
        self.inputs.append(ValueInfo.of(own, element_type(np.float32), axes))
        return own

    def next_state(self, given: str, value: str, axes: Sequence[int | str | None]) -> None:
        """Declare what a state of the input becomes."""
        self._state_outputs.append((given, value, list(axes)))

    def finish(self, what: str) -> None:
        """Declare the outputs of states, after all others.

        Raises:
            ArgumentError: with everything that has no rendering.
        """
        if self.problems:
            # Layers with the same problem together: a message has no place for much text.
            grouped: dict[tuple[str, str], list[str]] = {}
            for name, kind, reason in self.problems:
                grouped.setdefault((kind, reason), []).append(name)
            listed = "; ".join(
                f"{', '.join(dict.fromkeys(names))} ({kind}): {reason}"
                for (kind, reason), names in grouped.items()
            )
            raise ArgumentError(f"model: {what} cannot be written as ONNX: {listed}")
        for given, value, axes in self._state_outputs:
            self.output(value, f"{given}_next", np.float32, axes)
            self.states.append({"input": given, "output": self.outputs[-1].name, "width": axes[-1]})
        for part in self.parts.values():
            part.finish(what)

    def inside(self, x: Value, lengths: bool) -> Value:
        """Return a value with the mask of an input `lengths`, if there is to be one."""
        if not lengths:
            return x
        own = self.input("lengths", np.int32, ["batch"], (None,))
        return replace(x, mask=self.mask_of_lengths(own.name, x.name))

    # Masks ------------------------------------------------------------------------------------------------

    def mask_of_lengths(self, lengths: str, like: str) -> Mask:
        """Return the mask of the first steps of `like` `[B, T, ...]`; `lengths` is `[B]`, int32."""
        graph = self.graph
        steps = self.steps(graph.size(like, 1), np.int32)
        column = graph.add("Unsqueeze", [lengths, graph.ints(1)], "lengths_column")
        return Mask(graph.add("Less", [steps, column], "mask"), lengths)

    def steps(self, count: str, dtype: Any = np.int64) -> str:
        """Return the numbers of steps, `[T]`, for a list of one number."""
        graph = self.graph
        limit = graph.add("Squeeze", [count], "count")
        zero, one = graph.constant(np.int64(0)), graph.constant(np.int64(1))
        found = graph.add("Range", [zero, limit, one], "steps")
        return found if dtype is np.int64 else graph.cast(found, dtype, "steps_small")

    def packed(self, mask: Mask) -> _Packed:
        """Return how the steps of a mask are packed."""
        if mask.name not in self._packed:
            self._packed[mask.name] = self._pack(mask)
        return self._packed[mask.name]

    def _pack(self, mask: Mask) -> _Packed:
        graph = self.graph
        count = graph.size(mask.name, 1)
        steps = self.steps(count)
        # Steps that count get T - t, the others -1 - t: falling, with the former first, in their order.
        first = graph.add("Sub", [count, steps], "place_if_inside")
        last = graph.add("Sub", [graph.constant(np.int64(-1)), steps], "place_if_outside")
        keys = graph.add("Where", [mask.name, first, last], "places_wanted")
        _, order = graph.several("TopK", [keys, count], ["places_found", "order"], axis=1)
        whole = graph.cast(mask.name, np.int64, "inside")
        counted = graph.add("CumSum", [whole, graph.constant(np.int64(1))], "counted")
        before = graph.add("Sub", [counted, graph.constant(np.int64(1))], "counted_before")
        place = graph.add("Max", [before, graph.constant(np.int64(0))], "place")
        total = graph.cast(graph.reduce("ReduceSum", whole, [1], False), np.int32, "lengths_found")
        axis = graph.ints(2)
        return _Packed(
            graph.add("Unsqueeze", [order, axis], "order_of_steps"),
            graph.add("Unsqueeze", [place, axis], "place_of_steps"),
            graph.add("Greater", [counted, graph.constant(np.int64(0))], "started"),
            total,
        )

    def take_steps(self, value: str, steps: str, name: str) -> str:
        """Return the steps `[B, N, 1]` of `[B, T, ...]`."""
        return self.graph.add("GatherND", [value, steps], name, batch_dims=1)

    def column(self, mask: Mask, rank: int = 3) -> str:
        """Return a mask with axes of size 1 up to a rank."""
        axes = self.graph.ints(*range(2, rank))
        return mask.name if rank <= 2 else self.graph.add("Unsqueeze", [mask.name, axes], "mask_column")

    def where(self, mask: Mask, value: Value | str, other: float, rank: int = 3, name: str = "masked") -> str:
        """Return a value with a number in place of the steps that do not count."""
        own = value.name if isinstance(value, Value) else value
        return self.graph.add("Where", [self.column(mask, rank), own, self.graph.number(other)], name)

    def flipped(self, value: str, name: str = "flipped") -> str:
        """Return a value with its steps, axis 1, in the opposite order."""
        graph = self.graph
        ends = graph.ints(int(np.iinfo(np.int64).min))
        return graph.add("Slice", [value, graph.ints(-1), ends, graph.ints(1), graph.ints(-1)], name)

    # Shapes -----------------------------------------------------------------------------------------------

    def weight(self, values: Tensor, name: str) -> str:
        """Return the name of a constant with the numbers of a tensor, float32."""
        return self.graph.constant(numbers(values), name)

    def dense(self, value: str, kernel: Any, bias: Any, name: str) -> str:
        """Return `value @ kernel + bias`; a bias of None is left out."""
        found = self.graph.add("MatMul", [value, self.weight(kernel, f"{name}_kernel")], name)
        if bias is None:
            return found
        return self.graph.add("Add", [found, self.weight(bias, f"{name}_bias")], name)


def numbers(values: Tensor) -> Any:
    """Return a tensor's numbers as an array, float32."""
    return values.detach().float().cpu().numpy()


def changed(value: Value, name: str, shape: Shape | None = None, **parts: Any) -> Value:
    """Return a value with another name, and with another shape or mask where they are given."""
    return replace(value, name=name, shape=value.shape if shape is None else shape, **parts)


def masked(w: Writing, x: Any, mask: Any) -> Any:
    """Return a value with the mask that is passed in the call of its layer, if one is.

    Raises:
        UnwritableError: if it is no output of a layer or model.
    """
    if mask is None:
        return x
    if not isinstance(mask, Value) or not isinstance(x, Value):
        raise UnwritableError("a mask that is no output of a layer is not written")
    own = mask.mask
    if own is None or own.name != mask.name:
        own = Mask(w.graph.cast(mask.name, bool, "mask_given"), None, len(mask.shape))
    return replace(x, mask=own)


def axes_of(shape: Sequence[int | None], names: Mapping[int, str]) -> list[int | str | None]:
    """Return the axes of an input or output: sizes that are known, else a name."""
    return [names.get(axis, f"axis_{axis}") if size is None else size for axis, size in enumerate(shape)]
