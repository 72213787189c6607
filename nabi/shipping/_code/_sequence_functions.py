"""The functions of an exported model that goes through whole sequences: passes, one after the other."""

from collections.abc import Mapping
from typing import Any

from llvmlite import ir

from nabi.native import Machine
from nabi.native.vectors import POINTER
from nabi.shipping._code._loops import rounds
from nabi.shipping._code._module_writer import INT, ModuleWriter, SelfTest
from nabi.shipping._code._shared import SharedFunctions
from nabi.shipping._code._step_function import add_part
from nabi.shipping._memory import Layout
from nabi.shipping._program import StepProgram
from nabi.shipping._weights_file import ABI_VERSION, Weights

__all__ = ["fixed_numbers", "row_numbers", "sequence_constants", "sequence_module"]


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
        self._program, self._layout, self._test = program, layout, test
        self._writer = writer = ModuleWriter(program, layout, machine, weights, apart=apart)
        self.module = writer.module
        shared = SharedFunctions(self.module, machine) if shares else None
        self._passes = []
        for number, one in enumerate(program.passes):
            output = program.output if one is program.passes[-1] else None
            own = f"{program.name}_pass_{number}"
            self._passes.append(
                add_part(self.module, own, program, layout, machine, shared, one.layers, output)
            )
            self._passes[-1].linkage = "internal"
        self._constants = sequence_constants(program, layout, weights, test)
        for key, value in self._constants.items():
            writer.constant_function(key.lower(), value)
        self._write_init()
        self._run = self._write_run()
        self._write_self_test()
        writer.finish(small=shares)

    def _write_init(self) -> None:
        writer = self._writer
        function, b = writer.function(
            "init", INT, ["scratch", "bytes", "steps"], bytes=writer.kind, steps=writer.kind
        )
        scratch, size, steps = function.args
        fixed, each = (
            writer.index(self._constants["FIXED_BYTES"]),
            writer.index(self._constants["STEP_BYTES"]),
        )
        # Divided and not multiplied: a product could be too large for the processor.
        few = b.or_(
            b.icmp_unsigned("<", size, fixed), b.icmp_unsigned("<", b.udiv(b.sub(size, fixed), each), steps)
        )
        b.ret(writer.check(b, scratch, few))

    def _write_run(self) -> Any:
        program, layout, writer = self._program, self._layout, self._writer
        function, b = writer.function("run", ir.VoidType(), ["scratch", "x", "y", "steps"], steps=writer.kind)
        memory, x, y, steps = function.args
        nothing, begin = function.append_basic_block("nothing"), function.append_basic_block("begin")
        b.cbranch(b.icmp_signed("==", steps, writer.index(0)), nothing, begin)
        b.position_at_end(nothing)
        b.ret_void()
        b.position_at_end(begin)
        weights = writer.weights(b)
        scratch = writer.at(b, memory, layout.state_size)
        rows = writer.at(b, memory, fixed_numbers(program, layout, self._test))
        width = writer.index(row_numbers(program, layout))
        with rounds(b, writer.kind, steps) as at:
            given = writer.at(b, x, b.mul(at, writer.index(program.input.width)))
            writer.copy(b, given, writer.at(b, rows, b.mul(at, width)), program.input.width)
        writer.reset(b, memory)
        out = writer.index(program.output.width)
        for one, compute in zip(program.passes, self._passes, strict=True):
            if one.order == "once":
                b.call(compute, [weights, memory, scratch, rows, y])
                continue
            with rounds(b, writer.kind, steps) as at:
                step = at
                if one.order == "backward":
                    step = b.sub(b.sub(steps, at), writer.index(1))
                row, found = writer.at(b, rows, b.mul(step, width)), writer.at(b, y, b.mul(step, out))
                b.call(compute, [weights, memory, scratch, row, found])
        b.ret_void()
        return function

    def _write_self_test(self) -> None:
        """Compare a stored sequence; return 0, or the number of the first row that differs, from 1."""
        test, layout, writer = self._test, self._layout, self._writer
        inputs, outputs = writer.test_numbers(test)
        function, b = writer.function("self_test", INT, ["scratch"])
        (scratch,) = function.args
        y = writer.at(b, scratch, layout.state_size + layout.scratch_size)
        b.call(self._run, [scratch, b.bitcast(inputs, POINTER), y, writer.index(len(test.inputs))])
        failed = function.append_basic_block("failed")
        shown = test.outputs.shape[1]
        with rounds(b, writer.kind, writer.index(len(test.outputs))) as row:
            found = writer.at(b, y, b.mul(row, writer.index(self._program.output.width)))
            expected = writer.at(b, b.bitcast(outputs, POINTER), b.mul(row, writer.index(shown)))
            writer.compare(b, found, expected, shown, test.tolerance, failed)
            number = row
        b.ret(ir.Constant(INT, 0))
        b.position_at_end(failed)
        b.ret(writer.number_of(b, number))
