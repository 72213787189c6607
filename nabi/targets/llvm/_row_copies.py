"""Rows brought from a batch to packed rows, and back, with zeros where a step is not valid.

One pass over a batch does either: a table says in which row each step lies. Widths are counted in words of
four bytes, so that the same code copies both types of numbers; a copy leaves every bit as it is.
"""

import ctypes
from collections.abc import Sequence
from functools import cache
from typing import Any

from llvmlite import ir
from torch import Tensor

from nabi.targets.llvm import _threads
from nabi.targets.llvm._cache import compiled
from nabi.targets.llvm._machine import Machine, host
from nabi.targets.llvm._memory import fresh, zeros
from nabi.targets.llvm._vectors import INDEX, POINTER, Vectors, index, loop_over

__all__ = ["gather", "make_ready", "spread", "write"]

_ARGUMENTS = (
    "rows", "batch", "table", "zeros",
    "outer", "inner", "batch_outer", "batch_inner", "table_outer", "table_inner", "words",
)  # fmt: skip
_POINTERS = 4
_Arguments = ctypes.c_int64 * len(_ARGUMENTS)

_WORD = 4
_UNROLLED = 4
"""Vectors that are copied in one turn of a loop."""

# What a word costs, to know when a second thread is worth it.
_COST = 2.0


def make_ready() -> None:
    """Compile the kernels, if that has not been done before; raises `NativeError` where it cannot be."""
    _addresses()


def gather(values: Tensor, table: Tensor, count: int) -> Tensor:
    """Return the rows `[count, width]` of a batch.

    Args:
        values: `[B, T, width]` with any strides, or packed data `[N, width]`.
        table: `[B * T]` or `[N]`, int64, the row of each step, -1 where a step has none.
        count: how many rows there are.
    """
    if values.stride(-1) != 1 or values.is_neg():
        values = values.resolve_neg().contiguous()
    found = fresh((count, values.shape[-1]), values.dtype)
    _run("gather", found, values, table)
    return found


def spread(rows: Tensor, table: Tensor, shape: Sequence[int], time_major: bool) -> Tensor:
    """Return a batch from its rows, zero where a step has none; no view of anything.

    Args:
        rows: `[N, width]`, contiguous.
        table: as `gather` takes it.
        shape: of the batch, whose last number does not count.
        time_major: whether a step of all sequences shall lie together, and not all steps of a sequence.
    """
    width = rows.shape[1]
    strides: tuple[int, ...] = (width, 1)
    if len(shape) == 3:
        strides = (width, shape[0] * width, 1) if time_major else (shape[1] * width, width, 1)
    found = fresh((*shape[:-1], width), rows.dtype, strides)
    _run("spread", rows, found, table)
    return found


def _run(name: str, rows: Tensor, batch: Tensor, table: Tensor) -> None:
    sizes, strides = batch.shape, batch.stride()
    words = batch.dtype.itemsize // _WORD  # of an element
    width = sizes[-1] * words
    # What lies nearer together is walked through first.
    if len(sizes) == 2:
        loops = (sizes[0], 1, strides[0] * words, 0, 1, 0)
    elif strides[0] < strides[1]:
        loops = (sizes[1], sizes[0], strides[1] * words, strides[0] * words, 1, sizes[1])
    else:
        loops = (sizes[0], sizes[1], strides[0] * words, strides[1] * words, sizes[1], 1)
    block = _Arguments(
        rows.data_ptr(), batch.data_ptr(), table.data_ptr(), zeros(width * _WORD), *loops, width
    )
    threads = _threads.threads_for(loops[0] * loops[1] * width * _COST)
    _threads.run(_addresses()[name], ctypes.addressof(block), threads)


@cache
def _addresses() -> dict[str, int]:
    machine = host()
    names = ("gather", "spread")
    library = compiled(("copies of rows",), names, lambda: write(machine), machine)
    return {name: library.address(name) for name in names}


def write(machine: Machine) -> ir.Module:
    """Write both kernels."""
    module = ir.Module("row_copies")
    _write(module, "gather", machine.lanes("float32"))
    _write(module, "spread", machine.lanes("float32"))
    return module


def _write(module: ir.Module, name: str, lanes: int) -> None:
    kind = ir.FunctionType(ir.VoidType(), [POINTER, INDEX, INDEX])
    function = ir.Function(module, kind, name)
    function.attributes.add("nounwind")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    v = Vectors(b, "float32", lanes)
    block, thread, threads = function.args
    given: dict[str, Any] = {}
    for place, argument in enumerate(_ARGUMENTS):
        typ = POINTER if place < _POINTERS else INDEX
        given[argument] = b.load(b.gep(block, [index(place)], source_etype=INDEX), align=8, typ=typ)
    words = given["words"]
    whole = b.and_(words, index(-lanes))
    wide = b.and_(words, index(-lanes * _UNROLLED))
    mask = v.lanes_below(b.sub(words, whole))
    has_rest = b.icmp_signed("<", whole, words)

    def copy(source: Any, target: Any) -> None:
        with loop_over(b, 0, wide, lanes * _UNROLLED) as at:
            places = [b.add(at, index(part * lanes)) for part in range(_UNROLLED)]
            for place, value in [(place, v.load(source, place)) for place in places]:
                v.store(value, target, place)
        with loop_over(b, wide, whole, lanes) as at:
            v.store(v.load(source, at), target, at)
        with b.if_then(has_rest):
            v.store(v.load(source, whole, mask), target, whole, mask)

    # Threads take turns: sequences that end early, and late steps, are less work.
    turns = b.sdiv(b.add(b.sub(given["outer"], thread), b.sub(threads, index(1))), threads)
    with loop_over(b, 0, turns) as turn:
        outer = b.add(b.mul(turn, threads), thread)
        table = b.gep(given["table"], [b.mul(outer, given["table_outer"])], source_etype=INDEX)
        line = v.address(given["batch"], b.mul(outer, given["batch_outer"]))
        with loop_over(b, 0, given["inner"]) as inner:
            at = b.gep(table, [b.mul(inner, given["table_inner"])], source_etype=INDEX)
            number = b.load(at, align=8, typ=INDEX)
            step = v.address(line, b.mul(inner, given["batch_inner"]))
            row = v.address(given["rows"], b.mul(number, words))
            none = b.icmp_signed("<", number, index(0))
            if name == "spread":
                copy(b.select(none, given["zeros"], row), step)
            else:
                with b.if_then(b.not_(none)):
                    copy(step, row)
    b.ret_void()
