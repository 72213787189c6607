"""Losses of a few outputs with their gradients in one call, where torch needs half a dozen.

Sums run over vectors first and then over their lanes, in double precision from row to row.
"""

import ctypes
from functools import lru_cache
from typing import Any

import torch
from llvmlite import ir
from torch import Tensor

from nabi.native import Machine, compiled, host, threads as _threads
from nabi.native.addresses import arguments, expect, to_fill, to_read
from nabi.native.bound import BoundLoss, Run, Slot
from nabi.native.operations import apply
from nabi.native.vectors import INDEX, POINTER, Loop, Vectors, index

__all__ = ["KINDS", "NativeLoss", "write"]

KINDS = ("sigmoid_crossentropy", "softmax_crossentropy", "squared_error")

_LANES = {"float32": 16, "float64": 8}
_POINTERS = ("y", "outputs", "gradient")
_ARGUMENTS = (*_POINTERS, "rows", "columns", "loss")
_DOUBLE = ir.DoubleType()


class NativeLoss:
    """See `nabi.kernels.SmallLoss`.

    Raises:
        NativeError: if the kernel can't be compiled.
    """

    def __init__(self, kind: str, like: Tensor) -> None:
        self._address = _address(kind, str(like.dtype).rpartition(".")[2])
        self._gradient = torch.empty_like(like, memory_format=torch.contiguous_format)
        self._count, self._dtype = like.numel(), like.dtype
        columns = like.shape[-1]
        self._block = arguments(len(_ARGUMENTS))
        self._block[2:5] = [to_fill(self._gradient), like.numel() // columns, columns]
        self._loss = ctypes.c_double.from_buffer(self._block, 8 * _ARGUMENTS.index("loss"))

    def __call__(self, y: Tensor, outputs: Tensor) -> tuple[float, Tensor]:
        """Return the loss and its gradient."""
        for one in (y, outputs):
            if one.numel() != self._count or one.dtype is not self._dtype or not one.is_contiguous():
                expect("y" if one is y else "outputs", one, self._gradient.shape, self._dtype)
        block = self._block
        block[0], block[1] = to_read(y), to_read(outputs)
        _threads.run(self._address, self._block, 1)
        return self._loss.value, self._gradient

    def bound(self) -> BoundLoss:
        """Return the last call as a run."""
        block = self._block
        return BoundLoss(
            Run(self._address, block),
            Slot(block, 0),
            Slot(block, 1),
            self._gradient,
            lambda: self._loss.value,
            Slot(block, _ARGUMENTS.index("loss")),
        )


@lru_cache
def _address(kind: str, dtype: str) -> int:
    machine = host()
    library = compiled((kind, dtype), (kind,), lambda: write(kind, dtype, machine), machine)
    return library.address(kind)


def write(kind: str, dtype: str, machine: Machine) -> ir.Module:
    """Write a loss; vectors have the same length on every machine, and LLVM splits them."""
    module = ir.Module(kind)
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER, INDEX, INDEX]), kind)
    function.attributes.add("nounwind")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    v = Vectors(b, dtype, _LANES[dtype])
    block, given = function.args[0], {}
    for place, argument in enumerate(_ARGUMENTS):
        at = b.gep(block, [index(place)], source_etype=INDEX)
        typ = POINTER if argument in _POINTERS else INDEX
        given[argument] = at if argument == "loss" else b.load(at, align=8, typ=typ)
    if kind == "softmax_crossentropy":
        loss = _softmax_crossentropy(v, given)
    else:
        loss = _by_element(v, given, _ELEMENTS[kind])
    b.store(loss, given["loss"], align=8)
    b.ret_void()
    return module


def _as_double(v: Vectors, scalar: Any) -> Any:
    return scalar if v.double else v.builder.fpext(scalar, _DOUBLE)


def _share(v: Vectors, count: Any) -> tuple[Any, Any]:
    """Return one divided by a count: in double precision, and in every lane."""
    b = v.builder
    share = b.fdiv(ir.Constant(_DOUBLE, 1.0), b.sitofp(count, _DOUBLE))
    return share, v.splat(share if v.double else b.fptrunc(share, v.element))


