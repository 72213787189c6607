"""A step of Adam for all weights of a model in one call (Kingma and Ba 2015, "Adam: a method for stochastic
optimization"; decoupled weight decay: Loshchilov and Hutter 2019).

A step reads four numbers per weight and writes three, so it is limited by memory bandwidth if nothing else
costs more: one root and one division per weight, and no call per tensor. Up to rounding, it computes the same
as torch.optim's kernels or, with `epsilon_first`, Keras' step; the tensors are the optimizer's own.
"""

import ctypes
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from llvmlite import ir
from torch import Tensor

from nabi.native import Machine, compiled, host, threads as _threads
from nabi.native.addresses import arguments, expect, to_read, to_update
from nabi.native.bound import Run
from nabi.native.vectors import INDEX, POINTER, Loop, Vectors, index, loop_over

__all__ = ["NativeAdam", "write"]

# The start of the argument block; a line for each tensor follows.
_NUMBERS = ("rate", "beta1", "beta2", "epsilon", "decay", "keep", "sign", "first")
_HEAD = 1 + len(_NUMBERS)
_LINE = ("weight", "gradient", "mean", "square", "counter", "count", "size", "scale")
_COST = 4.0
"""Cost of a weight in multiply-adds, to decide when a second thread pays off."""

_BITS = 25
"""Bits of a counter: float32 counts only up to 2^24."""

_DOUBLE = ir.DoubleType()
_FLOAT = ir.FloatType()


class NativeAdam:
    """See `nabi.kernels.adam_steps`.

    Raises:
        NativeError: if the kernel can't be compiled.
    """

    def __init__(
        self,
        weights: Sequence[Tensor],
        means: Sequence[Tensor],
        squares: Sequence[Tensor],
        counters: Sequence[Tensor],
    ) -> None:
        dtype = weights[0].dtype
        for weight, mean, square, counter in zip(weights, means, squares, counters, strict=True):
            # The optimizer state from a file may belong to other weights.
            expect("weight", weight, weight.shape, dtype)
            expect("exp_avg", mean, weight.shape, dtype)
            expect("exp_avg_sq", square, weight.shape, dtype)
            expect("step", counter, (), torch.float32)
        # Held independently of the weights: memory that a weight leaves must not be freed during a kernel
        # run.
        self._alive = [
            tuple([one.detach() for one in of_one])
            for of_one in zip(weights, means, squares, counters, strict=True)
        ]
        self._places = [to_read(weight) for weight in weights]
        self._spare: list[_Block] = []
        self._suffix = "32" if weights[0].dtype is torch.float32 else "64"
        self._work = sum(weight.numel() for weight in weights) * _COST
        self._kernels_for(decays=False)  # or fail now

    def _kernels_for(self, decays: bool) -> tuple[int, int, int]:
        """Return the addresses of a whole step and of its two halves, with or without weight decay."""
        addresses, kind = _addresses(), ("decayed" if decays else "update") + self._suffix
        return addresses[f"whole_{kind}"], addresses["count"], addresses[kind]

    def step(
        self,
        weights: Sequence[Tensor],
        gradients: Sequence[Tensor],
        *,
        rate: float,
        betas: tuple[float, float],
        epsilon: float,
        decay: float,
        decoupled: bool,
        maximize: bool,
        epsilon_first: bool = False,
    ) -> bool:
        """See `nabi.kernels.AdamSteps`."""
        block = self._filled(
            weights, gradients, (rate, *betas, epsilon, decay, decoupled, maximize, epsilon_first)
        )
        if block is None:
            return False
        threads = _threads.threads_for(self._work)
        if threads == 1:
            _threads.run(*block.run, 1)
        else:  # increment the counters once, before any thread reads values derived from them
            _threads.run(block.halves[0], block.block, 1)
            _threads.run(block.halves[1], block.block, threads)
        self._spare.append(block)
        return True

    def prepare(
        self,
        weights: Sequence[Tensor],
        gradients: Sequence[Tensor],
        *,
        rate: float,
        betas: tuple[float, float],
        epsilon: float,
        decay: float,
        decoupled: bool,
        maximize: bool,
        epsilon_first: bool = False,
    ) -> "_Block | None":
        """See `nabi.kernels.AdamSteps`."""
        if _threads.threads_for(self._work) > 1:
            return None
        return self._filled(
            weights, gradients, (rate, *betas, epsilon, decay, decoupled, maximize, epsilon_first)
        )

    def run(self, update: Any) -> None:
        """See `nabi.kernels.AdamSteps`."""
        _threads.run(update.run.address, update.run.block, 1)

    def are_in_place(self, weights: Sequence[Tensor]) -> bool:
        """See `nabi.kernels.AdamSteps`."""
        return list(map(to_read, weights)) == self._places

    def has_run(self, update: Any) -> None:
        """See `nabi.kernels.AdamSteps`."""
        self._spare.append(update)

    def _filled(
        self, weights: Sequence[Tensor], gradients: Sequence[Tensor], numbers: tuple[float, ...]
    ) -> "_Block | None":
        """Return arguments that no one else uses, filled in; None if a weight has moved."""
        if not self.are_in_place(weights):
            return None
        # Removed while in use: it holds the addresses of gradients that only this call keeps alive.
        try:
            block = self._spare.pop()
        except IndexError:
            block = _Block(self._alive)
        found = list(map(to_read, gradients))
        if found != block.found:
            block.bind(self._alive, gradients, found)
        if numbers != block.last:
            rate, beta1, beta2, epsilon, decay, decoupled, maximize, epsilon_first = numbers
            keep, added = (1.0 - rate * decay, 0.0) if decoupled else (1.0, decay)
            sign, first = -1.0 if maximize else 1.0, 1.0 if epsilon_first else 0.0
            block.numbers[:] = [rate, beta1, beta2, epsilon, added, keep, sign, first]
            whole, *block.halves = self._kernels_for(decays=decay != 0)
            block.run, block.last = Run(whole, block.block), numbers
        return block

    def forget_gradients(self) -> None:
        """See `nabi.kernels.AdamSteps`."""
        for block in self._spare:
            block.found = []


