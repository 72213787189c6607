"""The body of a loop as expressions, and expressions as the instructions of a cell.

A body computes all gates by one product and takes them apart afterwards. The language of cells has no parts
of a value, so a part is pushed inwards until it is a part of a matrix, of a constant or of what was put
together. What is left, a part of a state or of the input, becomes a product with zeros and ones.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nabi.interchange._onnx._reader._refusal import Refusal
from nabi.interchange._onnx._reader._values import Array

__all__ = ["Expression", "Instructions", "joined", "part_of", "product"]


@dataclass(eq=False)
class Expression:
    """A value `[batch, width]` of a body; a width of 1 may stand for any.

    `kind` is "input", "state" (with its name), "number", "vector" (with numbers), "linear" (an expression and
    a matrix), "joined" (expressions beside each other) or a function of the language of cells.
    """

    kind: str
    width: int
    given: tuple["Expression", ...] = ()
    name: str = ""
    numbers: Any = None
    parts: dict[tuple[int, int], "Expression"] = field(default_factory=dict)


def joined(expressions: list[Expression]) -> Expression:
    """Put values beside each other."""
    if len(expressions) == 1:
        return expressions[0]
    return Expression("joined", sum(one.width for one in expressions), tuple(expressions))


def product(value: Expression, matrix: Array) -> Expression:
    """Multiply a value with a matrix `[width, units]`."""
    if matrix.shape[0] != value.width:
        raise Refusal(f"a product of {value.width} numbers with a matrix of {matrix.shape}", damaged=True)
    if value.kind != "joined":
        return Expression("linear", matrix.shape[1], (value,), numbers=matrix)
    ends = np.cumsum([one.width for one in value.given])
    terms = [
        product(one, matrix[end - one.width : end])
        for one, end in zip(value.given, ends.tolist(), strict=True)
    ]
    result = terms[0]
    for term in terms[1:]:
        result = Expression("add", matrix.shape[1], (result, term))
    return result


def part_of(value: Expression, start: int, stop: int) -> Expression:
    """Return a part of a value; the same expression for the same part."""
    if (start, stop) == (0, value.width) or value.kind == "number":
        return value
    if (start, stop) not in value.parts:
        value.parts[start, stop] = _part(value, start, stop)
    return value.parts[start, stop]


def _part(value: Expression, start: int, stop: int) -> Expression:
    if value.kind == "vector":
        return Expression("vector", stop - start, numbers=value.numbers[start:stop])
    if value.kind == "linear":
        return Expression("linear", stop - start, value.given, numbers=value.numbers[:, start:stop])
    if value.kind in ("input", "state", "sequence", "norm", "softmax"):
        return product(value, np.eye(value.width, dtype=np.float32)[:, start:stop])
    if value.kind == "joined":
        found, end = [], 0
        for one in value.given:
            first, last = max(start - end, 0), min(stop - end, one.width)
            if first < last:
                found.append(part_of(one, first, last))
            end += one.width
        return joined(found)
    given = tuple(one if one.width == 1 else part_of(one, start, stop) for one in value.given)
    return Expression(value.kind, stop - start, given)


class Instructions:
    """The instructions of a cell, with the numbers of its weights by letter and gate."""

    def __init__(self, units: int) -> None:
        self.units = units
        self.body: list[tuple[Any, ...]] = []
        self.weights: dict[str, dict[str, Array]] = {}
        self._places: dict[int, int] = {}
        self._kept: list[Expression] = []  # so that no other expression gets the same id
        self._leaves: dict[tuple[Any, ...], int] = {}
        self._letters: dict[tuple[Any, ...], str] = {}
        self._gates = 0

    def _add(self, *line: Any) -> int:
        self.body.append(line)
        return len(self.body) - 1

    def place(self, value: Expression) -> int:
        """Return the place of the instruction that computes a value."""
        if id(value) not in self._places:
            self._kept.append(value)
            self._places[id(value)] = self._computed(value)
        return self._places[id(value)]

    def _computed(self, value: Expression) -> int:
        if value.kind in ("input", "state", "number"):
            line = {"input": ("input",), "state": ("state", value.name)}.get(
                value.kind, ("number", value.numbers)
            )
            if line not in self._leaves:
                self._leaves[line] = self._add(*line)
            return self._leaves[line]
        if value.kind in ("add", "linear", "vector"):
            return self._sum(value)
        if value.kind == "joined":
            # Each part is put at its place by a product with zeros and ones.
            total = None
            end = 0
            for one in value.given:
                matrix = np.zeros((one.width, value.width), np.float32)
                matrix[:, end : end + one.width] = np.eye(one.width)
                end += one.width
                term = product(one, matrix)
                total = term if total is None else Expression("add", value.width, (total, term))
            assert total is not None
            return self.place(total)
        return self._add(value.kind, *[self.place(self.wide(one, value.width)) for one in value.given])

    def wide(self, value: Expression, width: int) -> Expression:
        """Return a value of width 1 as one of the width of those that it meets."""
        if value.width == width or value.kind == "number":
            return value
        if value.width != 1:
            raise Refusal(f"it puts together {value.width} and {width} numbers", damaged=True)
        if value.kind == "vector":
            return Expression("number", 1, numbers=float(value.numbers[0]))
        wide = value.parts.get((0, -width))
        if wide is None:
            wide = product(value, np.ones((1, width), np.float32))
            value.parts[0, -width] = wide
        return wide

    def _terms(self, value: Expression, width: int) -> list[Expression]:
        if value.kind == "add" and id(value) not in self._places:
            return [term for one in value.given for term in self._terms(one, width)]
        return [self.wide(value, width)]

    def _sum(self, value: Expression) -> int:
        """Write a sum; the products and learned numbers in it are one gate."""
        if value.kind == "add":
            terms = [term for one in value.given for term in self._terms(one, value.width)]
        else:
            terms = [value]
        operands = {id(one): self.place(one.given[0]) for one in terms if one.kind == "linear"}
        self._gates += 1
        gate, used = f"g{self._gates}", set[str]()
        places = []
        for one in terms:
            if one.kind not in ("linear", "vector"):
                places.append(self.place(one))
                continue
            operand = operands.get(id(one), -1)
            letter = self._letter(operand, one)
            while letter in used:  # a gate has one matrix for each letter
                self._gates += 1
                gate, used = f"g{self._gates}", set()
            used.add(letter)
            if one.kind == "linear":
                places.append(self._add("linear", gate, letter, operand, one.width))
                self.weights.setdefault(f"W_{letter}", {})[gate] = one.numbers.T
            else:
                places.append(self._add("vector", gate, letter, one.width))
                self.weights.setdefault(f"b_{letter}" if letter else "b", {})[gate] = one.numbers
        result = places[0]
        for place in places[1:]:
            result = self._add("add", result, place)
        return result

    def _letter(self, operand: int, value: Expression) -> str:
        """Return the letter of the weights on a value; each letter has one shape."""
        key = (operand, value.width, value.kind)
        if key not in self._letters:
            if value.kind == "vector":
                base = "" if value.width == self.units else f"k{value.width}"
            else:
                line = self.body[operand]
                base = {"input": "x", "state": line[-1]}.get(line[0], f"v{operand}")
                if value.width != self.units:
                    base = f"{base}{value.width}"
            self._letters[key] = base
        return self._letters[key]