class _Row:
    """`columns` numbers from `start` on, as full vectors and a remainder."""

    def __init__(self, v: Vectors, start: Any, columns: Any) -> None:
        b = v.builder
        self._v, self._start = v, start
        self._whole = b.mul(b.sdiv(columns, index(v.lanes)), index(v.lanes))
        self._rest = v.lanes_below(b.sub(columns, self._whole))

    def over(self, body: Any, carried: list[Any]) -> list[Any]:
        """Loop over the vectors; `body(at, mask, carried)` returns the carried values.

        The remainder is always processed, possibly with no lanes, so the carried values need no second path.
        """
        b = self._v.builder
        loop = Loop(b, 0, self._whole, self._v.lanes, carried=carried)
        after = loop.close(body(b.add(self._start, loop.at), None, loop.carried))
        found: list[Any] = body(b.add(self._start, self._whole), self._rest, after)
        return found


def _softmax_crossentropy(v: Vectors, given: dict[str, Any]) -> Any:
    b = v.builder
    share, factor = _share(v, given["rows"])
    rows = Loop(b, 0, given["rows"], carried=[ir.Constant(_DOUBLE, 0.0)])
    row = _Row(v, b.mul(rows.at, given["columns"]), given["columns"])
    lowest = v.constant(float("-inf"))

    def largest(at: Any, mask: Any, carried: list[Any]) -> list[Any]:
        x = v.load(given["outputs"], at, mask)
        x = x if mask is None else v.select(mask, x, lowest)
        return [v.select(v.compare(">", x, carried[0]), x, carried[0])]

    top = v.splat(v.largest(row.over(largest, [lowest])[0]))

    def sums(at: Any, mask: Any, carried: list[Any]) -> list[Any]:
        x, y = (v.load(given[name], at, mask) for name in ("outputs", "y"))
        x = v.sub(x, top)
        power = apply(v, "exp", x)
        if mask is not None:
            x, power = v.select(mask, x, v.zero), v.select(mask, power, v.zero)
        v.store(power, given["gradient"], at, mask)
        powers, targets, products = carried
        return [v.add(powers, power), v.add(targets, y), v.fma(y, x, products)]

    powers, targets, products = (v.splat(v.sum(one)) for one in row.over(sums, [v.zero] * 3))
    scale = v.div(v.mul(targets, factor), powers)

    def gradient(at: Any, mask: Any, carried: list[Any]) -> list[Any]:
        power, y = v.load(given["gradient"], at, mask), v.load(given["y"], at, mask)
        v.store(v.sub(v.mul(power, scale), v.mul(y, factor)), given["gradient"], at, mask)
        return []

    row.over(gradient, [])
    loss = v.sub(v.mul(apply(v, "log", powers), targets), products)
    first = b.extract_element(loss, ir.Constant(ir.IntType(32), 0))
    (total,) = rows.close([b.fadd(rows.carried[0], _as_double(v, first))])
    return b.fmul(total, share)


def _by_element(v: Vectors, given: dict[str, Any], element: Any) -> Any:
    b = v.builder
    count = b.mul(given["rows"], given["columns"])
    share, factor = _share(v, count)

    def body(at: Any, mask: Any, carried: list[Any]) -> list[Any]:
        x, y = (v.load(given[name], at, mask) for name in ("outputs", "y"))
        loss, slope = element(v, x, y)
        v.store(v.mul(slope, factor), given["gradient"], at, mask)
        return [v.add(carried[0], loss if mask is None else v.select(mask, loss, v.zero))]

    (total,) = _Row(v, index(0), count).over(body, [v.zero])
    return b.fmul(_as_double(v, v.sum(total)), share)


def _sigmoid_crossentropy(v: Vectors, x: Any, y: Any) -> tuple[Any, Any]:
    """Return `log(1 + exp(x)) - x y` and its slope, with the logarithm's asymptote, x or 0, split off."""
    far = v.sub(apply(v, "relu", x), v.mul(x, y))
    near = apply(v, "softplus", v.neg(apply(v, "abs", x)))
    return v.add(far, near), v.sub(apply(v, "sigmoid", x), y)


def _squared_error(v: Vectors, x: Any, y: Any) -> tuple[Any, Any]:
    difference = v.sub(x, y)
    return v.mul(difference, difference), v.add(difference, difference)


_ELEMENTS = {"sigmoid_crossentropy": _sigmoid_crossentropy, "squared_error": _squared_error}