class _Block:
    """Arguments of the kernels, used by one thread at a time.

    Attributes:
        run: of the whole step.
        halves: addresses of its two halves.
    """

    def __init__(self, tensors: Sequence[tuple[Tensor, ...]]) -> None:
        self.block = arguments(_HEAD + len(_LINE) * len(tensors), [len(tensors)])
        self.numbers = (ctypes.c_double * len(_NUMBERS)).from_buffer(self.block, 8)
        self.found: list[int] = []
        self.last: tuple[float, ...] = ()
        self.run = Run(0, self.block)
        self.halves = [0, 0]
        at = _HEAD
        for weight, mean, square, counter in tensors:
            values = (to_update(weight), 0, to_update(mean), to_update(square), to_update(counter))
            self.block[at : at + 6] = [*values, weight.numel()]
            at += len(_LINE)

    def bind(
        self, tensors: Sequence[tuple[Tensor, ...]], gradients: Sequence[Tensor], addresses: list[int]
    ) -> None:
        """Store the addresses of gradients that match what the kernel reads."""
        at = _HEAD + _LINE.index("gradient")
        for (weight, *_), gradient, address in zip(tensors, gradients, addresses, strict=True):
            expect("gradient", gradient, weight.shape, weight.dtype)
            self.block[at] = address
            at += len(_LINE)
        self.found = addresses


_KINDS = tuple(
    (kind, dtype, lanes)
    for dtype, lanes in (("float32", 16), ("float64", 8))
    for kind in ("update", "decayed")
)


@cache
def _addresses() -> dict[str, int]:
    machine = host()
    kinds = [kind + dtype[-2:] for kind, dtype, _ in _KINDS]
    names = ("count", *kinds, *(f"whole_{kind}" for kind in kinds))
    library = compiled(("Adam",), names, lambda: write(machine), machine)
    return {name: library.address(name) for name in names}


def write(machine: Machine) -> ir.Module:
    """Write the kernels; vectors have the same length on every machine, and LLVM splits them."""
    module = ir.Module("adam")
    _write_count(module)
    for kind, dtype, lanes in _KINDS:
        name = kind + dtype[-2:]
        _write_update(module, name, dtype, lanes, decays=kind == "decayed")
        _write_whole(module, name)
    return module


class _Arguments:
    """The start of a kernel and its arguments."""

    def __init__(self, module: ir.Module, name: str) -> None:
        kind = ir.FunctionType(ir.VoidType(), [POINTER, INDEX, INDEX])
        function = ir.Function(module, kind, name)
        function.attributes.add("nounwind")
        self.b = b = ir.IRBuilder(function.append_basic_block("entry"))
        self._block, self.thread, self.threads = function.args
        self.lines = b.load(self._block, align=8, typ=INDEX)
        self.numbers = {
            name: b.load(self._at(1 + place), align=8, typ=_DOUBLE) for place, name in enumerate(_NUMBERS)
        }

    def _at(self, place: Any) -> Any:
        place = index(place) if isinstance(place, int) else place
        return self.b.gep(self._block, [place], source_etype=INDEX)

    def place(self, line: Any, name: str) -> Any:
        """Return the position of a value in a tensor's line."""
        b = self.b
        return self._at(b.add(b.mul(line, index(len(_LINE))), index(_HEAD + _LINE.index(name))))

    def pointer(self, line: Any, name: str) -> Any:
        """Return an address in a tensor's line."""
        return self.b.load(self.place(line, name), align=8, typ=POINTER)


