"""Writes the kernels that lay out batches, and those that copy rows."""

from typing import Any

from llvmlite import ir

from nabi.kernels._code._row_layout_arguments import COPY, LAYOUT
from nabi.native import Machine
from nabi.native.vectors import BYTE, INDEX, POINTER, Loop, Vectors, index, loop_over

__all__ = ["write"]

_NUMBERS = {
    "batch", "time", "reverse", "mask_batch", "mask_time",
    "outer", "inner", "values_outer", "values_inner", "table_outer", "table_inner", "words",
}  # fmt: skip

_UNROLLED = 4
"""Vectors copied in one iteration of a loop."""


def write(machine: Machine) -> ir.Module:
    """Write all kernels."""
    module = ir.Module("batches")
    for has_mask in (False, True):
        _LayoutWriter(module, has_mask).write()
    for is_gather in (False, True):
        _CopyWriter(module, is_gather, machine.lanes("float32")).write()
    return module


class _Writer:
    """One kernel being written."""

    def __init__(self, module: ir.Module, name: str, arguments: tuple[str, ...]) -> None:
        kind = ir.FunctionType(ir.VoidType(), [POINTER, INDEX, INDEX])
        function = ir.Function(module, kind, name)
        function.attributes.add("nounwind")
        self.b = b = ir.IRBuilder(function.append_basic_block("entry"))
        block, self.thread, self.threads = function.args
        self.arguments: dict[str, Any] = {}
        for place, argument in enumerate(arguments):
            typ = INDEX if argument in _NUMBERS else POINTER
            at = b.gep(block, [index(place)], source_etype=INDEX)
            self.arguments[argument] = b.load(at, align=8, typ=typ)

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    def get(self, name: str, at: Any) -> Any:
        return self.b.load(self.b.gep(self[name], [at], source_etype=INDEX), align=8, typ=INDEX)

    def put(self, value: Any, name: str, at: Any) -> None:
        self.b.store(value, self.b.gep(self[name], [at], source_etype=INDEX), align=8)


class _LayoutWriter(_Writer):
    """Sorts sequences by length and places their steps, in one thread."""

    def __init__(self, module: ir.Module, has_mask: bool) -> None:
        super().__init__(module, "of_mask" if has_mask else "of_lengths", LAYOUT)
        self.has_mask = has_mask

    def is_valid(self, sequence: Any, step: Any) -> Any:
        """Return whether a step is valid according to the mask."""
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
        """Count the sequences of each length."""
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
        """Compute how many sequences have each step, and where its rows start.

        The number of longer sequences is the position of the first sequence of a length.
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
        """Sort sequences from the longest to the shortest; the order is stable."""
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
        """Store the row of each step of a sequence, and the step of each row."""
        b = self.b
        rank, length = self.get("back", sequence), self.get("lengths", sequence)
        begin = b.mul(sequence, self["time"])
        turned = b.icmp_signed("!=", self["reverse"], index(0))
        loop = Loop(b, 0, self["time"], carried=[index(0)])
        (number,) = loop.carried
        at = b.add(begin, loop.at)
        # If the mask changes meanwhile, no more steps get a row than were counted.
        valid = b.icmp_signed("<", number, length)
        if self.has_mask:
            valid = b.and_(valid, self.is_valid(sequence, loop.at))
        with b.if_else(valid) as (then, otherwise):
            with then:
                other = b.sub(b.sub(length, index(1)), number)
                row = b.add(self.get("offset", b.select(turned, other, number)), rank)
                self.put(at, "place", row)
                self.put(row, "table", at)
            with otherwise:
                self.put(index(-1), "table", at)
        loop.close([b.add(number, b.zext(valid, INDEX))])


class _CopyWriter(_Writer):
    """Copies rows by a table, out of a batch or into it."""

    def __init__(self, module: ir.Module, is_gather: bool, lanes: int) -> None:
        super().__init__(module, "gather" if is_gather else "spread", COPY)
        self.is_gather = is_gather
        self.v = v = Vectors(self.b, "float32", lanes)
        words = self["words"]
        self.whole = self.b.and_(words, index(-lanes))
        self.wide = self.b.and_(words, index(-lanes * _UNROLLED))
        self.mask = v.lanes_below(self.b.sub(words, self.whole))
        self.has_rest = self.b.icmp_signed("<", self.whole, words)

    def write(self) -> None:
        """Write the kernel. Work is interleaved: late steps and sequences that end early are less work."""
        b, v = self.b, self.v
        turns = b.sdiv(b.add(b.sub(self["outer"], self.thread), b.sub(self.threads, index(1))), self.threads)
        with loop_over(b, 0, turns) as turn:
            outer = b.add(b.mul(turn, self.threads), self.thread)
            line = v.address(self["values"], b.mul(outer, self["values_outer"]))
            with loop_over(b, 0, self["inner"]) as inner:
                at = b.add(b.mul(outer, self["table_outer"]), b.mul(inner, self["table_inner"]))
                self.copy_step(self.get("table", at), v.address(line, b.mul(inner, self["values_inner"])))
        b.ret_void()

    def copy_step(self, number: Any, step: Any) -> None:
        """Copy a step to its row or back; for a step without a row, nothing or zeros."""
        b = self.b
        row = self.v.address(self["rows"], b.mul(number, self["words"]))
        has_row = b.icmp_signed(">=", number, index(0))
        if not self.is_gather:
            self.copy(b.select(has_row, row, self["zeros"]), step)
            return
        with b.if_then(has_row):
            self.copy(step, row)

    def copy(self, source: Any, target: Any) -> None:
        """Copy a row, several vectors at a time as long as enough remain."""
        b, v = self.b, self.v
        with loop_over(b, 0, self.wide, v.lanes * _UNROLLED) as start:
            places = [b.add(start, index(part * v.lanes)) for part in range(_UNROLLED)]
            for place, value in [(place, v.load(source, place)) for place in places]:
                v.store(value, target, place)
        with loop_over(b, self.wide, self.whole, v.lanes) as place:
            v.store(v.load(source, place), target, place)
        with b.if_then(self.has_rest):
            v.store(v.load(source, self.whole, self.mask), target, self.whole, self.mask)
