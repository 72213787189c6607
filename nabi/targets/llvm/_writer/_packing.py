"""Packing of weights in the order in which products read them.

The layout is `[tile][k][accumulator][vector][lane]`, with lanes over outputs. In a family tensor, either the
weights of one input or those of one output are contiguous; the first are copied, the second transposed in
registers. Weights are packed before every run: comparing them with the last packed ones would read as much
memory, and version counters can't be trusted.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from nabi.native.vectors import INDEX, POINTER, Vectors, index, loop_over
from nabi.targets.llvm._plan._tiles import Columns

__all__ = ["Matrix", "Packer", "sum_lines", "transpose"]


@dataclass(frozen=True)
class Matrix:
    """A matrix in memory.

    Attributes:
        start: its address.
        apart: elements from one line to the next.
        side_by_side: whether a line holds the weights of one input rather than those of one output.
    """

    start: Any
    apart: Any
    side_by_side: bool


def transpose(v: Vectors, rows: Sequence[Any]) -> list[Any]:
    """Return the columns of a square of `lanes` vectors, by swapping halves, quarters, ... of pairs."""
    rows = list(rows)
    step = v.lanes // 2
    while step:
        for i in range(v.lanes):
            if not i & step:
                rows[i], rows[i | step] = _exchange(v, rows[i], rows[i | step], step)
        step //= 2
    return rows


def sum_lines(v: Vectors, rows: Sequence[Any]) -> Any:
    """Return the sum of each of `lanes` vectors, in its lane; swapped parts are added immediately."""
    rows = list(rows)
    step = v.lanes // 2
    while step:
        rows = [v.add(*_exchange(v, rows[i], rows[i + step], step)) for i in range(step)]
        step //= 2
    return rows[0]


def sum_few(v: Vectors, few: Vectors, rows: Sequence[Any]) -> Any:
    """Return the sum of each of a few vectors, in its lane of a vector of so many lanes.

    Args:
        v: writes vectors as wide as `rows`.
        few: writes vectors of as many lanes as there are rows.
        rows: the vectors.
    """
    b, size, lanes = v.builder, len(rows), v.lanes
    found = list(rows)
    while lanes > size:
        lanes //= 2
        half = Vectors(b, v.dtype, lanes)
        low, high = _mask(range(lanes)), _mask(range(lanes, 2 * lanes))
        found = [half.add(b.shuffle_vector(r, r, low), b.shuffle_vector(r, r, high)) for r in found]
    return sum_lines(few, found)


def _exchange(v: Vectors, one: Any, two: Any, step: int) -> tuple[Any, Any]:
    """Swap the parts of two vectors whose lanes differ by `step`, as in transposing two rows of a square."""
    lanes = v.lanes
    first = [lane if not lane & step else lanes + (lane ^ step) for lane in range(lanes)]
    second = [lane | step if not lane & step else lanes + lane for lane in range(lanes)]
    shuffle = v.builder.shuffle_vector
    return shuffle(one, two, _mask(first)), shuffle(one, two, _mask(second))


def _mask(places: Iterable[int]) -> Any:
    kind, places = ir.IntType(32), list(places)
    return ir.Constant(ir.VectorType(kind, len(places)), [ir.Constant(kind, place) for place in places])


class Packer:
    """Writes the packing of a kernel's weights, with one small function for each kind of block."""

    def __init__(self, v: Vectors) -> None:
        self.v = v

    def pack(
        self,
        *,
        columns: Columns,
        tiles: tuple[Any, Any],
        length: int,
        stride: int,
        slots: Sequence[Matrix],
        target: Any,
    ) -> None:
        """Write the packing of one operand's weights.

        Args:
            columns: the division of the outputs into tiles.
            tiles: this thread's first tile and the one after its last.
            length: the number of inputs of an output, K.
            stride: elements from one tile to the next.
            slots: the matrix of each accumulator.
            target: the address of the packed weights.
        """
        v, b, lanes = self.v, self.v.builder, self.v.lanes
        size = columns.vectors * lanes
        line = len(slots) * size
        with loop_over(b, *tiles) as tile:
            place = v.address(target, b.mul(tile, index(stride)))
            for j, matrix in enumerate(slots):
                with loop_over(b, 0, columns.vectors) as n:
                    output = b.mul(b.add(b.mul(tile, index(columns.vectors)), n), index(lanes))
                    here = v.address(place, b.add(b.mul(n, index(lanes)), index(j * size)))
                    valid = b.sub(index(columns.width), output)
                    if matrix.side_by_side:
                        arguments = [
                            v.address(matrix.start, output),
                            matrix.apart,
                            here,
                            index(line),
                            index(length),
                            valid,
                        ]
                        b.call(self._copy(columns.is_even), arguments)
                    else:
                        source = v.address(matrix.start, b.mul(output, matrix.apart))
                        self._turn_all(source, matrix.apart, here, line, length, valid, columns.is_even)

    def _turn_all(
        self, source: Any, stride: Any, target: Any, line: int, length: int, valid: Any, is_even: bool
    ) -> None:
        v, b = self.v, self.v.builder
        full, rest = divmod(length, v.lanes)
        if full:
            with loop_over(b, 0, full) as block:
                at = b.mul(block, index(v.lanes))
                here = v.address(target, b.mul(at, index(line)))
                b.call(
                    self._turn(is_even, v.lanes), [v.address(source, at), stride, here, index(line), valid]
                )
        if rest:
            at = full * v.lanes
            here = v.address(target, at * line)
            b.call(self._turn(is_even, rest), [v.address(source, at), stride, here, index(line), valid])

    def _function(self, name: str, kinds: Sequence[Any]) -> tuple[Any, bool]:
        module = self.v.builder.module
        if name in module.globals:
            return module.globals[name], False
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), list(kinds)), name)
        function.linkage = "internal"
        return function, True

    def _copy(self, is_even: bool) -> Any:
        """Return the copy of output vectors: (source, stride, target, target stride, count, valid lanes)."""
        kinds = [POINTER, INDEX, POINTER, INDEX, INDEX, INDEX]
        function, new = self._function("copy" if is_even else "copy_some", kinds)
        if new:
            source, stride, target, line, length, valid = function.args
            v = Vectors(ir.IRBuilder(function.append_basic_block()), self.v.dtype, self.v.lanes)
            b = v.builder
            mask = None if is_even else v.lanes_below(valid)
            with loop_over(b, 0, length) as k:
                v.store(v.load(source, b.mul(k, stride), mask), target, b.mul(k, line))
            b.ret_void()
        return function

    def _turn(self, is_even: bool, depth: int) -> Any:
        """Return the transposition, `depth` deep: (source, stride, target, target stride, valid lanes)."""
        name = f"turn_{depth}" if is_even else f"turn_some_{depth}"
        function, new = self._function(name, [POINTER, INDEX, POINTER, INDEX, INDEX])
        if new:
            source, stride, target, line, valid = function.args
            v = Vectors(ir.IRBuilder(function.append_basic_block()), self.v.dtype, self.v.lanes)
            b = v.builder
            mask = v.lanes_below(depth) if depth < v.lanes else None
            rows = []
            for i in range(v.lanes):
                inside = mask
                if not is_even:
                    here = b.icmp_signed("<", index(i), valid)
                    inside = b.select(here, mask or v.lanes_below(v.lanes), v.lanes_below(0))
                rows.append(v.load(source, b.mul(stride, index(i)), inside))
            for k, column in enumerate(transpose(v, rows)[:depth]):
                v.store(column, target, b.mul(line, index(k)))
            b.ret_void()
        return function
