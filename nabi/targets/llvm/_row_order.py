"""The layout of a batch with lengths or a mask in native code: sequences sorted by length, steps by row.

In torch's operations, one after the other, this takes longer than a small layer does with its steps. Here
sequences are sorted by counting, and each step is looked at once.
"""

import ctypes
from array import array
from functools import cache
from typing import Any

import torch
from llvmlite import ir
from torch import Tensor

from nabi.targets._rows import Known, Rows
from nabi.targets.llvm import _threads
from nabi.targets.llvm._cache import compiled
from nabi.targets.llvm._machine import Machine, host
from nabi.targets.llvm._vectors import BYTE, INDEX, POINTER, Loop, index, loop_over

__all__ = ["make_ready", "rows_of_lengths", "rows_of_mask", "write"]

_ARGUMENTS = (
    "lengths", "mask", "active", "starts", "order", "back", "offset", "place", "table", "found",
    "batch", "time", "reverse", "mask_batch", "mask_time",
)  # fmt: skip
_POINTERS = 10
_Arguments = ctypes.c_int64 * len(_ARGUMENTS)
_Found = ctypes.c_int64 * 3
_NAMES = ("of_lengths", "of_mask")


def make_ready() -> None:
    """Compile the kernels, if that has not been done before; raises `NativeError` where it cannot be."""
    _addresses()


def rows_of_lengths(lengths: tuple[int, ...], time: int, reverse: bool) -> Rows:
    """Lay out the first steps of sequences.

    Args:
        lengths: how many steps of each sequence, from 0 to `time`.
        time: steps of the batch.
        reverse: from the last step of each sequence to its first.
    """
    return _lay_out("of_lengths", array("q", lengths), len(lengths), time, sum(lengths), reverse, (0, 0, 0))


def rows_of_mask(mask: Tensor, reverse: bool) -> Rows:
    """Lay out the steps that a mask `[B, T]` of booleans says are valid."""
    batch, time = mask.shape
    where = (mask.data_ptr(), mask.stride(0), mask.stride(1))
    return _lay_out("of_mask", array("q", bytes(8 * batch)), batch, time, batch * time, reverse, where)


def _lay_out(
    name: str,
    lengths: "array[int]",
    batch: int,
    time: int,
    most: int,
    reverse: bool,
    mask: tuple[int, int, int],
) -> Rows:
    """Run a kernel; `most` is how many valid steps there are at most."""
    if torch.is_inference_mode_enabled():
        # Tensors that are made in it could not be used outside it.
        with torch.inference_mode(False):
            return _lay_out(name, lengths, batch, time, most, reverse, mask)
    sizes = (batch, batch, time + 1, most, batch * time)
    order, back, offset, place, table = [torch.empty(size, dtype=torch.int64) for size in sizes]
    active = array("q", bytes(16 * (time + 1)))
    found, start = _Found(), active.buffer_info()[0]
    block = _Arguments(
        lengths.buffer_info()[0], mask[0], start, start + 8 * (time + 1), order.data_ptr(), back.data_ptr(),
        offset.data_ptr(), place.data_ptr(), table.data_ptr(), ctypes.addressof(found),
        batch, time, reverse, *mask[1:],
    )  # fmt: skip
    _threads.run(_addresses()[name], ctypes.addressof(block), 1)
    moved, longest, count = found
    known = Known(back if moved else None, offset[: longest + 1], table)
    return Rows(active[:longest].tolist(), batch, order if moved else None, place[:count], known=known)


@cache
def _addresses() -> dict[str, int]:
    machine = host()
    library = compiled(("order of rows",), _NAMES, lambda: write(machine), machine)
    return {name: library.address(name) for name in _NAMES}


def write(machine: Machine) -> ir.Module:
    """Write both kernels; they have no vectors, and are the same for every machine."""
    module = ir.Module("row_order")
    for name in _NAMES:
        _Writer(module, name).write()
    return module


