"""Vector instructions of one element type and width, emitted into an LLVM function.

The number of lanes comes from the machine; every load and store states its alignment (one element: rows may
start anywhere), and addresses are computed only with `getelementptr`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from llvmlite import ir

from nabi.native._code._machine import FULL, Arithmetic

__all__ = [
    "BYTE", "INDEX", "NOWHERE", "POINTER", "Loop", "Mask", "Vectors", "index", "loop_over", "only_if",
    "reserve",
]  # fmt: skip

BYTE = ir.IntType(8)
INDEX = ir.IntType(64)
POINTER = ir.PointerType()
NOWHERE = ir.Constant(POINTER, None)
_INT32 = ir.IntType(32)
_CHEAP_MASKS = 64
"""Bytes of the vectors of AVX-512, which stores part of a vector as fast as a whole one. AVX2 takes a dozen
times as long for it, and NEON has no such instruction."""

_LINE = 64
"""Bytes of a cache line on all supported machines, or half of one."""


def reserve(builder: ir.IRBuilder, kind: Any, count: int = 1) -> Any:
    """Reserve memory on the stack and return its address, on its own cache line.

    It is placed at the very start of the function, because LLVM makes only that part of the frame and may
    split the first block. Later reservations would move the stack pointer at run time.
    """
    with builder.goto_entry_block():
        builder.position_at_start(builder.function.entry_basic_block)
        place = builder.alloca(kind, size=index(count))
    place.align = 64
    # llvmlite still types this pointer; all others here are plain addresses.
    place.type = POINTER
    return place


def index(value: int) -> Any:
    """Return a constant index."""
    return ir.Constant(INDEX, value)


class Mask(NamedTuple):
    """The lanes of one vector of a row that is no multiple of the lanes.

    Attributes:
        lanes: for each lane whether it belongs to the row.
        is_whole: whether all do.
        is_last: whether the first `rest` lanes do.
        rest: how many lanes of its last vector belong to the row, if not all.
        is_inside: whether it is one of the vectors that hold the row; None if it always is.
    """

    lanes: Any
    is_whole: Any
    is_last: Any
    rest: int
    is_inside: Any = None


class Vectors:
    """Emits into `builder`; values are vectors of `lanes` elements unless a method says otherwise.

    Args:
        builder: receives the instructions.
        dtype: `"float32"` or `"float64"`.
        lanes: elements of a vector, a power of two.
        arithmetic: what the processor computes with instructions of its own (`Machine.arithmetic`).
        inside: whether every address lies inside the memory that its pointer belongs to, which lets
            constants become part of instructions.
    """

    def __init__(
        self,
        builder: ir.IRBuilder,
        dtype: str,
        lanes: int,
        arithmetic: Arithmetic = FULL,
        *,
        inside: bool = False,
    ) -> None:
        self.builder = builder
        self.inside = inside
        self.arithmetic = arithmetic
        self.dtype = dtype
        self.lanes = lanes
        self.double = dtype == "float64"
        self.size = 8 if self.double else 4
        self.element = ir.DoubleType() if self.double else ir.FloatType()
        self.integer = ir.IntType(8 * self.size)
        self.type = ir.VectorType(self.element, lanes)
        self.integers = ir.VectorType(self.integer, lanes)
        self.flags = ir.VectorType(ir.IntType(1), lanes)
        self.suffix = f"v{lanes}f{8 * self.size}"
        self.masks_are_cheap = lanes * self.size >= _CHEAP_MASKS
        """Whether part of a vector is stored as fast as a whole one: with AVX-512, for narrow vectors too."""

    # Constants and scalars.

    def constant(self, value: float) -> Any:
        """Return a vector with the same number in every lane."""
        return ir.Constant(self.type, [ir.Constant(self.element, value)] * self.lanes)

    def integer_constant(self, value: int) -> Any:
        """Return a vector of integers as wide as the elements."""
        return ir.Constant(self.integers, [ir.Constant(self.integer, value)] * self.lanes)

    @property
    def zero(self) -> Any:
        """A vector of zeros."""
        return ir.Constant(self.type, None)

    def splat(self, scalar: Any) -> Any:
        """Return a vector with a scalar in every lane."""
        undefined = ir.Constant(ir.VectorType(scalar.type, self.lanes), ir.Undefined)
        first = self.builder.insert_element(undefined, scalar, _INT32(0))
        zeros = ir.Constant(ir.VectorType(_INT32, self.lanes), None)
        return self.builder.shuffle_vector(first, undefined, zeros)

    def call(self, name: str, *arguments: Any) -> Any:
        """Call an overloaded intrinsic, for instance `llvm.fma`, on vectors."""
        return self.intrinsic(f"{name}.{self.suffix}", self.type, *arguments)

    def intrinsic(self, name: str, result: Any, *arguments: Any) -> Any:
        """Call an intrinsic by its full name."""
        module = self.builder.module
        found = module.globals.get(name)
        if found is None:
            kind = ir.FunctionType(result, [argument.type for argument in arguments])
            found = ir.Function(module, kind, name)
        return self.builder.call(found, list(arguments))

    # Arithmetic.

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """Return `a * b + c`: rounded once, or twice where the processor has no such instruction."""
        if not self.arithmetic.fused:
            return self.add(self.mul(a, b), c)
        return self.call("llvm.fma", a, b, c)

    def floor(self, a: Any) -> Any:
        """Return the largest whole number that is not above `a`."""
        if self.arithmetic.rounding:
            return self.call("llvm.floor", a)
        near = self.round(a)
        above = self.select(self.compare(">", near, a), self.sub(near, self.constant(1.0)), near)
        # -0 stays -0, which 0 - 0 would not.
        return self.call("llvm.copysign", above, a)

    def round(self, a: Any) -> Any:
        """Return the nearest whole number, the even one of two."""
        if self.arithmetic.rounding:
            return self.call("llvm.roundeven", a)
        # Above this number all are whole; added to a smaller one, it leaves no room for a fraction.
        whole = self.constant(2.0**52 if self.double else 2.0**23)
        size = self.call("llvm.fabs", a)
        near = self.call("llvm.copysign", self.sub(self.add(size, whole), whole), a)
        return self.select(self.compare("<", size, whole), near, a)

    def add(self, a: Any, b: Any) -> Any:
        """Return `a + b`."""
        return self.builder.fadd(a, b)

    def sub(self, a: Any, b: Any) -> Any:
        """Return `a - b`."""
        return self.builder.fsub(a, b)

    def mul(self, a: Any, b: Any) -> Any:
        """Return `a * b`."""
        return self.builder.fmul(a, b)

    def div(self, a: Any, b: Any) -> Any:
        """Return `a / b`, correctly rounded."""
        return self.builder.fdiv(a, b)

    def neg(self, a: Any) -> Any:
        """Return `-a`."""
        return self.builder.fneg(a)

    def select(self, flags: Any, a: Any, b: Any) -> Any:
        """Return the lanes of `a` where a flag is set, those of `b` elsewhere."""
        return self.builder.select(flags, a, b)

    def compare(self, sign: str, a: Any, b: Any) -> Any:
        """Return flags of an ordered comparison (false where either is NaN)."""
        return self.builder.fcmp_ordered(sign, a, b)

    # Memory. Pointers point at elements; `at` counts elements.

    def address(self, pointer: Any, at: Any) -> Any:
        """Return the address of an element."""
        at = index(at) if isinstance(at, int) else at
        return self.builder.gep(pointer, [at], inbounds=self.inside, source_etype=self.element)

    def load(self, pointer: Any, at: Any = 0, mask: Any = None) -> Any:
        """Load a vector; with a mask, only its lanes, and zeros in the others."""
        place = self.address(pointer, at)
        if mask is None:
            return self.builder.load(place, align=self.size, typ=self.type)
        name, lanes = f"llvm.masked.load.{self.suffix}.p0", mask.lanes if isinstance(mask, Mask) else mask
        return self.intrinsic(name, self.type, place, _INT32(self.size), lanes, self.zero)

    def store(self, value: Any, pointer: Any, at: Any = 0, mask: Any = None) -> None:
        """Store a vector; with a mask, only its lanes."""
        place = self.address(pointer, at)
        if mask is None:
            self.builder.store(value, place, align=self.size)
        elif isinstance(mask, Mask) and not self.masks_are_cheap:
            self._store_part(value, place, mask)
        else:
            name = f"llvm.masked.store.{self.suffix}.p0"
            lanes = mask.lanes if isinstance(mask, Mask) else mask
            self.intrinsic(name, ir.VoidType(), value, place, _INT32(self.size), lanes)

    def load_padded(self, pointer: Any, mask: Mask | None) -> Any:
        """Load a vector of a row that has room for all lanes of its last vector, and no more."""
        return self.load(pointer, 0, mask if mask is not None and mask.is_inside is not None else None)

    def store_padded(self, value: Any, pointer: Any, at: Any, mask: Mask | None) -> None:
        """Store a vector of a row that has room for all lanes of its last vector, and no more."""
        if mask is None or mask.is_inside is None:
            self.store(value, pointer, at)
            return
        with self.builder.if_then(mask.is_inside):
            self.store(value, pointer, at)

    def _store_part(self, value: Any, place: Any, mask: "Mask") -> None:
        """Store a whole vector, or the first lanes of it piece by piece, or nothing."""
        b = self.builder
        with b.if_else(mask.is_whole) as (then, otherwise):
            with then:
                b.store(value, place, align=self.size)
            with otherwise:
                if mask.rest:
                    with b.if_then(mask.is_last):
                        self._store_first(value, place, mask.rest)

    def _store_first(self, value: Any, place: Any, count: int) -> None:
        b, at, size = self.builder, 0, self.lanes
        while size:
            if count & size:
                lanes = ir.Constant(ir.VectorType(_INT32, size), [_INT32(at + i) for i in range(size)])
                piece = b.shuffle_vector(value, value, lanes)
                b.store(piece, self.address(place, at), align=self.size)
                at += size
            size //= 2

    def fetch(self, pointer: Any, count: int, write: bool = False) -> None:
        """Prefetch elements: into the second-level cache for reading, into the first for writing."""
        kind = (_INT32(1), _INT32(3), _INT32(1)) if write else (_INT32(0), _INT32(2), _INT32(1))
        for at in range(0, count, _LINE // self.size):
            self.intrinsic("llvm.prefetch.p0", ir.VoidType(), self.address(pointer, at), *kind)

    @staticmethod
    def part_of_row(*parts: Any) -> Mask:
        """Return a mask; see `Mask`."""
        return Mask(*parts)

    def lanes_below(self, count: Any) -> Any:
        """Return a mask of the lanes whose number is less than `count`, which may be negative or large."""
        if isinstance(count, int):
            bit = ir.IntType(1)
            return ir.Constant(
                self.flags, [ir.Constant(bit, int(lane < count)) for lane in range(self.lanes)]
            )
        kind = ir.VectorType(_INT32, self.lanes)
        numbers = ir.Constant(kind, [ir.Constant(_INT32, lane) for lane in range(self.lanes)])
        return self.builder.icmp_signed("<", numbers, self.splat(self.builder.trunc(count, _INT32)))

    def load_scalar(self, pointer: Any, at: Any = 0) -> Any:
        """Load one element."""
        return self.builder.load(self.address(pointer, at), align=self.size, typ=self.element)

    def store_scalar(self, value: Any, pointer: Any, at: Any = 0) -> None:
        """Store one element."""
        self.builder.store(value, self.address(pointer, at), align=self.size)

    def broadcast(self, pointer: Any, at: Any = 0) -> Any:
        """Load one element into every lane."""
        return self.splat(self.load_scalar(pointer, at))

    def sum(self, value: Any) -> Any:
        """Return the sum of all lanes as a scalar, halves first, in the same order on every machine."""
        return self._fold(value, self.builder.fadd)

    def largest(self, value: Any) -> Any:
        """Return the largest lane as a scalar; NaN if any lane is NaN."""

        def larger(a: Any, b: Any) -> Any:
            # Otherwise the second: it is larger, or NaN.
            is_nan = self.builder.fcmp_unordered("uno", a, a)
            first = self.builder.or_(is_nan, self.builder.fcmp_ordered(">", a, b))
            return self.builder.select(first, a, b)

        return self._fold(value, larger)

    def _fold(self, value: Any, combine: Any) -> Any:
        scalars = [self.builder.extract_element(value, _INT32(lane)) for lane in range(self.lanes)]
        while len(scalars) > 1:
            half = len(scalars) // 2
            scalars = [combine(a, b) for a, b in zip(scalars[:half], scalars[half:], strict=True)]
        return scalars[0]


class Loop:
    """`for i in range(start, stop, step)` with values carried from one iteration to the next.

    Use `loop_over`, or construct it directly: instructions emitted afterwards form the body, `close` ends it.
    """

    def __init__(
        self, builder: ir.IRBuilder, start: Any, stop: Any, step: int = 1, carried: Sequence[Any] = ()
    ) -> None:
        self._builder, self._step = builder, index(step)
        start = index(start) if isinstance(start, int) else start
        stop = index(stop) if isinstance(stop, int) else stop
        before = builder.block
        self._head = builder.append_basic_block("loop")
        body = builder.append_basic_block("body")
        self._end = builder.append_basic_block("done")
        builder.branch(self._head)
        builder.position_at_end(self._head)
        self.at = builder.phi(INDEX)
        self.at.add_incoming(start, before)
        self.carried = [builder.phi(value.type) for value in carried]
        for phi, value in zip(self.carried, carried, strict=True):
            phi.add_incoming(value, before)
        builder.cbranch(builder.icmp_signed("<", self.at, stop), body, self._end)
        builder.position_at_end(body)

    def close(self, carried: Sequence[Any] = ()) -> list[Any]:
        """End the body with the new carried values; return their values after the loop."""
        following = self._builder.add(self.at, self._step)
        for phi, value in zip(self.carried, carried, strict=True):
            phi.add_incoming(value, self._builder.block)
        self.at.add_incoming(following, self._builder.block)
        self._builder.branch(self._head)
        self._builder.position_at_end(self._end)
        return self.carried


def only_if(
    builder: ir.IRBuilder, wanted: Any, values: Sequence[Any], compute: Callable[[list[Any]], list[Any]]
) -> list[Any]:
    """Emit what changes values behind a branch: where the flag does not hold, they stay as they are.

    Args:
        builder: the builder.
        wanted: the flag, or None if there is nothing to ask.
        values: the values before.
        compute: emits instructions and returns the values after them.
    """
    if wanted is None:
        return compute(list(values))
    before = builder.block
    with builder.if_then(wanted):
        found = compute(list(values))
        inside = builder.block
    after = []
    for value, new in zip(values, found, strict=True):
        after.append(phi := builder.phi(value.type))
        phi.add_incoming(value, before)
        phi.add_incoming(new, inside)
    return after


@contextmanager
def loop_over(builder: ir.IRBuilder, start: Any, stop: Any, step: int = 1) -> Iterator[Any]:
    """Emit a loop without carried values; yield the counter."""
    loop = Loop(builder, start, stop, step)
    yield loop.at
    loop.close()
