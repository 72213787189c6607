"""What the names in an ONNX graph stand for: constants, sizes, and tensors of the model with named axes.

A tensor of ONNX often has time first, an axis for directions, or axes that are put together. The layers of
nabi read batches of sequences `[B, T, features]`. So a value holds both: the symbolic tensor as nabi has it
(`held`), and the axes as the file sees them (`axes`). Transposing, squeezing and most reshaping change only
what the file sees.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nabi.interchange._onnx._reader._refusal import Refusal
from nabi.layers import SymbolicTensor

__all__ = ["Array", "Axes", "Axis", "Const", "Group", "Size", "Value", "atoms", "group_size", "static"]

Array = np.ndarray[Any, Any]


@dataclass(eq=False)
class Axis:
    """An axis with an identity of its own; `size` is None if it is open."""

    name: str
    size: int | None
    place: tuple[str, int] | None = None  # the input and its axis, for an axis of an input

    def __repr__(self) -> str:
        return f"{self.name}={self.size or '?'}"


Group = tuple[Axis, ...]  # an axis of a tensor: several axes put together, or none for an axis of size 1
Axes = tuple[Group, ...]


def atoms(groups: Iterable[Group]) -> Group:
    """Return the axes of all groups, in their order."""
    return tuple(axis for group in groups for axis in group)


class Size:
    """A size that is known only when the model runs: a number times the sizes of open axes."""

    def __init__(self, count: int, axes: Iterable[Axis]) -> None:
        self.count, self.axes = count, tuple(sorted(axes, key=id))

    @classmethod
    def of(cls, given: Any) -> "Size":
        """Return a number, or a size, as a size."""
        return given if isinstance(given, Size) else cls(int(given), ())

    def simple(self) -> Any:
        """Return a number if it is one."""
        return self if self.axes else self.count

    def __mul__(self, other: Any) -> Any:
        other = Size.of(other)
        if not self.count * other.count:
            return 0
        return Size(self.count * other.count, self.axes + other.axes).simple()

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        other = Size.of(other)
        rest = list(self.axes)
        for axis in other.axes:
            if axis not in rest:
                raise Refusal("it divides the sizes of open axes")
            rest.remove(axis)
        if not other.count or self.count % other.count:
            raise Refusal("it divides the size of an open axis")
        return Size(self.count // other.count, rest).simple()

    __truediv__ = __floordiv__

    def __add__(self, other: Any) -> Any:
        other = Size.of(other)
        if not other.count:
            return self
        if self.axes != other.axes:
            raise Refusal("it computes with the size of an open axis")
        return Size(self.count + other.count, self.axes).simple()

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self + Size.of(other) * -1 if not isinstance(other, int) or other else self

    def _above(self, number: Any) -> bool:
        """Tell whether it is larger than a number; every axis has at least one element."""
        if isinstance(number, Size) or number >= self.count:
            raise Refusal("it compares with the size of an open axis")
        return True

    def __gt__(self, other: Any) -> bool:
        return self._above(other)

    def __ge__(self, other: Any) -> bool:
        return self._above(other - 1)

    def __lt__(self, other: Any) -> bool:
        return not self._above(other - 1)

    def __le__(self, other: Any) -> bool:
        return not self._above(other)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Size) and (self.count, self.axes) == (other.count, other.axes)

    def __hash__(self) -> int:
        return hash((self.count, self.axes))

    def __repr__(self) -> str:
        return "·".join([str(self.count), *(axis.name for axis in self.axes)])


def group_size(group: Group) -> Any:
    """Return the size of a group: a number, or a `Size` if one of its axes is open."""
    size: Any = 1
    for axis in group:
        size = size * (Size(1, (axis,)) if axis.size is None else axis.size)
    return size


def static(group: Group) -> int | None:
    """Return the size of a group, None if one of its axes is open."""
    sizes = [axis.size for axis in group]
    return None if None in sizes else math.prod(size for size in sizes if size is not None)


@dataclass(frozen=True)
class Const:
    """A constant. Sizes of open axes may be among its elements, which are then Python objects.

    In a `loose` constant, axes of size 1 may stand for open ones: the constant was expanded to a size that is
    known only when the model runs.
    """

    array: Array
    loose: bool = False


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the model.

    Args:
        symbol: the tensor in nabi's model; its batch comes first.
        held: its axes.
        axes: the axes as the file sees them, of the same content; the batch may be left out if the file
            computes one sample only.
        kind: "float32", "float64" or "int".
        source: the recurrent node whose sequence of outputs it is, rearranged at most.
        last: an axis that is seen but not held: only the last step is asked for.
        truth: whether it is true and false in the file; here it is 1 and 0.
    """

    symbol: SymbolicTensor
    held: Axes
    axes: Axes
    kind: str
    source: str = ""
    last: Axis | None = None
    truth: bool = False

    def seen(self, axes: Sequence[Group]) -> "Value":
        """Return the same tensor with other axes."""
        return replace(self, axes=tuple(axes))

    def place(self, axis: int, what: str = "axis") -> int:
        """Return an axis counted from 0."""
        if not -len(self.axes) <= axis < len(self.axes):
            raise Refusal(f"{what} {axis} of a tensor of {len(self.axes)} axes", damaged=True)
        return axis % len(self.axes)

    def split(self, axis: Axis, sizes: Sequence[int]) -> "Value":
        """Return the same tensor with an axis seen as several."""
        parts = tuple(Axis(f"{axis.name}.{number}", size) for number, size in enumerate(sizes))

        def within(groups: Axes) -> Axes:
            return tuple(
                tuple(new for old in group for new in (parts if old is axis else (old,))) for group in groups
            )

        return replace(self, held=within(self.held), axes=within(self.axes))

    def renamed(self, old: Axis, new: Axis) -> "Value":
        """Return the same tensor with an axis that turned out to be another one."""

        def within(groups: Axes) -> Axes:
            return tuple(tuple(new if axis is old else axis for axis in group) for group in groups)

        return replace(self, held=within(self.held), axes=within(self.axes))
