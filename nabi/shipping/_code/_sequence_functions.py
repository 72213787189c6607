"""The functions of an exported model that goes through whole sequences: passes, one after the other."""

from collections.abc import Mapping
from typing import Any

from llvmlite import ir

from nabi.native import Machine
from nabi.native.vectors import POINTER
from nabi.shipping._code._functions import (
    SelfTest,
    compare,
    constant,
    finish,
    misfits,
    stored_weights,
)
from nabi.shipping._code._instructions import index_of, rounds
from nabi.shipping._code._shared import SharedFunctions
from nabi.shipping._code._step_function import add_part, function_of
from nabi.shipping._memory import Layout
from nabi.shipping._program import StepProgram
from nabi.shipping._weights_file import ABI_VERSION, HEADER_BYTES, Weights

__all__ = ["fixed_numbers", "row_numbers", "sequence_constants", "sequence_module"]

_INT = ir.IntType(32)
_FLOAT = ir.FloatType()


def row_numbers(program: StepProgram, layout: Layout) -> int:
    """Return how many numbers are kept of each step, with the room behind each piece."""
    assert program.row is not None
    return sum(layout.room(width) for width in program.row.pieces)


def fixed_numbers(program: StepProgram, layout: Layout, test: SelfTest) -> int:
    """Return the numbers before the rows: the states, scratch memory, and outputs of the self-test."""
    return layout.state_size + layout.scratch_size + len(test.outputs) * program.output.width


def sequence_constants(
    program: StepProgram, layout: Layout, weights: Weights, test: SelfTest
) -> Mapping[str, int]:
    """Return the constants of an exported model, by the ends of their names in C."""
    return {
        "INPUT_SIZE": program.input.width,
        "OUTPUT_SIZE": program.output.width,
        "OUTPUT_PER_STEP": int(program.is_per_step),
        "FIXED_BYTES": 4 * fixed_numbers(program, layout, test),
        "STEP_BYTES": 4 * row_numbers(program, layout),
        "TEST_STEPS": len(test.inputs),
        "ALIGN": 4,
        "ABI_VERSION": ABI_VERSION,
        "WEIGHTS_CRC": weights.checksum,
    }


def sequence_module(
    program: StepProgram,
    layout: Layout,
    machine: Machine,
    weights: Weights,
    test: SelfTest,
    *,
    apart: bool,
    shares: bool = False,
) -> ir.Module:
    """Return the module of an exported model with passes; the arguments are those of `model_module`."""
    return _Writer(program, layout, machine, weights, test, apart, shares).module


