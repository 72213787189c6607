"""Loops of a step: over numbers of rounds that are fixed, or known when the code runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

__all__ = ["Carry", "carried", "fixed_rounds", "rounds"]


@contextmanager
def fixed_rounds(b: ir.IRBuilder, kind: Any, count: int) -> Iterator[Any]:
    """Write a loop over 0 ... count - 1, no loop for one round; yields the index."""
    if count == 1:
        yield ir.Constant(kind, 0)
        return
    before, body, after = b.block, b.append_basic_block("each"), b.append_basic_block("done")
    b.branch(body)
    b.position_at_end(body)
    at = b.phi(kind)
    at.add_incoming(ir.Constant(kind, 0), before)
    yield at
    following = b.add(at, ir.Constant(kind, 1))
    at.add_incoming(following, b.block)
    b.cbranch(b.icmp_signed("<", following, ir.Constant(kind, count)), body, after)
    b.position_at_end(after)


class Carry:
    """Takes the value that a loop carries to its next round."""

    result: Any = None
    """What the last round gave, after the loop."""

    def __call__(self, value: Any) -> None:
        self.result = value


@contextmanager
def carried(
    b: ir.IRBuilder, kind: Any, start: int, stop: Any, first: Any
) -> Iterator[tuple[Any, Any, Carry]]:
    """Write a loop with a value that is carried; yields index, value, and what takes the next.

    Args:
        b: writes the instructions.
        kind: the type of an index.
        start, stop: of the index. Where `stop` is an int there is at least one round; otherwise it is an
            index that is known when the code runs.
        first: the value in the first round, and after the loop if there is none.
    """
    carry = Carry()
    is_fixed = isinstance(stop, int)
    if is_fixed and stop <= start:
        raise ValueError(f"stop: expected more than {start}, got {stop}")
    before, body, after = b.block, b.append_basic_block("each"), b.append_basic_block("done")
    head = body if is_fixed else b.append_basic_block("head")
    b.branch(head)
    b.position_at_end(head)
    at, so_far = b.phi(kind), b.phi(first.type)
    at.add_incoming(ir.Constant(kind, start), before)
    so_far.add_incoming(first, before)
    if not is_fixed:
        b.cbranch(b.icmp_signed("<", at, stop), body, after)
        b.position_at_end(body)
    yield at, so_far, carry
    following = b.add(at, ir.Constant(kind, 1))
    at.add_incoming(following, b.block)
    so_far.add_incoming(carry.result, b.block)
    if is_fixed:
        b.cbranch(b.icmp_signed("<", following, ir.Constant(kind, stop)), body, after)
    else:
        b.branch(head)
        carry(so_far)
    b.position_at_end(after)


@contextmanager
def rounds(b: ir.IRBuilder, kind: Any, count: Any) -> Iterator[Any]:
    """Write a loop over 0 ... count - 1 for a count that is known when it runs; yields the index."""
    head, body, after = (b.append_basic_block(name) for name in ("head", "each", "done"))
    before = b.block
    b.branch(head)
    b.position_at_end(head)
    at = b.phi(kind)
    at.add_incoming(ir.Constant(kind, 0), before)
    b.cbranch(b.icmp_signed("<", at, count), body, after)
    b.position_at_end(body)
    yield at
    following = b.add(at, ir.Constant(kind, 1))
    at.add_incoming(following, b.block)
    b.branch(head)
    b.position_at_end(after)
