"""The backward pass of max pooling after a convolution: only the largest step of each window counts.

A window of four steps passes its gradient to one of them, so three quarters of the products in a
convolution's backward pass are zero. Here each window of each filter adds its gradient times `kernel_size`
rows of the input to the gradient of the kernel, and its gradient times the filter to as many rows of the
input's gradient: consecutive rows, which is all that vectors need. Every sum is computed by one thread in a
fixed order.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from llvmlite import ir
from torch import Tensor

from nabi.native import Machine, compiled, host, threads as _threads
from nabi.native.addresses import arguments, expect, to_read, to_update
from nabi.native.kernel_function import smaller
from nabi.native.vectors import INDEX, POINTER, Loop, Vectors, index, loop_over

__all__ = ["MOST_NUMBERS", "Shape", "input_gradient", "kernel_gradient", "make_ready", "write"]

MOST_NUMBERS = 4096
"""The maximum number of elements of a filter: the code has an instruction for each of its vectors."""

_WINDOWS = 24
"""Number of windows whose input rows stay in the first-level cache while all filters are applied."""

_ARGUMENTS = ("x", "given", "places", "found", "batch", "steps", "windows", "filters", "stride")
_POINTERS = 4


@dataclass(frozen=True)
class Shape:
    """The parameters of the code.

    Attributes:
        kernel_size: rows of a filter; `width`: of each.
        dilation: their distance in steps.
        dtype: `"float32"` or `"float64"`.
    """

    kernel_size: int
    width: int
    dilation: int
    dtype: str


def make_ready(shape: Shape) -> None:
    """Compile the kernels if needed; raises `NativeError` if that fails."""
    _address(shape, "kernel_gradient")


def kernel_gradient(shape: Shape, x: Tensor, given: Tensor, places: Tensor, stride: int) -> Tensor:
    """Return the gradient of a kernel, `[filters, kernel_size, width]`.

    Args:
        shape: the shape of the filters.
        x: input `[B, T, width]`, contiguous like all others.
        given: gradient of each window `[B, windows, filters]`.
        places: the largest output of the convolution in each window, shaped like `given`, int64.
        stride: steps between outputs of the convolution.
    """
    expect("x", x, (given.shape[0], x.shape[1], shape.width), x.dtype)
    found = x.new_zeros(given.shape[2], shape.kernel_size, shape.width)
    _run("kernel_gradient", shape, x, given, places, found, x.shape, stride)
    return found


def input_gradient(
    shape: Shape, kernel: Tensor, given: Tensor, places: Tensor, steps: int, stride: int
) -> Tensor:
    """Return the gradient of the input, `[B, steps, width]`, for a kernel `[filters, kernel_size, width]`."""
    expect("kernel", kernel, (given.shape[2], shape.kernel_size, shape.width), given.dtype)
    found = given.new_zeros(given.shape[0], steps, shape.width)
    _run("input_gradient", shape, kernel, given, places, found, found.shape, stride)
    return found


def _run(
    name: str,
    shape: Shape,
    x: Tensor,
    given: Tensor,
    places: Tensor,
    found: Tensor,
    sizes: torch.Size,
    stride: int,
) -> None:
    dtype = torch.float32 if shape.dtype == "float32" else torch.float64
    expect("x", x, x.shape, dtype)
    expect("given", given, given.shape, dtype)
    expect("places", places, given.shape, torch.int64)
    pointers = [to_read(x), to_read(given), to_read(places), to_update(found)]
    numbers = (sizes[0], sizes[1], given.shape[1], given.shape[2], stride)
    block = arguments(len(_ARGUMENTS), [*pointers, *numbers])
    threads = _threads.threads_for(float(given.numel()) * shape.kernel_size * shape.width)
    _threads.run(_address(shape, name), block, threads)


@lru_cache(maxsize=256)
def _address(shape: Shape, name: str) -> int:
    machine = host()
    names = ("kernel_gradient", "input_gradient")
    key = ("pooled convolution", repr(shape))
    return compiled(key, names, lambda: write(shape, machine), machine).address(name)


def write(shape: Shape, machine: Machine) -> ir.Module:
    """Write both kernels."""
    module = ir.Module("pooled_convolution")
    _Writer(module, "kernel_gradient", shape, machine).write_kernel_gradient()
    _Writer(module, "input_gradient", shape, machine).write_input_gradient()
    return module


class _Writer:
    """One kernel being written."""

    def __init__(self, module: ir.Module, name: str, shape: Shape, machine: Machine) -> None:
        kind = ir.FunctionType(ir.VoidType(), [POINTER, INDEX, INDEX])
        function = ir.Function(module, kind, name)
        function.attributes.add("nounwind")
        self.b = b = ir.IRBuilder(function.append_basic_block("entry"))
        self.v = Vectors(b, shape.dtype, machine.lanes(shape.dtype))
        self.shape = shape
        self.size = shape.kernel_size * shape.width
        # Vectors that stay in registers; the other registers hold a factor and values being loaded.
        self.kept = 20 if machine.registers == 32 else 10
        block, self.thread, self.threads = function.args
        self.arguments: dict[str, Any] = {}
        for place, argument in enumerate(_ARGUMENTS):
            typ = POINTER if place < _POINTERS else INDEX
            at = b.gep(block, [index(place)], source_etype=INDEX)
            self.arguments[argument] = b.load(at, align=8, typ=typ)

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    def groups(self) -> list[list[tuple[int, int, Any]]]:
        """Return the vectors of a filter in groups that fit into registers.

        Returns:
            For each vector its position in the filter, its offset from the first input row, and its mask.
        """
        v, shape = self.v, self.shape
        parts = []
        for row in range(shape.kernel_size):
            for start in range(0, shape.width, v.lanes):
                rest = shape.width - start
                mask = v.lanes_below(rest) if rest < v.lanes else None
                parts.append((row * shape.width + start, row * shape.dilation * shape.width + start, mask))
        return [parts[start : start + self.kept] for start in range(0, len(parts), self.kept)]

    def share(self, total: Any) -> tuple[Any, Any]:
        """Return this thread's range of `total`."""
        b = self.b
        first = b.sdiv(b.mul(total, self.thread), self.threads)
        return first, b.sdiv(b.mul(total, b.add(self.thread, index(1))), self.threads)

    def window(self, sequence: Any, window: Any, number: Any) -> tuple[Any, Any]:
        """Return a window's gradient for a filter, and the first element of its input rows."""
        b = self.b
        at = b.add(b.mul(b.add(b.mul(sequence, self["windows"]), window), self["filters"]), number)
        place = b.load(b.gep(self["places"], [at], source_etype=INDEX), align=8, typ=INDEX)
        step = b.add(b.mul(sequence, self["steps"]), b.mul(place, self["stride"]))
        return self.v.broadcast(self["given"], at), b.mul(step, index(self.shape.width))

    @contextmanager
    def pieces(self, sequences: tuple[Any, Any]) -> Iterator[tuple[Any, Any, Any]]:
        """Write loops over pieces of windows of each sequence; yield the sequence and the range."""
        b = self.b
        with (
            loop_over(b, *sequences) as sequence,
            loop_over(b, 0, self["windows"], _WINDOWS) as begin,
        ):
            yield sequence, begin, smaller(b, b.add(begin, index(_WINDOWS)), self["windows"])
        b.ret_void()

    def write_kernel_gradient(self) -> None:
        """Write the kernel's gradient: a filter's gradient stays in registers while windows add to it."""
        b, v = self.b, self.v
        filters = self.share(self["filters"])
        with self.pieces((0, self["batch"])) as (sequence, begin, end):
            for group in self.groups():
                with loop_over(b, *filters) as number:
                    own = v.address(self["found"], b.mul(number, index(self.size)))
                    sums = [v.load(own, place, mask) for place, _, mask in group]
                    loop = Loop(b, begin, end, carried=sums)
                    factor, row = self.window(sequence, loop.at, number)
                    rows = v.address(self["x"], row)
                    sums = [
                        v.fma(factor, v.load(rows, source, mask), total)
                        for total, (_, source, mask) in zip(loop.carried, group, strict=True)
                    ]
                    sums = loop.close(sums)
                    for total, (place, _, mask) in zip(sums, group, strict=True):
                        v.store(total, own, place, mask)

    def write_input_gradient(self) -> None:
        """Write the input's gradient: a filter stays in registers while it adds to the rows of windows."""
        b, v = self.b, self.v
        with self.pieces(self.share(self["batch"])) as (sequence, begin, end):
            for group in self.groups():
                with loop_over(b, 0, self["filters"]) as number:
                    own = v.address(self["x"], b.mul(number, index(self.size)))
                    weights = [v.load(own, place, mask) for place, _, mask in group]
                    with loop_over(b, begin, end) as window:
                        factor, row = self.window(sequence, window, number)
                        rows = v.address(self["found"], row)
                        for weight, (_, target, mask) in zip(weights, group, strict=True):
                            v.store(v.fma(factor, weight, v.load(rows, target, mask)), rows, target, mask)
