"""Functions that a step calls for what it computes in many places, so that the code is there once.

Where code is written only once, as in most models, it stands where it is needed and nothing is called.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from nabi.native import Machine
from nabi.native.operations import apply, apply_parts
from nabi.native.vectors import POINTER, Vectors
from nabi.shipping._code._loops import rounds
from nabi.shipping._code._reduced import reduced
from nabi.shipping._program import Reduction

__all__ = ["TILE", "SharedFunctions"]

TILE = 4
"""Vectors of sums of a tile at most: the fewer, the fewer functions."""
# What is a few instructions stands where it is needed.
_SHORT = frozenset({
    "abs", "add", "div", "equal", "floor", "greater", "greater_equal", "less", "less_equal", "maximum",
    "minimum", "mul", "neg", "not_equal", "relu", "round", "select", "sigmoid_gradient", "sign", "spread",
    "sqrt", "sub", "tanh_gradient",
})  # fmt: skip

# What is a few instructions around another function.
_PARTS = frozenset({"cos", "silu", "sin"})


class SharedFunctions:
    """The functions of a module, each written when it is first asked for.

    Args:
        module: which receives them.
        machine: the target.
    """

    def __init__(self, module: ir.Module, machine: Machine) -> None:
        self._module, self._machine = module, machine
        self._made: dict[str, Any] = {}

    def apply(self, v: Vectors, operation: str, *values: Any) -> Any:
        """Write an elementwise operation, or a call of the function that computes it."""
        if operation in _SHORT:
            return apply(v, operation, *values)
        if operation in _PARTS:
            return apply_parts(v, self.apply, operation, *values)

        def write(b: ir.IRBuilder, arguments: Any) -> None:
            inner = Vectors(b, "float32", v.lanes, self._machine.arithmetic, inside=True)
            b.ret(apply_parts(inner, self.apply, operation, *arguments))

        kind = ir.FunctionType(v.type, [value.type for value in values])
        return v.builder.call(self._function(f"nabi_{operation}_{v.lanes}", kind, write), list(values))

    def term(
        self,
        v: Vectors,
        kind: Any,
        result: Any,
        start: Any,
        weights: Any,
        operand: Any,
        count: Any,
        size: int,
    ) -> None:
        """Write a call that adds a product with an operand to a tile of sums in memory.

        Args:
            v: writes the instructions.
            kind: the type of an index.
            result: where the sums go, `size` vectors.
            start: address of what they start from; may be `result`.
            weights: `[count][size][lane]`.
            operand: address of `count` numbers, at least one.
            count: of the columns.
            size: vectors of the tile.
        """

        def write(b: ir.IRBuilder, arguments: Any) -> None:
            inner = Vectors(b, "float32", v.lanes, self._machine.arithmetic, inside=True)
            _write_term(inner, kind, size, *arguments)

        of = ir.FunctionType(ir.VoidType(), [POINTER, POINTER, POINTER, POINTER, kind])
        function = self._function(f"nabi_term_{size}_{v.lanes}", of, write)
        v.builder.call(function, [result, start, weights, operand, count])

    def reduction(self, v: Vectors, kind: Any, reduction: Reduction, source: Any, result: Any) -> None:
        """Write a call that computes a reduction.

        Args:
            v: writes vectors as wide as those in which it adds up.
            kind: the type of an index.
            reduction: the reduction.
            source, result: addresses of what it reads and gives.
        """

        def write(b: ir.IRBuilder, arguments: Any) -> None:
            source, result, outer, count, inner, *factor = arguments
            own = Vectors(b, "float32", v.lanes, self._machine.arithmetic, inside=True)
            with rounds(b, kind, outer) as o, rounds(b, kind, inner) as i:
                row = own.address(source, b.add(b.mul(o, b.mul(count, inner)), i))
                total = reduced(own, kind, row, count, inner, reduction.kind == "max")
                total = b.fmul(total, factor[0]) if factor else total
                own.store_scalar(total, result, b.add(b.mul(o, inner), i))
            b.ret_void()

        numbers = [ir.Constant(kind, one) for one in (reduction.outer, reduction.count, reduction.inner)]
        if reduction.kind == "mean":
            numbers.append(ir.Constant(ir.FloatType(), 1.0 / reduction.count))
        of = ir.FunctionType(ir.VoidType(), [POINTER, POINTER, *[number.type for number in numbers]])
        function = self._function(f"nabi_{reduction.kind}_{v.lanes}", of, write)
        v.builder.call(function, [source, result, *numbers])

    def moved(
        self,
        b: ir.IRBuilder,
        kind: Any,
        shape: Sequence[int],
        steps: Sequence[int],
        places: Sequence[int],
        source: Any,
        result: Any,
    ) -> None:
        """Write a call that copies the numbers of a row, or of a matrix.

        Args:
            b: writes the instructions.
            kind: the type of an index.
            shape: how many numbers in each direction, one or two.
            steps: how far they lie apart where they are.
            places: how far they lie apart where they go.
            source, result: addresses of the first.
        """
        dimensions = len(shape)
        is_row = dimensions == 1 and steps[0] == places[0] == 1
        numbers = [ir.Constant(kind, number) for number in (*shape, *([] if is_row else [*steps, *places]))]

        def write(b: ir.IRBuilder, arguments: Any) -> None:
            source, result, *given = arguments
            if is_row:
                given += [ir.Constant(kind, 1)] * 2
            _write_moved(b, kind, [given[axis::dimensions] for axis in range(dimensions)], source, result)
            b.ret_void()

        of = ir.FunctionType(ir.VoidType(), [POINTER, POINTER, *[kind] * len(numbers)])
        function = self._function("nabi_copy" if is_row else f"nabi_move_{dimensions}", of, write)
        b.call(function, [source, result, *numbers])

    def _function(self, name: str, kind: Any, write: Callable[[ir.IRBuilder, Any], None]) -> Any:
        if name not in self._made:
            function = ir.Function(self._module, kind, name)
            function.linkage = "internal"
            for attribute in ("nounwind", "noinline"):
                function.attributes.add(attribute)
            self._made[name] = function
            write(ir.IRBuilder(function.append_basic_block("entry")), function.args)
        return self._made[name]


def _write_moved(b: ir.IRBuilder, kind: Any, axes: Sequence[Sequence[Any]], source: Any, result: Any) -> None:
    """Write the function of `SharedFunctions.moved`; each axis is how many, and how far apart in both."""
    (size, step, place), *others = axes

    def at(pointer: Any, number: Any) -> Any:
        return b.gep(pointer, [number], inbounds=True, source_etype=ir.FloatType())

    with rounds(b, kind, size) as number:
        own, target = at(source, b.mul(number, step)), at(result, b.mul(number, place))
        if others:
            _write_moved(b, kind, others, own, target)
        else:
            b.store(b.load(own, align=4, typ=ir.FloatType()), target, align=4)


def _write_term(
    v: Vectors, kind: Any, size: int, result: Any, start: Any, weights: Any, operand: Any, count: Any
) -> None:
    b, lanes = v.builder, v.lanes

    def at(number: int) -> Any:
        return ir.Constant(kind, number)

    sums = [v.load(start, at(lanes * n)) for n in range(size)]
    before, body, after = b.block, b.append_basic_block("columns"), b.append_basic_block("sums")
    b.branch(body)
    b.position_at_end(body)
    column, pointer = b.phi(kind), b.phi(POINTER)
    phis = [b.phi(value.type) for value in sums]
    number = v.broadcast(operand, column)
    found = [v.fma(number, v.load(pointer, at(lanes * n)), value) for n, value in enumerate(phis)]
    following, further = b.add(column, at(1)), v.address(pointer, at(size * lanes))
    for phi, start, new in zip(
        [column, pointer, *phis], [at(0), weights, *sums], [following, further, *found], strict=True
    ):
        phi.add_incoming(start, before)
        phi.add_incoming(new, body)
    b.cbranch(b.icmp_signed("<", following, count), body, after)
    b.position_at_end(after)
    for n, value in enumerate(found):
        v.store(value, result, at(lanes * n))
    b.ret_void()
