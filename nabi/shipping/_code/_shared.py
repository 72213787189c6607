"""Functions that a step calls for what it computes in many places, so that the code is there once.

Where code is written only once, as in most models, it stands where it is needed and nothing is called.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from nabi.native import Machine
from nabi.native.operations import apply
from nabi.native.vectors import POINTER, Vectors

__all__ = ["TILE", "SharedFunctions"]

TILE = 4
"""Vectors of sums of a tile at most: the fewer, the fewer functions."""
# What is a few instructions stands where it is needed.
_SHORT = frozenset({
    "abs", "add", "div", "equal", "floor", "greater", "greater_equal", "less", "less_equal", "maximum",
    "minimum", "mul", "neg", "not_equal", "relu", "round", "select", "sigmoid_gradient", "sign", "spread",
    "sqrt", "sub", "tanh_gradient",
})  # fmt: skip


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

        def write(b: ir.IRBuilder, arguments: Any) -> None:
            inner = Vectors(b, "float32", v.lanes, self._machine.arithmetic)
            b.ret(apply(inner, operation, *arguments))

        kind = ir.FunctionType(v.type, [v.type] * len(values))
        return v.builder.call(self._function(f"nabi_{operation}_{v.lanes}", kind, write), list(values))

    def term(
        self, v: Vectors, kind: Any, result: Any, weights: Any, operand: Any, count: Any, size: int
    ) -> None:
        """Write a call that adds a product with an operand to a tile of sums in memory.

        Args:
            v: writes the instructions.
            kind: the type of an index.
            result: address of the sums, `size` vectors.
            weights: `[count][size][lane]`.
            operand: address of `count` numbers, at least one.
            count: of the columns.
            size: vectors of the tile.
        """

        def write(b: ir.IRBuilder, arguments: Any) -> None:
            inner = Vectors(b, "float32", v.lanes, self._machine.arithmetic)
            _write_term(inner, kind, size, *arguments)

        of = ir.FunctionType(ir.VoidType(), [POINTER, POINTER, POINTER, kind])
        function = self._function(f"nabi_term_{size}_{v.lanes}", of, write)
        v.builder.call(function, [result, weights, operand, count])

    def _function(self, name: str, kind: Any, write: Callable[[ir.IRBuilder, Any], None]) -> Any:
        if name not in self._made:
            function = ir.Function(self._module, kind, name)
            function.linkage = "internal"
            for attribute in ("nounwind", "noinline"):
                function.attributes.add(attribute)
            self._made[name] = function
            write(ir.IRBuilder(function.append_basic_block("entry")), function.args)
        return self._made[name]


def _write_term(
    v: Vectors, kind: Any, size: int, result: Any, weights: Any, operand: Any, count: Any
) -> None:
    b, lanes = v.builder, v.lanes

    def at(number: int) -> Any:
        return ir.Constant(kind, number)

    sums = [v.load(result, at(lanes * n)) for n in range(size)]
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
