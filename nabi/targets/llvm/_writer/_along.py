"""Linear maps along the units of one row: from a line on the stack to a stored row."""

from collections.abc import Callable
from typing import Any

from nabi.native.vectors import Loop, Vectors, index, loop_over

__all__ = ["write_along"]


def write_along(v: Vectors, name: str, line: Any, target: Any, width: int, number: int) -> None:
    """Write one of the operations along the units.

    Args:
        v: writes the instructions.
        name: of the operation.
        line: the address of its argument, with zeros up to a whole number of vectors.
        target: the address of its result.
        width: units of the argument.
        number: its second argument.
    """
    _WRITTEN[name](v, line, target, width, number)


def _cumulative_sum(v: Vectors, line: Any, target: Any, width: int, chunk: int) -> None:
    _sum_up(v, line, target, width, chunk, backward=False)


def _reverse_cumulative_sum(v: Vectors, line: Any, target: Any, width: int, chunk: int) -> None:
    _sum_up(v, line, target, width, chunk, backward=True)


def _sum_up(v: Vectors, line: Any, target: Any, width: int, chunk: int, *, backward: bool) -> None:
    """Add up chunks: a vector of units of all chunks at a time, or one unit where chunks are narrow."""
    b = v.builder
    chunks = width // chunk

    def place(turn: Any, unit: Any) -> Any:
        turn = b.sub(index(chunks - 1), turn) if backward else turn
        return b.add(b.mul(turn, index(chunk)), unit)

    whole = chunk // v.lanes
    if whole:
        with loop_over(b, 0, whole * v.lanes, v.lanes) as unit:
            loop = Loop(b, 0, chunks, 1, [v.zero])
            at = place(loop.at, unit)
            total = v.add(loop.carried[0], v.load(line, at))
            v.store(total, target, at)
            loop.close([total])
    with loop_over(b, whole * v.lanes, chunk) as unit:
        loop = Loop(b, 0, chunks, 1, [v.element(0.0)])
        at = place(loop.at, unit)
        total = b.fadd(loop.carried[0], v.load_scalar(line, at))
        v.store_scalar(total, target, at)
        loop.close([total])


def _shift(v: Vectors, line: Any, target: Any, width: int, by: int) -> None:
    b = v.builder
    kept = width - abs(by)
    source, begin = (v.address(line, max(-by, 0)), v.address(target, max(by, 0)))
    _copy(v, source, begin, kept)
    zeros = target if by > 0 else v.address(target, kept)
    with loop_over(b, 0, abs(by)) as unit:
        v.store_scalar(v.element(0.0), zeros, unit)


def _copy(v: Vectors, source: Any, target: Any, count: int) -> None:
    b, whole = v.builder, count // v.lanes * v.lanes
    with loop_over(b, 0, whole, v.lanes) as at:
        v.store(v.load(source, at), target, at)
    if whole < count:
        mask = v.lanes_below(count - whole)
        v.store(v.load(source, whole, mask), target, whole, mask)


def _repeat(v: Vectors, line: Any, target: Any, width: int, times: int) -> None:
    b = v.builder
    whole = times // v.lanes * v.lanes
    with loop_over(b, 0, width) as unit:
        number = v.load_scalar(line, unit)
        begin = v.address(target, b.mul(unit, index(times)))
        if whole:
            every = v.splat(number)
            with loop_over(b, 0, whole, v.lanes) as at:
                v.store(every, begin, at)
        with loop_over(b, whole, times) as at:
            v.store_scalar(number, begin, at)


def _fold(v: Vectors, line: Any, target: Any, width: int, size: int) -> None:
    b = v.builder
    with loop_over(b, 0, width // size) as unit:
        begin = v.address(line, b.mul(unit, index(size)))
        loop = Loop(b, 0, size, 1, [v.element(0.0)])
        (total,) = loop.close([b.fadd(loop.carried[0], v.load_scalar(begin, loop.at))])
        v.store_scalar(total, target, unit)


_WRITTEN: dict[str, Callable[[Vectors, Any, Any, int, int], None]] = {
    "cumulative_sum": _cumulative_sum,
    "reverse_cumulative_sum": _reverse_cumulative_sum,
    "shift": _shift,
    "repeat": _repeat,
    "fold": _fold,
}
