"""The sum or the largest of numbers, in one order for all ways of writing it."""

from typing import Any

from llvmlite import ir

from nabi.native.vectors import Vectors
from nabi.shipping._code._loops import carried

__all__ = ["reduced"]


def reduced(v: Vectors, kind: Any, row: Any, count: Any, inner: Any, largest: bool) -> Any:
    """Write the sum, or the largest, of numbers that lie `inner` apart; return it as a scalar.

    It goes vector by vector, then through the lanes, then through what is left.

    Args:
        v: writes vectors; of one lane if `inner` may be other than 1.
        kind: the type of an index.
        row: address of the first number.
        count: how many numbers, at least two vectors or one number: an int, or an index that is known when
            the code runs.
        inner: the distance, in the same form.
        largest: whether the largest is wanted; NaN if any number is NaN.
    """
    b, lanes = v.builder, v.lanes

    def index(number: Any) -> Any:
        return ir.Constant(kind, number) if isinstance(number, int) else number

    def combine(a: Any, c: Any) -> Any:
        if not largest:
            return b.fadd(a, c)
        first = b.or_(b.fcmp_unordered("uno", a, a), b.fcmp_ordered(">", a, c))
        return b.select(first, a, c)

    def number(at: Any) -> Any:
        return b.load(v.address(row, at), align=4, typ=ir.FloatType())

    if lanes == 1:
        first = number(index(0))
        if isinstance(count, int) and count == 1:
            return first
        with carried(b, kind, 1, count, first) as (at, so_far, carry):
            carry(combine(so_far, number(b.mul(at, index(inner)))))
        return carry.result
    is_fixed = isinstance(count, int)
    vectors = count // lanes if is_fixed else b.udiv(count, index(lanes))
    with carried(b, kind, 1, vectors, v.load(row, index(0))) as (at, so_far, carry):
        carry(combine(so_far, v.load(row, b.mul(at, index(lanes)))))
    total = v.largest(carry.result) if largest else v.sum(carry.result)
    if is_fixed:
        for rest in range(count - count % lanes, count):
            total = combine(total, number(index(rest)))
        return total
    whole = b.mul(vectors, index(lanes))
    with carried(b, kind, 0, b.sub(count, whole), total) as (at, so_far, carry):
        carry(combine(so_far, number(b.add(whole, at))))
    return carry.result
