"""The function around a kernel: its arguments, its share of the work among threads, and barriers.

Every kernel is `void name(i64 *arguments, i64 thread, i64 threads)`. Each sum is computed by one thread in a
fixed order, so results do not depend on the number of threads. Threads divide either units (with a barrier at
every step to synchronize the states) or rows of the batch (each thread then runs independently from the first
step to the last).
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from nabi.native.threads import COUNTER_STRIDE
from nabi.native.vectors import INDEX, POINTER, Vectors, index, reserve

__all__ = ["KernelFunction", "larger", "smaller"]

_SPINS = 20_000
"""How often a thread checks before it yields the processor: a third of a millisecond (AMD) to 1.4 (Intel).

If two threads on one processor sleep at every barrier, they look idle and the system leaves them there; if
one of them spins, the system moves the other.
"""

_REST = 20
"""Microseconds for which it yields."""

_LOST = 10_000
"""How often a thread checks before it notes that another one has lost its processor: .2 to .7 milliseconds,
more than it takes to wake a thread and less than another program keeps a processor."""


class KernelFunction:
    """A kernel being written.

    Args:
        name: name of the function.
        dtype: `"float32"` or `"float64"`.
        lanes: elements of a vector.
        arguments: names in the order of the argument block; `barriers`, `split_units` and `batch` are always
            included.
        processor: `"x86_64"` or `"aarch64"`, which decides the pause instruction of a spinning thread.
    """

    def __init__(self, name: str, dtype: str, lanes: int, arguments: Sequence[str], processor: str) -> None:
        self.module = ir.Module(name)
        self.processor = processor
        kind = ir.FunctionType(ir.VoidType(), [POINTER, INDEX, INDEX])
        self.function = ir.Function(self.module, kind, name)
        self.function.attributes.add("nounwind")
        self.b = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.v = Vectors(self.b, dtype, lanes)
        block, self.thread, self.threads = self.function.args
        self.arguments: dict[str, Any] = {}
        for place, argument in enumerate(arguments):
            at = self.b.gep(block, [index(place)], source_etype=INDEX)
            kind = INDEX if argument in _NUMBERS or argument.startswith("line_") else POINTER
            self.arguments[argument] = self.b.load(at, align=8, typ=kind)

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    def divide(self, grains: int, whole_rows: bool) -> None:
        """Divide the work; threads without a share return here.

        Args:
            grains: the number of pieces into which units can be divided.
            whole_rows: whether rows must not be divided.
        """
        b = self.b
        by_units = smaller(b, self.threads, index(grains))
        split = b.icmp_signed("!=", self["split_units"], index(0))
        if whole_rows:
            self.unit_shares, self.row_shares = by_units, index(1)
        else:
            self.unit_shares = b.select(split, by_units, index(1))
            most = b.select(b.icmp_signed(">", self["batch"], index(0)), self["batch"], index(1))
            self.row_shares = smaller(b, b.sdiv(self.threads, self.unit_shares), most)
        self.shares = b.mul(self.unit_shares, self.row_shares)
        with b.if_then(b.icmp_signed(">=", self.thread, self.shares)):
            b.ret_void()
        self.unit_share = b.srem(self.thread, self.unit_shares)
        self.row_share = b.sdiv(self.thread, self.unit_shares)
        self._turns = [reserve(b, INDEX), reserve(b, INDEX)]
        for turn in self._turns:
            b.store(index(0), turn)
        self.row_range = self.part(self["batch"], self.row_share, self.row_shares)

    def part(self, total: Any, share: Any, shares: Any, grain: int = 1) -> tuple[Any, Any]:
        """Return a share's range of `total`, divided only at multiples of `grain`."""
        b = self.b
        pieces = b.sdiv(b.add(total, index(grain - 1)), index(grain)) if grain > 1 else total
        first = b.mul(b.sdiv(b.mul(pieces, share), shares), index(grain))
        stop = b.mul(b.sdiv(b.mul(pieces, b.add(share, index(1))), shares), index(grain))
        return smaller(b, first, total), smaller(b, stop, total)

    def part_of_all(self, total: Any, grain: int = 1) -> tuple[Any, Any]:
        """Return this thread's range if all threads share the work."""
        return self.part(total, self.thread, self.shares, grain)

    def wait_for_all(self) -> None:
        """Wait until every thread has arrived."""
        self._wait(self["barriers"], self._turns[0], self.shares)

    def wait_for_units(self) -> None:
        """Wait until every thread that works on the same rows has arrived."""
        at = self.b.mul(self.b.add(self.row_share, index(1)), index(COUNTER_STRIDE))
        counter = self.b.gep(self["barriers"], [at], source_etype=INDEX)
        self._wait(counter, self._turns[1], self.unit_shares)

    def _wait(self, counter: Any, turn: Any, shares: Any) -> None:
        with self.b.if_then(self.b.icmp_signed(">", shares, index(1))):
            self.b.call(self._barrier(), [counter, turn, shares, self["barriers"]])

    def _barrier(self) -> Any:
        """Return a barrier: a counter that every thread increments once per turn, then waits for all.

        Long waits are summed up behind the first counter: how often a thread checked in them.
        """
        found = self.module.globals.get("barrier")
        if found is not None:
            return found
        kind = ir.FunctionType(ir.VoidType(), [POINTER, POINTER, INDEX, POINTER])
        function = ir.Function(self.module, kind, "barrier")
        function.linkage = "internal"
        counter, turn, shares, first = function.args
        b = ir.IRBuilder(function.append_basic_block("entry"))
        target = b.add(b.load(turn, align=8, typ=INDEX), shares)
        b.store(target, turn)
        b.atomic_rmw("add", counter, index(1), "seq_cst")
        spin, rest, done = (function.append_basic_block(name) for name in ("spin", "rest", "done"))
        entry = b.block
        b.branch(spin)
        b.position_at_end(spin)
        spins = b.phi(INDEX)
        spins.add_incoming(index(0), entry)
        arrived = b.load_atomic(counter, "acquire", 8, typ=INDEX)
        b.cbranch(b.icmp_signed(">=", arrived, target), done, rest)
        b.position_at_end(rest)
        self._pause(b)
        more = b.add(spins, index(1))
        # The missing thread may be waiting for this core.
        with b.if_then(b.icmp_signed(">", more, index(_SPINS))):
            b.call(self._external("nabi_yield", ir.IntType(32)), [ir.Constant(ir.IntType(32), _REST)])
        spins.add_incoming(more, b.block)
        b.branch(spin)
        b.position_at_end(done)
        with b.if_then(b.icmp_signed(">", spins, index(_LOST))):
            b.atomic_rmw("add", b.gep(first, [index(1)], source_etype=INDEX), spins, "monotonic")
        b.ret_void()
        return function

    def _pause(self, b: ir.IRBuilder) -> None:
        if self.processor == "x86_64":
            b.call(self._external("llvm.x86.sse2.pause"), [])
        else:
            hint = self._external("llvm.aarch64.hint", ir.IntType(32))
            b.call(hint, [ir.Constant(ir.IntType(32), 1)])

    def _external(self, name: str, *arguments: Any) -> Any:
        found = self.module.globals.get(name)
        return found or ir.Function(self.module, ir.FunctionType(ir.VoidType(), list(arguments)), name)


_NUMBERS = frozenset({"split_units", "batch", "steps", "chunks", "chunk_rows", "from_zeros"})


def smaller(b: ir.IRBuilder, one: Any, two: Any) -> Any:
    """Return the smaller of two numbers."""
    return b.select(b.icmp_signed("<", one, two), one, two)


def larger(b: ir.IRBuilder, one: Any, two: Any) -> Any:
    """Return the larger of two numbers."""
    return b.select(b.icmp_signed(">", one, two), one, two)
