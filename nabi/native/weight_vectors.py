"""Vectors of weights that are stored as smaller numbers, and become the numbers of a kernel when loaded.

An int8 weight is a whole number here; its scale, one for each output, is applied to sums.
"""

from typing import Any

from llvmlite import ir

from nabi.native.vectors import Vectors, index

__all__ = ["WeightVectors"]

_INT16, _INT32 = ir.IntType(16), ir.IntType(32)
_KINDS = {"int8": ir.IntType(8), "float16": ir.HalfType(), "bfloat16": _INT16}
_LINE = 64
"""Bytes of a cache line."""


class WeightVectors:
    """Loads vectors of weights of a smaller type; pointers point at weights, and `at` counts them.

    Args:
        v: writes the instructions of the kernel, whose numbers are float32.
        kind: `"int8"`, `"float16"` or `"bfloat16"`.
        has_halves: whether the machine has an instruction that widens float16.
    """

    def __init__(self, v: Vectors, kind: str, has_halves: bool = True) -> None:
        self.v, self.kind, self._has_halves = v, kind, has_halves
        self._element = _KINDS[kind]
        self.size = 1 if kind == "int8" else 2

    def address(self, pointer: Any, at: Any) -> Any:
        """Return the address of a weight."""
        at = index(at) if isinstance(at, int) else at
        return self.v.builder.gep(pointer, [at], source_etype=self._element)

    def load(self, pointer: Any, at: Any = 0) -> Any:
        """Load a vector of weights as numbers of the kernel; every one of them is exact."""
        v, b = self.v, self.v.builder
        kind = ir.VectorType(self._element, v.lanes)
        found = b.load(self.address(pointer, at), align=self.size, typ=kind)
        if self.kind == "float16":
            return b.fpext(found, v.type) if self._has_halves else self._widened(found)
        if self.kind == "int8":
            return b.sitofp(b.sext(found, v.integers), v.type)
        # A bfloat16 is the first half of a float32.
        half = ir.Constant(v.integers, [ir.Constant(_INT32, 16)] * v.lanes)
        return b.bitcast(b.shl(b.zext(found, v.integers), half), v.type)

    def _widened(self, found: Any) -> Any:
        """Return float16 as float32 without an instruction for it: its bits, moved, times 2^112."""
        v, b = self.v, self.v.builder
        bits = b.zext(b.bitcast(found, ir.VectorType(_INT16, v.lanes)), v.integers)

        def number(value: int) -> Any:
            return ir.Constant(v.integers, [ir.Constant(_INT32, value)] * v.lanes)

        sign = b.shl(b.and_(bits, number(0x8000)), number(16))
        rest = b.bitcast(b.shl(b.and_(bits, number(0x7FFF)), number(13)), v.type)
        large = b.bitcast(b.fmul(rest, v.constant(2.0**112)), v.integers)
        return b.bitcast(b.or_(large, sign), v.type)

    def fetch(self, pointer: Any, count: int) -> None:
        """Prefetch weights into the second-level cache."""
        elements = -(-count * self.size // self.v.size)
        self.v.fetch(pointer, max(elements, _LINE // self.v.size))
