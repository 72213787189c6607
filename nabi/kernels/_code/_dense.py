"""Small dense layers, forward and backward in one call each.

Torch needs a call for each product and each elementwise function; in a layer with a few thousand
multiply-adds, the calls cost several times as much as the arithmetic. Everything here is one product,
`C = A · B`, with rows of B and C in vectors and numbers of A at any stride: the outputs, the gradient of the
kernel (A is the input, read by columns), that of the bias (A is a single one) and that of the input (B is the
transposed kernel). Every sum is computed in the order of its terms.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from llvmlite import ir
from torch import Tensor

from nabi.native import Machine, compiled, host, threads as _threads
from nabi.native.addresses import Arguments, arguments, expect, to_fill, to_read, to_update
from nabi.native.bound import BoundPass, Run, Slot
from nabi.native.operations import apply
from nabi.native.vectors import INDEX, NOWHERE, POINTER, Loop, Vectors, index, loop_over, reserve

__all__ = ["ACTIVATIONS", "NativeDense", "Shape", "write"]

ACTIVATIONS = ("linear", "relu", "sigmoid", "tanh")

_LANES = {"float32": 16, "float64": 8}
_ROWS = 4
_POINTERS = (
    "x", "kernel", "bias", "y", "cotangent", "slope", "turned", "kernel_gradient", "bias_gradient",
    "input_gradient",
)  # fmt: skip
_ARGUMENTS = (*_POINTERS, "rows", "inputs", "units")
_PLACE = {name: place for place, name in enumerate(_ARGUMENTS)}


@dataclass(frozen=True)
class Shape:
    """The parameters of the code: one of `ACTIVATIONS`, and `"float32"` or `"float64"`."""

    activation: str
    dtype: str


class NativeDense:
    """See `nabi.kernels.SmallDense`.

    Raises:
        NativeError: if the kernels can't be compiled.
    """

    def __init__(self, kernel: Tensor, bias: Tensor | None, activation: str, rows: int) -> None:
        inputs, units = kernel.shape
        shape = Shape(activation, str(kernel.dtype).rpartition(".")[2])
        self._forward, self._backward = _addresses(shape)
        kernel, bias = kernel.detach(), None if bias is None else bias.detach()
        expect("kernel", kernel, (inputs, units), kernel.dtype)
        if bias is not None:
            expect("bias", bias, (units,), kernel.dtype)
        self._y, slope = kernel.new_empty(2, rows, units).unbind()
        turned = torch.empty_like(kernel)
        self._input_gradient = kernel.new_empty(rows, inputs)
        self.kernel_gradient = torch.empty_like(kernel)
        self.bias_gradient = None if bias is None else torch.empty_like(bias)
        start = kernel.new_zeros(units) if bias is None else bias
        self._alive = kernel, start, slope, turned
        self._dtype, self._sizes = kernel.dtype, (rows * inputs, rows * units)
        sizes = [rows, inputs, units]
        self._block = _block(sizes, x=0, kernel=to_read(kernel), bias=to_read(start), y=to_fill(self._y))
        self._back = _block(
            sizes, x=0, kernel=to_read(kernel), y=to_read(self._y), slope=to_update(slope),
            turned=to_update(turned), kernel_gradient=to_fill(self.kernel_gradient),
            bias_gradient=0 if self.bias_gradient is None else to_fill(self.bias_gradient),
        )  # fmt: skip
        self._wanted = to_fill(self._input_gradient)
        self._x: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs for contiguous `[rows, inputs]`."""
        if x.numel() != self._sizes[0] or x.dtype is not self._dtype or not x.is_contiguous():
            expect("x", x, self._input_gradient.shape, self._dtype)
        self._x = x
        self._block[0] = to_read(x)
        _threads.run(self._forward, self._block, 1)
        return self._y

    def backward(self, cotangent: Tensor, need_input: bool) -> Tensor | None:
        """Compute the gradients of kernel and bias; return that of the input if needed."""
        given, block, x = cotangent, self._back, self._x
        if given.numel() != self._sizes[1] or given.dtype is not self._dtype or not given.is_contiguous():
            expect("cotangent", given, self._y.shape, self._dtype)
        assert x is not None
        block[0], block[_COTANGENT] = to_read(x), to_read(cotangent)
        block[_INPUT_GRADIENT] = self._wanted if need_input else 0
        _threads.run(self._backward, block, 1)
        self._x = None
        return self._input_gradient if need_input else None

    def bound(self, need_input: bool) -> BoundPass:
        """Return the last step, forward and backward, as two runs."""
        return BoundPass(
            Run(self._forward, self._block), Run(self._backward, self._back),
            inputs=(Slot(self._block, 0), Slot(self._back, 0)),
            output=self._y,
            cotangents=(Slot(self._back, _COTANGENT),),
            input_gradient=self._input_gradient if need_input else None,
            holds=self,
        )  # fmt: skip


_COTANGENT, _INPUT_GRADIENT = _PLACE["cotangent"], _PLACE["input_gradient"]


def _block(sizes: list[int], **addresses: int) -> Arguments:
    found = arguments(len(_ARGUMENTS))
    for place, size in enumerate(sizes, _PLACE["rows"]):
        found[place] = size
    for name, address in addresses.items():
        found[_PLACE[name]] = address
    return found


@lru_cache
def _addresses(shape: Shape) -> tuple[int, int]:
    machine = host()
    names = ("forward", "backward")
    library = compiled(("small dense layer", repr(shape)), names, lambda: write(shape, machine), machine)
    return library.address("forward"), library.address("backward")


