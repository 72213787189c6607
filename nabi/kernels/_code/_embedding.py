"""Embeddings: rows of a matrix by their numbers, and sums of rows for the way back."""

from functools import lru_cache
from typing import Any

import torch
from llvmlite import ir
from torch import Tensor

from nabi.native import Machine, compiled, host, threads as _threads
from nabi.native.addresses import arguments, expect, to_fill, to_read
from nabi.native.bound import BoundPass, Run, Slot
from nabi.native.vectors import INDEX, POINTER, Vectors, index, loop_over

__all__ = ["NativeEmbedding", "write"]

_LANES = {"float32": 16, "float64": 8}


class NativeEmbedding:
    """See `nabi.kernels.SmallEmbedding`.

    Raises:
        NativeError: if the kernels can't be compiled.
    """

    def __init__(self, weight: Tensor, count: int) -> None:
        weight = weight.detach()
        numbers, width = weight.shape
        expect("weight", weight, (numbers, width), weight.dtype)
        there, back = _addresses(str(weight.dtype).rpartition(".")[2])
        self._y, self.gradient = weight.new_empty(count, width), torch.empty_like(weight)
        self._weight, self._count = weight, count
        # Where the numbers are is written at every step.
        self._there = Run(there, arguments(5, (0, to_read(weight), to_fill(self._y), count, width)))
        self._back = Run(back, arguments(6, (0, 0, to_fill(self.gradient), count, width, numbers)))
        self._indices: Tensor | None = None

    def forward(self, indices: Tensor) -> Tensor:
        """Return the vectors of numbers that have one."""
        expect("indices", indices, (self._count,), torch.int64)
        self._indices = indices
        self._there.block[0] = to_read(indices)
        _threads.run(*self._there, 1)
        return self._y

    def backward(self, cotangent: Tensor) -> None:
        """Set the gradient."""
        expect("cotangent", cotangent, self._y.shape, self._y.dtype)
        indices, self._indices = self._indices, None
        assert indices is not None
        self._back.block[:2] = [to_read(indices), to_read(cotangent)]
        _threads.run(*self._back, 1)

    def bound(self) -> BoundPass:
        """Return the last step, forward and backward, as runs."""
        return BoundPass(
            self._there, self._back,
            inputs=(Slot(self._there.block, 0), Slot(self._back.block, 0)),
            output=self._y,
            cotangents=(Slot(self._back.block, 1),),
            input_gradient=None,
            holds=self,
        )  # fmt: skip


@lru_cache
def _addresses(dtype: str) -> tuple[int, int]:
    machine = host()
    names = ("forward", "backward")
    library = compiled(("embedding", dtype), names, lambda: write(dtype, machine), machine)
    return library.address("forward"), library.address("backward")


def write(dtype: str, machine: Machine) -> ir.Module:
    """Write both kernels; vectors have the same length on every machine, and LLVM splits them."""
    module = ir.Module("embedding")
    b, v, (indices, weight, y, count, width) = _function(module, "forward", dtype, 3, 2)
    with loop_over(b, 0, count) as place:
        start, to = b.mul(_number(b, indices, place), width), b.mul(place, width)

        def copy(at: Any, mask: Any) -> None:
            v.store(v.load(weight, b.add(start, at), mask), y, b.add(to, at), mask)

        _over(v, width, copy)
    b.ret_void()
    b, v, (indices, cotangent, gradient, count, width, numbers) = _function(module, "backward", dtype, 3, 3)
    _over(v, b.mul(numbers, width), lambda at, mask: v.store(v.zero, gradient, at, mask))
    with loop_over(b, 0, count) as place:
        start, of = b.mul(_number(b, indices, place), width), b.mul(place, width)

        def add(at: Any, mask: Any) -> None:
            to = b.add(start, at)
            found = v.add(v.load(gradient, to, mask), v.load(cotangent, b.add(of, at), mask))
            v.store(found, gradient, to, mask)

        _over(v, width, add)
    b.ret_void()
    return module


def _function(
    module: ir.Module, name: str, dtype: str, pointers: int, numbers: int
) -> tuple[ir.IRBuilder, Vectors, list[Any]]:
    """Start a kernel; return its builder and its arguments."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER, INDEX, INDEX]), name)
    function.attributes.add("nounwind")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    given = [
        b.load(b.gep(function.args[0], [index(place)], source_etype=INDEX), align=8, typ=typ)
        for place, typ in enumerate([POINTER] * pointers + [INDEX] * numbers)
    ]
    return b, Vectors(b, dtype, _LANES[dtype]), given


def _number(b: ir.IRBuilder, indices: Any, place: Any) -> Any:
    return b.load(b.gep(indices, [place], source_etype=INDEX), align=8, typ=INDEX)


def _over(v: Vectors, count: Any, body: Any) -> None:
    """Go over `count` numbers in full vectors and a remainder; `body(at, mask)`."""
    b, lanes = v.builder, index(v.lanes)
    whole = b.sdiv(count, lanes)
    with loop_over(b, 0, whole) as number:
        body(b.mul(number, lanes), None)
    rest = b.mul(whole, lanes)
    with b.if_then(b.icmp_signed("<", rest, count)):
        body(rest, v.lanes_below(b.sub(count, rest)))