class _Writer:
    """One kernel being written."""

    def __init__(self, module: ir.Module, name: str) -> None:
        kind = ir.FunctionType(ir.VoidType(), [POINTER, INDEX, INDEX])
        function = ir.Function(module, kind, name)
        function.attributes.add("nounwind")
        self.b = b = ir.IRBuilder(function.append_basic_block("entry"))
        self.has_mask = name == "of_mask"
        self.arguments: dict[str, Any] = {}
        for place, argument in enumerate(_ARGUMENTS):
            typ = POINTER if place < _POINTERS else INDEX
            at = b.gep(function.args[0], [index(place)], source_etype=INDEX)
            self.arguments[argument] = b.load(at, align=8, typ=typ)

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    def get(self, name: str, at: Any) -> Any:
        return self.b.load(self.b.gep(self[name], [at], source_etype=INDEX), align=8, typ=INDEX)

    def put(self, value: Any, name: str, at: Any) -> None:
        self.b.store(value, self.b.gep(self[name], [at], source_etype=INDEX), align=8)

    def is_valid(self, sequence: Any, step: Any) -> Any:
        """Whether the mask says that a step is valid."""
        b = self.b
        at = b.add(b.mul(sequence, self["mask_batch"]), b.mul(step, self["mask_time"]))
        flag = b.load(b.gep(self["mask"], [at], source_etype=BYTE), align=1, typ=BYTE)
        return b.icmp_unsigned("!=", flag, ir.Constant(BYTE, 0))

    def write(self) -> None:
        """Write the kernel: count, sort, place."""
        steps = self.b.add(self["time"], index(1))
        self.count_lengths(steps)
        self.count_active(steps)
        self.sort_sequences()
        with loop_over(self.b, 0, self["batch"]) as sequence:
            self.place_steps(sequence)
        self.b.ret_void()

    def count_lengths(self, steps: Any) -> None:
        """Count how many sequences have each length."""
        b = self.b
        with loop_over(b, 0, steps) as length:
            self.put(index(0), "starts", length)
        with loop_over(b, 0, self["batch"]) as sequence:
            if self.has_mask:
                loop = Loop(b, 0, self["time"], carried=[index(0)])
                one = b.zext(self.is_valid(sequence, loop.at), INDEX)
                (length,) = loop.close([b.add(loop.carried[0], one)])
                self.put(length, "lengths", sequence)
            else:
                length = self.get("lengths", sequence)
            self.put(b.add(self.get("starts", length), index(1)), "starts", length)

    def count_active(self, steps: Any) -> None:
        """Say how many sequences have each step, and where its rows begin.

        As many are longer than a length: so far from the start do the sequences of that length stand.
        """
        b = self.b
        loop = Loop(b, 0, steps, carried=[self["batch"], index(0), index(0)])
        before, first, longest = loop.carried
        active = b.sub(before, self.get("starts", loop.at))
        for value, name in ((first, "offset"), (active, "active"), (active, "starts")):
            self.put(value, name, loop.at)
        goes_on = b.zext(b.icmp_signed(">", active, index(0)), INDEX)
        _, count, longest = loop.close([active, b.add(first, active), b.add(longest, goes_on)])
        self.put(longest, "found", index(1))
        self.put(count, "found", index(2))

    def sort_sequences(self) -> None:
        """Sort sequences from the longest to the shortest; those of a length stay in their order."""
        b = self.b
        loop = Loop(b, 0, self["batch"], carried=[index(0)])
        length = self.get("lengths", loop.at)
        rank = self.get("starts", length)
        self.put(b.add(rank, index(1)), "starts", length)
        self.put(loop.at, "order", rank)
        self.put(rank, "back", loop.at)
        (moved,) = loop.close([b.or_(loop.carried[0], b.xor(rank, loop.at))])
        self.put(moved, "found", index(0))

    def place_steps(self, sequence: Any) -> None:
        """Say where each step of a sequence lies, and what lies there."""
        b = self.b
        rank, length = self.get("back", sequence), self.get("lengths", sequence)
        begin = b.mul(sequence, self["time"])
        turned = b.icmp_signed("!=", self["reverse"], index(0))
        loop = Loop(b, 0, self["time"], carried=[index(0)])
        (number,) = loop.carried
        at = b.add(begin, loop.at)
        valid = self.is_valid(sequence, loop.at) if self.has_mask else b.icmp_signed("<", loop.at, length)
        with b.if_else(valid) as (then, otherwise):
            with then:
                other = b.sub(b.sub(length, index(1)), number)
                row = b.add(self.get("offset", b.select(turned, other, number)), rank)
                self.put(at, "place", row)
                self.put(row, "table", at)
            with otherwise:
                self.put(index(-1), "table", at)
        loop.close([b.add(number, b.zext(valid, INDEX))])