def _write_count(module: ir.Module) -> None:
    """Increment each counter and derive from it the step size and the factor of the root."""
    given = _Arguments(module, "count")
    b, numbers, one = given.b, given.numbers, ir.Constant(_DOUBLE, 1.0)
    root = ir.Function(module, ir.FunctionType(_DOUBLE, [_DOUBLE]), "llvm.sqrt.f64")
    with loop_over(b, 0, given.lines) as line:
        counter = given.pointer(line, "counter")
        steps = b.fadd(b.load(counter, align=4, typ=_FLOAT), ir.Constant(_FLOAT, 1.0))
        b.store(steps, counter, align=4)
        # The powers of both rates by squaring, with a factor for each set bit.
        left = b.fptosi(steps, INDEX)
        loop = Loop(b, 0, _BITS, carried=[left, numbers["beta1"], numbers["beta2"], one, one])
        left, *rest = loop.carried
        odd = b.trunc(left, ir.IntType(1))
        squares = [b.fmul(factor, factor) for factor in rest[:2]]
        powers = [
            b.select(odd, b.fmul(power, factor), power)
            for power, factor in zip(rest[2:], rest[:2], strict=True)
        ]
        *_, first, second = loop.close([b.lshr(left, index(1)), *squares, *powers])
        b.store(b.fdiv(numbers["rate"], b.fsub(one, first)), given.place(line, "size"), align=8)
        scale = b.fdiv(one, b.call(root, [b.fsub(one, second)]))
        b.store(scale, given.place(line, "scale"), align=8)
    b.ret_void()


def _write_update(module: ir.Module, name: str, dtype: str, lanes: int, decays: bool) -> None:
    given = _Arguments(module, name)
    b, numbers = given.b, given.numbers
    v = Vectors(b, dtype, lanes)

    def everywhere(number: Any) -> Any:
        return v.splat(number if v.double else b.fptrunc(number, v.element))

    one = ir.Constant(_DOUBLE, 1.0)
    new_mean, new_square = (everywhere(b.fsub(one, numbers[beta])) for beta in ("beta1", "beta2"))
    old_square, decay, keep, sign = (everywhere(numbers[each]) for each in ("beta2", "decay", "keep", "sign"))
    late = b.fsub(one, numbers["first"])
    with loop_over(b, 0, given.lines) as line:
        weights, gradients, means, squares = (given.pointer(line, each) for each in _LINE[:4])
        size, corrected = (
            b.load(given.place(line, each), align=8, typ=_DOUBLE) for each in ("size", "scale")
        )
        # Epsilon is added once, after the root is multiplied; an earlier epsilon is multiplied too.
        factor = b.fadd(b.fmul(numbers["first"], corrected), late)
        epsilon = everywhere(b.fmul(numbers["epsilon"], factor))
        size, scale = everywhere(size), everywhere(corrected)
        count = b.load(given.place(line, "count"), align=8, typ=INDEX)

        def some(at: Any, mask: Any) -> None:
            weight, gradient, mean, square = (
                v.load(pointer, at, mask) for pointer in (weights, gradients, means, squares)
            )
            gradient = v.mul(gradient, sign)
            if decays:
                gradient = v.fma(weight, decay, gradient)
                weight = v.mul(weight, keep)
            mean = v.fma(v.sub(gradient, mean), new_mean, mean)
            square = v.fma(square, old_square, v.mul(v.mul(gradient, gradient), new_square))
            below = v.fma(v.call("llvm.sqrt", square), scale, epsilon)
            weight = v.sub(weight, v.div(v.mul(mean, size), below))
            for value, pointer in ((weight, weights), (mean, means), (square, squares)):
                v.store(value, pointer, at, mask)

        whole = b.sdiv(count, index(lanes))
        first = b.sdiv(b.mul(whole, given.thread), given.threads)
        stop = b.sdiv(b.mul(whole, b.add(given.thread, index(1))), given.threads)
        with loop_over(b, first, stop) as number:
            some(b.mul(number, index(lanes)), None)
        rest = b.mul(whole, index(lanes))
        last = b.icmp_signed("==", given.thread, b.sub(given.threads, index(1)))
        with b.if_then(b.and_(b.icmp_signed("<", rest, count), last)):
            some(rest, v.lanes_below(b.sub(count, rest)))
    b.ret_void()


def _write_whole(module: ir.Module, name: str) -> None:
    """Write both halves of a step, for one thread."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER, INDEX, INDEX]), f"whole_{name}")
    function.attributes.add("nounwind")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    for half in ("count", name):
        b.call(module.globals[half], [function.args[0], index(0), index(1)])
    b.ret_void()
