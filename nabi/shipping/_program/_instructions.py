"""What a step program consists of: rows of numbers, and the instructions that compute one from others.

A value is a row of float32 numbers that lies somewhere: in the input, in the state, in the scratch memory, in
the weights. Instructions know values, not addresses; where a value lies is decided for each target
(`nabi.shipping._memory`). Units are the last axis of a value whatever its other axes are.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

__all__ = [
    "Cumulative",
    "Elementwise",
    "Instruction",
    "Kind",
    "Lookup",
    "Map",
    "Move",
    "Numbers",
    "Product",
    "Push",
    "Reduction",
    "Term",
    "Value",
    "reads_of",
    "results_of",
]

Numbers = npt.NDArray[np.float32]
Kind = Literal["sum", "mean", "max"]


@dataclass(eq=False, repr=False)
class Value:
    """A row of numbers.

    Attributes:
        name: what it is, for readers: `h`, `sum_f`, `W_x x`.
        width: how many numbers.
        memory: where it lies.
        numbers: of a value in the weights.
        pieces: the widths of pieces that stand side by side in it; empty where it is one piece.
        whole, piece: of a value that lies in another: which one, and which piece of it.
    """

    name: str
    width: int
    memory: Literal["input", "state", "scratch", "weights"] = "scratch"
    numbers: Numbers | None = None
    pieces: tuple[int, ...] = ()
    whole: "Value | None" = None
    piece: int = 0

    def lie_in(self, other: "Value") -> None:
        """Give it the place of another value of the same width."""
        self.memory, self.whole = other.memory, other

    def __repr__(self) -> str:
        return f"{self.name}[{self.width}]"

    @property
    def place(self) -> "Value":
        """The value that it lies in, directly or through others; itself where it lies in none."""
        return self if self.whole is None else self.whole.place


@dataclass(frozen=True, eq=False)
class Term:
    """A product of a matrix with a value.

    Attributes:
        matrix: `[units, columns]`.
        operand: of `columns` numbers; for a ring, of all its rows.
        back: of a ring, how many steps ago the row was pushed that is read; None for other values.
    """

    matrix: Numbers
    operand: Value
    back: int | None = None


@dataclass(frozen=True, eq=False)
class Product:
    """`result = bias + the sum of matrix × operand over all terms`.

    Several sums over the same operands are one product: their units stand side by side in the result, each
    sum on a piece of its own.

    Attributes:
        bias: one number for each unit of all pieces.
        terms: at least one; the matrices have the rows of all pieces.
    """

    result: Value
    bias: Numbers
    terms: tuple[Term, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Elementwise:
    """An operation on every unit by itself.

    Attributes:
        operation: a name that `nabi.native.operations` renders.
        arguments: other operations of the same map, values, or numbers. A value of one number is the same for
            every unit.
        name: what the result is, for readers: `f`.
    """

    operation: str
    arguments: "tuple[Elementwise | Value | float, ...]"
    name: str = ""

    def __repr__(self) -> str:
        given = ", ".join(
            one.name or one.operation if isinstance(one, Elementwise) else repr(one) for one in self.arguments
        )
        return f"{self.name or '_'} = {self.operation}({given})"


@dataclass(frozen=True, eq=False)
class Map:
    """Elementwise operations: one loop over the units.

    Attributes:
        width: how many units.
        operations: in order.
        results: which of them are kept, and where. A result may be a value that the map reads.
    """

    width: int
    operations: tuple[Elementwise, ...]
    results: tuple[tuple[Elementwise, Value], ...]

    @property
    def reads(self) -> tuple[Value, ...]:
        """The values that it reads, each once, in order."""
        found: dict[int, Value] = {}
        for one in self.operations:
            found |= {id(given): given for given in one.arguments if isinstance(given, Value)}
        return tuple(found.values())


@dataclass(frozen=True, eq=False)
class Reduction:
    """`result[o, i] = the sum, mean or maximum of source[o, :, i]` for a source of outer × count × inner."""

    kind: Kind
    source: Value
    result: Value
    outer: int
    count: int
    inner: int


@dataclass(frozen=True, eq=False)
class Cumulative:
    """`result[j] = sum of source[0 ... j]` over rows of `inner` numbers; `backward`: of `source[j ...]`."""

    source: Value
    result: Value
    inner: int
    backward: bool


@dataclass(frozen=True, eq=False)
class Move:
    """`result[to(i)] = source[of(i)]` over all indices `i` of a shape.

    Attributes:
        shape: how many indices each axis has.
        clears: whether what is not written becomes zero.
        of, to: the first place, and the distance between neighbours of each axis; 0 repeats a number.
    """

    source: Value
    result: Value
    shape: tuple[int, ...]
    of: tuple[int, tuple[int, ...]]
    to: tuple[int, tuple[int, ...]]
    clears: bool = False


@dataclass(frozen=True, eq=False)
class Lookup:
    """`result = table[index]`; an index outside the table reads its nearest row."""

    table: Numbers
    index: Value
    result: Value


@dataclass(frozen=True, eq=False)
class Push:
    """Puts a row into a ring, in the place of the oldest one.

    Attributes:
        ring: `rows` rows of the width of the source, and behind them, one number, the place of the newest.
    """

    source: Value
    ring: Value
    rows: int


Instruction = Product | Map | Reduction | Cumulative | Move | Lookup | Push


def reads_of(instruction: Instruction) -> tuple[Value, ...]:
    """Return the values that an instruction reads."""
    match instruction:
        case Product(terms=terms):
            return tuple(term.operand for term in terms)
        case Map(reads=reads):
            return reads
        case Lookup(index=index):
            return (index,)
        case Push(source=source, ring=ring):
            return (source, ring)
        case _:
            return (instruction.source,)


def results_of(instruction: Instruction) -> tuple[Value, ...]:
    """Return the values that an instruction writes."""
    match instruction:
        case Map(results=results):
            return tuple(value for _, value in results)
        case Push(ring=ring):
            return (ring,)
        case _:
            found: Any = instruction.result
            return (found,)