def write(shape: Shape, machine: Machine) -> ir.Module:
    """Write both kernels; vectors have the same length on every machine, and LLVM splits them."""
    module = ir.Module("dense")
    outputs = _write_product(module, "outputs", shape, shape.activation)
    product = _write_product(module, "product", shape, None)
    _write_forward(module, outputs)
    _write_backward(module, product, shape)
    return module


def _write_product(module: ir.Module, name: str, shape: Shape, activation: str | None) -> Any:
    """Write `C[r, :] = Σ A[r, k] · B[k, :]`; with an activation, it is applied to the sum plus `bias`."""
    kind = ir.FunctionType(
        ir.VoidType(), [POINTER, INDEX, INDEX, POINTER, POINTER, INDEX, INDEX, INDEX, POINTER]
    )
    function = ir.Function(module, kind, name)
    function.linkage = "internal"
    function.attributes.add("nounwind")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    lanes = _LANES[shape.dtype]
    v = Vectors(b, shape.dtype, lanes)
    first, row_step, inner_step, second, found, rows, inner, columns, bias = function.args
    whole = b.mul(b.sdiv(columns, index(lanes)), index(lanes))
    rest = v.lanes_below(b.sub(columns, whole))

    def tile(row: Any, count: int, at: Any, mask: Any) -> None:
        begin = v.zero if activation is None else v.load(bias, at, mask)
        loop = Loop(b, 0, inner, carried=[begin] * count)
        values = v.load(second, b.add(b.mul(loop.at, columns), at), mask)
        sums = []
        for number, total in enumerate(loop.carried):
            place = b.add(b.mul(b.add(row, index(number)), row_step), b.mul(loop.at, inner_step))
            sums.append(v.fma(v.broadcast(first, place), values, total))
        for number, total in enumerate(loop.close(sums)):
            if activation not in (None, "linear"):
                total = apply(v, activation, total)
            v.store(total, found, b.add(b.mul(b.add(row, index(number)), columns), at), mask)

    def some(row: Any, count: int) -> None:
        with loop_over(b, 0, whole, lanes) as at:
            tile(row, count, at, None)
        with b.if_then(b.icmp_signed("<", whole, columns)):
            tile(row, count, whole, rest)

    several = b.mul(b.sdiv(rows, index(_ROWS)), index(_ROWS))
    with loop_over(b, 0, several, _ROWS) as row:
        some(row, _ROWS)
    with loop_over(b, several, rows) as row:
        some(row, 1)
    b.ret_void()
    return function


def _begin(module: ir.Module, name: str) -> tuple[Any, dict[str, Any]]:
    kind = ir.FunctionType(ir.VoidType(), [POINTER, INDEX, INDEX])
    function = ir.Function(module, kind, name)
    function.attributes.add("nounwind")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    given = {}
    for place, argument in enumerate(_ARGUMENTS):
        at = b.gep(function.args[0], [index(place)], source_etype=INDEX)
        given[argument] = b.load(at, align=8, typ=POINTER if argument in _POINTERS else INDEX)
    return b, given


def _write_forward(module: ir.Module, outputs: Any) -> None:
    b, given = _begin(module, "forward")
    rows, inputs, units = given["rows"], given["inputs"], given["units"]
    b.call(
        outputs,
        [given["x"], inputs, index(1), given["kernel"], given["y"], rows, inputs, units, given["bias"]],
    )
    b.ret_void()


def _write_backward(module: ir.Module, product: Any, shape: Shape) -> None:
    b, given = _begin(module, "backward")
    v = Vectors(b, shape.dtype, _LANES[shape.dtype])
    rows, inputs, units = given["rows"], given["inputs"], given["units"]
    slope = given["cotangent"]
    if shape.activation != "linear":
        slope = given["slope"]
        _write_slope(v, shape.activation, given["cotangent"], given["y"], slope, b.mul(rows, units))
    one = reserve(b, v.element)
    v.store_scalar(ir.Constant(v.element, 1.0), one)
    kernel, bias, wanted = (given[f"{name}_gradient"] for name in ("kernel", "bias", "input"))
    b.call(product, [given["x"], index(1), inputs, slope, kernel, inputs, rows, units, NOWHERE])
    with b.if_then(b.icmp_unsigned("!=", bias, NOWHERE)):
        b.call(product, [one, index(0), index(0), slope, bias, index(1), rows, units, NOWHERE])
    with b.if_then(b.icmp_unsigned("!=", wanted, NOWHERE)):
        with loop_over(b, 0, inputs) as line, loop_over(b, 0, units) as at:
            value = v.load_scalar(given["kernel"], b.add(b.mul(line, units), at))
            v.store_scalar(value, given["turned"], b.add(b.mul(at, inputs), line))
        b.call(product, [slope, units, index(1), given["turned"], wanted, rows, units, inputs, NOWHERE])
    b.ret_void()


def _write_slope(v: Vectors, activation: str, cotangent: Any, y: Any, slope: Any, count: Any) -> None:
    """Write the cotangent of the activation's argument."""
    b = v.builder

    def some(at: Any, mask: Any) -> None:
        given, value = v.load(cotangent, at, mask), v.load(y, at, mask)
        if activation == "relu":
            found = v.select(v.compare(">=", v.zero, value), v.zero, given)
        else:
            found = apply(v, f"{activation}_gradient", given, value)
        v.store(found, slope, at, mask)

    whole = b.mul(b.sdiv(count, index(v.lanes)), index(v.lanes))
    with loop_over(b, 0, whole, v.lanes) as at:
        some(at, None)
    with b.if_then(b.icmp_signed("<", whole, count)):
        some(whole, v.lanes_below(b.sub(count, whole)))
