"""Dropout: drawing kept elements as bits, and applying the bits to tensors.

Random numbers are those of Philox4x32 with 10 rounds (Salmon et al. 2011, "Parallel random numbers: as easy
as 1, 2, 3"): they depend only on a key and the position, so any thread can generate any part, and every
machine generates the same. Element `64 b + 16 j + i` of a tensor uses word j of counter `16 b + i`. It is
kept if the word is not below the threshold, `rate` times 2^32.
"""

import struct
from functools import cache
from typing import Any

import torch
from llvmlite import ir
from torch import Tensor

from nabi.native import Machine, compiled, host, threads as _threads
from nabi.native.addresses import arguments, expect, to_fill, to_read
from nabi.native.bound import BoundPass, Run, Slot
from nabi.native.vectors import BYTE, INDEX, POINTER, Vectors, index, loop_over

__all__ = ["BLOCK", "NativeDropout", "draw", "thin", "write"]

BLOCK = 64
"""Elements of a block: four words of sixteen counters."""

_HALF = 8
_ROUNDS = 10
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_LOW = 0xFFFFFFFF
# Cost of an element, to decide when a second thread pays off.
_DRAW_COST, _THIN_COST = 8.0, 1.0


def draw(count: int, rate: float, key: Tensor, first: int = 0) -> Tensor:
    """Draw which of `count` elements are kept, one bit each, the first in the lowest bit of the first byte.

    Args:
        count: number of elements.
        rate: the probability of dropping an element, below 1.
        key: 64 random bits, one number in int64.
        first: the number of the first one in the tensor that they are of, a multiple of `BLOCK`.
    """
    expect("key", key, (), torch.int64)
    bits = torch.empty(-(-count // BLOCK) * _HALF, dtype=torch.uint8)
    _run("draw", _draw_arguments(bits, rate, key, first), count * _DRAW_COST)
    return bits


def _draw_arguments(bits: Tensor, rate: float, key: Tensor | None, first: int = 0) -> tuple[int, ...]:
    threshold = min(round(rate * 2**32), _LOW)
    blocks = bits.numel() // _HALF
    return to_fill(bits), 0 if key is None else to_read(key), blocks, threshold, first // BLOCK


class NativeDropout:
    """See `nabi.kernels.SmallDropout`.

    Raises:
        NativeError: if the kernels can't be compiled.
    """

    def __init__(self, like: Tensor, rate: float) -> None:
        addresses, count = _addresses(), like.numel()
        self._like = like.new_empty(0)
        self._shape, self.rate = like.shape, rate
        self._bits = torch.empty(-(-count // BLOCK) * _HALF, dtype=torch.uint8)
        self._y, self._dx = like.new_empty(2, *like.shape).unbind()
        thin = addresses["thin32" if like.dtype is torch.float32 else "thin64"]
        factor = _bits_of(1.0 / (1.0 - rate))
        self._draw = Run(addresses["draw"], arguments(5, _draw_arguments(self._bits, rate, None)))
        self._there, self._back = (
            Run(thin, arguments(5, (0, to_read(self._bits), to_fill(found), count, factor)))
            for found in (self._y, self._dx)
        )

    def forward(self, x: Tensor, key: Tensor) -> Tensor:
        """Draw, and return the inputs thinned out."""
        expect("key", key, (), torch.int64)
        expect("x", x, self._shape, self._like.dtype)
        self._draw.block[_KEY], self._there.block[0] = to_read(key), to_read(x)
        _threads.run(*self._draw, 1)
        _threads.run(*self._there, 1)
        return self._y

    def backward(self, cotangent: Tensor) -> Tensor:
        """Return the cotangent, thinned out in the same way."""
        expect("cotangent", cotangent, self._shape, self._like.dtype)
        self._back.block[0] = to_read(cotangent)
        _threads.run(*self._back, 1)
        return self._dx

    def bound(self) -> BoundPass:
        """Return the last step, forward and backward, as runs."""
        return BoundPass(
            self._there, self._back,
            inputs=(Slot(self._there.block, 0),),
            output=self._y,
            cotangents=(Slot(self._back.block, 0),),
            input_gradient=self._dx,
            before=(self._draw,),
            key=Slot(self._draw.block, _KEY),
            holds=self,
        )  # fmt: skip


_KEY = 1


def _bits_of(number: float) -> int:
    (bits,) = struct.unpack("<q", struct.pack("<d", number))
    return int(bits)


def thin(x: Tensor, bits: Tensor, scale: float) -> Tensor:
    """Return `x * scale` where an element is kept, `x * 0` elsewhere; `x` is contiguous."""
    count = x.numel()
    expect("bits", bits, (-(-count // BLOCK) * _HALF,), torch.uint8)
    expect("x", x, x.shape, torch.float32 if x.dtype is torch.float32 else torch.float64)
    found = torch.empty_like(x)
    name = "thin32" if x.dtype is torch.float32 else "thin64"
    values = (to_read(x), to_read(bits), to_fill(found), count, _bits_of(scale))
    _run(name, values, count * _THIN_COST)
    return found


def _run(name: str, values: tuple[int, ...], work: float) -> None:
    block = arguments(len(values), values)
    _threads.run(_addresses()[name], block, _threads.threads_for(work))


@cache
def _addresses() -> dict[str, int]:
    machine = host()
    names = ("draw", "thin32", "thin64")
    library = compiled(("dropout",), names, lambda: write(machine), machine)
    return {name: library.address(name) for name in names}


def write(machine: Machine) -> ir.Module:
    """Write the kernels; vectors have the same length on every machine, and LLVM splits them."""
    module = ir.Module("dropout")
    _write_draw(module)
    _write_thin(module, "thin32", "float32", 16)
    _write_thin(module, "thin64", "float64", 8)
    return module


def _function(module: ir.Module, name: str, pointers: int, numbers: int) -> tuple[Any, list[Any], Any, Any]:
    """Start a kernel; return its builder, its arguments, its thread and the number of threads."""
    kind = ir.FunctionType(ir.VoidType(), [POINTER, INDEX, INDEX])
    function = ir.Function(module, kind, name)
    function.attributes.add("nounwind")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    block, thread, threads = function.args
    given = [
        b.load(b.gep(block, [index(place)], source_etype=INDEX), align=8, typ=typ)
        for place, typ in enumerate([POINTER] * pointers + [INDEX] * numbers)
    ]
    return b, given, thread, threads


def _share(b: ir.IRBuilder, total: Any, thread: Any, threads: Any) -> tuple[Any, Any]:
    first = b.sdiv(b.mul(total, thread), threads)
    return first, b.sdiv(b.mul(total, b.add(thread, index(1))), threads)


def _write_draw(module: ir.Module) -> None:
    b, (bits, key_at, blocks, threshold, before), thread, threads = _function(module, "draw", 2, 3)
    key = b.load(key_at, align=8, typ=INDEX)
    v = Vectors(b, "float64", _HALF)  # words of 32 bits are stored in 64 bits, to hold their products
    low, shift = v.integer_constant(_LOW), v.integer_constant(32)
    keys = [v.splat(b.and_(key, index(_LOW))), v.splat(b.lshr(key, index(32)))]
    limit = v.splat(threshold)
    lanes = [ir.Constant(v.integers, [ir.Constant(INDEX, half * _HALF + i) for i in range(_HALF)])
             for half in range(2)]  # fmt: skip
    first, stop = _share(b, blocks, thread, threads)
    with loop_over(b, first, stop) as at:
        base = v.splat(b.mul(b.add(at, before), index(2 * _HALF)))
        for half in range(2):
            counter = b.add(base, lanes[half])
            words = [
                b.and_(counter, low),
                b.lshr(counter, shift),
                v.integer_constant(0),
                v.integer_constant(0),
            ]
            for number in range(_ROUNDS):
                words = _round(v, words, keys, number)
            for place, word in enumerate(words):
                kept = b.bitcast(b.icmp_unsigned(">=", word, limit), BYTE)
                byte = b.add(b.mul(at, index(_HALF)), index(2 * place + half))
                b.store(kept, b.gep(bits, [byte], source_etype=BYTE), align=1)
    b.ret_void()


def _round(v: Vectors, words: list[Any], keys: list[Any], number: int) -> list[Any]:
    """Write one round: two products with swapped halves, mixed with the other words and the round's keys."""
    b = v.builder
    low, shift = v.integer_constant(_LOW), v.integer_constant(32)
    own = [
        b.and_(b.add(key, v.integer_constant(number * step & _LOW)), low)
        for key, step in zip(keys, _KEY_STEPS, strict=True)
    ]
    products = [
        b.mul(word, v.integer_constant(factor)) for word, factor in zip(words[::2], _MULTIPLIERS, strict=True)
    ]
    highs, lows = [b.lshr(p, shift) for p in products], [b.and_(p, low) for p in products]
    return [
        b.xor(b.xor(highs[1], words[1]), own[0]), lows[1],
        b.xor(b.xor(highs[0], words[3]), own[1]), lows[0],
    ]  # fmt: skip


def _write_thin(module: ir.Module, name: str, dtype: str, lanes: int) -> None:
    b, (x, bits, found, count, factor), thread, threads = _function(module, name, 3, 2)
    v = Vectors(b, dtype, lanes)
    scalar = b.bitcast(factor, ir.DoubleType())
    scale = v.splat(scalar if v.double else b.fptrunc(scalar, v.element))
    flags = ir.IntType(lanes)

    def one(at: Any, mask: Any) -> None:
        word = b.load(b.gep(bits, [b.sdiv(at, index(8))], source_etype=BYTE), align=lanes // 8, typ=flags)
        kept = v.select(b.bitcast(word, v.flags), scale, v.zero)
        v.store(v.mul(v.load(x, at, mask), kept), found, at, mask)

    whole = b.sdiv(count, index(lanes))
    first, stop = _share(b, whole, thread, threads)
    with loop_over(b, first, stop) as number:
        one(b.mul(number, index(lanes)), None)
    rest = b.mul(whole, index(lanes))
    last = b.and_(b.icmp_signed("<", rest, count), b.icmp_signed("==", thread, index(0)))
    with b.if_then(last):
        one(rest, v.lanes_below(b.sub(count, rest)))
    b.ret_void()