class _Writer:
    def __init__(
        self,
        program: StepProgram,
        layout: Layout,
        machine: Machine,
        weights: Weights,
        test: SelfTest,
        apart: bool,
        shares: bool,
    ) -> None:
        self._program, self._layout, self._machine, self._test = program, layout, machine, test
        self._kind = index_of(machine)
        name = program.name
        self.module = ir.Module(name)
        self._data = stored_weights(self.module, f"{name}_weights", weights, machine, apart=apart)
        self._label = weights.layout if apart else None
        shared = SharedFunctions(self.module, machine) if shares else None
        self._passes = []
        for number, one in enumerate(program.passes):
            output = program.output if one is program.passes[-1] else None
            own = f"{name}_pass_{number}"
            self._passes.append(
                add_part(self.module, own, program, layout, machine, shared, one.layers, output)
            )
            self._passes[-1].linkage = "internal"
        self._constants = sequence_constants(program, layout, weights, test)
        for key, value in self._constants.items():
            function = function_of(self.module, f"{name}_{key.lower()}", _INT, [])
            ir.IRBuilder(function.append_basic_block("entry")).ret(ir.Constant(_INT, value))
        self._write_init()
        self._run = self._write_run()
        self._write_self_test()
        finish(self.module, machine)

    def _function(self, name: str, result: Any, arguments: list[str], **kinds: Any) -> tuple[Any, Any]:
        function = function_of(self.module, f"{self._program.name}_{name}", result, arguments, kinds)
        return function, ir.IRBuilder(function.append_basic_block("entry"))

    def _index(self, number: int) -> Any:
        return ir.Constant(self._kind, number)

    def _at(self, b: ir.IRBuilder, pointer: Any, place: Any) -> Any:
        place = self._index(place) if isinstance(place, int) else place
        return b.gep(pointer, [place], source_etype=_FLOAT)

    def _copy(self, b: ir.IRBuilder, source: Any, result: Any, count: int) -> None:
        with rounds(b, self._kind, self._index(count)) as at:
            b.store(b.load(self._at(b, source, at), align=4, typ=_FLOAT), self._at(b, result, at), align=4)

    def _write_init(self) -> None:
        function, b = self._function(
            "init", _INT, ["scratch", "bytes", "steps"], bytes=self._kind, steps=self._kind
        )
        scratch, size, steps = function.args
        fixed, each = self._index(self._constants["FIXED_BYTES"]), self._index(self._constants["STEP_BYTES"])
        # Divided and not multiplied: a product could be too large for the processor.
        few = b.or_(
            b.icmp_unsigned("<", size, fixed), b.icmp_unsigned("<", b.udiv(b.sub(size, fixed), each), steps)
        )
        number = b.ptrtoint(scratch, self._kind)
        checks = [(few, 1), (b.icmp_signed("!=", b.and_(number, self._index(3)), self._index(0)), 2)]
        if self._label is not None:
            checks.append((misfits(b, self._kind, b.bitcast(self._data, POINTER), self._label), 3))
        answer = ir.Constant(_INT, 0)
        for failed, code in reversed(checks):
            answer = b.select(failed, ir.Constant(_INT, code), answer)
        b.ret(answer)

    def _write_run(self) -> Any:
        program, layout = self._program, self._layout
        function, b = self._function("run", ir.VoidType(), ["scratch", "x", "y", "steps"], steps=self._kind)
        memory, x, y, steps = function.args
        nothing, begin = function.append_basic_block("nothing"), function.append_basic_block("begin")
        b.cbranch(b.icmp_signed("==", steps, self._index(0)), nothing, begin)
        b.position_at_end(nothing)
        b.ret_void()
        b.position_at_end(begin)
        weights = b.gep(
            b.bitcast(self._data, POINTER), [self._index(HEADER_BYTES)], source_etype=ir.IntType(8)
        )
        scratch = self._at(b, memory, layout.state_size)
        rows = self._at(b, memory, fixed_numbers(program, layout, self._test))
        width = self._index(row_numbers(program, layout))
        with rounds(b, self._kind, steps) as at:
            given = self._at(b, x, b.mul(at, self._index(program.input.width)))
            self._copy(b, given, self._at(b, rows, b.mul(at, width)), program.input.width)
        self._reset(b, memory, weights)
        out = self._index(program.output.width)
        for one, compute in zip(program.passes, self._passes, strict=True):
            if one.order == "once":
                b.call(compute, [weights, memory, scratch, rows, y])
                continue
            with rounds(b, self._kind, steps) as at:
                step = at
                if one.order == "backward":
                    step = b.sub(b.sub(steps, at), self._index(1))
                row, found = self._at(b, rows, b.mul(step, width)), self._at(b, y, b.mul(step, out))
                b.call(compute, [weights, memory, scratch, row, found])
        b.ret_void()
        return function

    def _reset(self, b: ir.IRBuilder, state: Any, weights: Any) -> None:
        layout = self._layout
        if layout.initial is None:
            with rounds(b, self._kind, self._index(layout.state_size)) as at:
                b.store(ir.Constant(_FLOAT, 0.0), self._at(b, state, at), align=4)
            return
        at = layout.initial
        for one in self._program.states:
            self._copy(
                b, self._at(b, weights, at), self._at(b, state, layout.place(one.value)), one.value.width
            )
            at += one.value.width

    def _write_self_test(self) -> None:
        """Compare a stored sequence; return 0, or the number of the first row that differs, from 1."""
        test, program, layout = self._test, self._program, self._layout
        inputs, outputs = (
            constant(
                self.module, f"{program.name}_test_{what}", numbers.tobytes(), self._machine,
                internal=True, align=4,
            )
            for what, numbers in (("inputs", test.inputs), ("outputs", test.outputs))
        )  # fmt: skip
        function, b = self._function("self_test", _INT, ["scratch"])
        (scratch,) = function.args
        y = self._at(b, scratch, layout.state_size + layout.scratch_size)
        b.call(self._run, [scratch, b.bitcast(inputs, POINTER), y, self._index(len(test.inputs))])
        failed = function.append_basic_block("failed")
        shown = test.outputs.shape[1]
        with rounds(b, self._kind, self._index(len(test.outputs))) as row:
            found = self._at(b, y, b.mul(row, self._index(program.output.width)))
            expected = self._at(b, b.bitcast(outputs, POINTER), b.mul(row, self._index(shown)))
            compare(b, self._kind, found, expected, shown, test.tolerance, failed)
            number = row
        b.ret(ir.Constant(_INT, 0))
        b.position_at_end(failed)
        number = b.add(number, self._index(1))
        b.ret(number if self._kind.width == 32 else b.trunc(number, _INT))
