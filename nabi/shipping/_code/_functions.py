"""The functions of an exported model around its step."""

from collections.abc import Mapping
from typing import Any

from llvmlite import ir

from nabi.native import Machine
from nabi.native.vectors import POINTER
from nabi.shipping._code._loops import rounds
from nabi.shipping._code._module_writer import INT, ModuleWriter, SelfTest
from nabi.shipping._code._step_function import add_step
from nabi.shipping._memory import Layout
from nabi.shipping._program import StepProgram
from nabi.shipping._weights_file import ABI_VERSION, Weights

__all__ = ["constants_of", "model_module", "scratch_bytes"]


def scratch_bytes(program: StepProgram, layout: Layout) -> int:
    """Return the bytes of the scratch memory, with room for the output of the self-test."""
    return 4 * (layout.scratch_size + program.output.width)


def constants_of(program: StepProgram, layout: Layout, weights: Weights) -> Mapping[str, int]:
    """Return the constants of an exported model, by the ends of their names in C."""
    return {
        "INPUT_SIZE": program.input.width,
        "OUTPUT_SIZE": program.output.width,
        "STATE_SIZE": program.state_size,
        "STATE_BYTES": max(4 * layout.state_size, 4),
        "SCRATCH_BYTES": scratch_bytes(program, layout),
        "ALIGN": 4,
        "ABI_VERSION": ABI_VERSION,
        "WEIGHTS_CRC": weights.checksum,
    }


def model_module(
    program: StepProgram,
    layout: Layout,
    machine: Machine,
    weights: Weights,
    test: SelfTest,
    *,
    apart: bool,
    shares: bool = False,
) -> ir.Module:
    """Return the module of an exported model.

    Args:
        program: what a step computes; its name begins the names of all functions.
        layout: where everything lies.
        machine: the target.
        weights: as they are stored.
        test: what the self-test compares.
        apart: whether the weights are in another object, under the name that `weights_module` gives them.
        shares: see `add_step`.
    """
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
        self._step = add_step(self.module, f"{program.name}_compute", program, layout, machine, shares=shares)
        self._step.linkage = "internal"
        for name, value in constants_of(program, layout, weights).items():
            writer.constant_function(name.lower(), value)
        self._reset = self._write_reset()
        self._write_init()
        self._public_step = self._write_step()
        self._write_run()
        self._write_transfer("get_state", to_state=False)
        self._write_transfer("set_state", to_state=True)
        self._write_self_test()
        writer.finish(small=shares)

    def _write_reset(self) -> Any:
        function, b = self._writer.function("reset", ir.VoidType(), ["state"])
        self._writer.reset(b, *function.args)
        b.ret_void()
        assert self._program.states or not self._layout.state_size
        return function

    def _write_init(self) -> None:
        writer = self._writer
        function, b = writer.function("init", INT, ["state", "bytes"], bytes=writer.kind)
        state, size = function.args
        bad = function.append_basic_block("bad")
        least = writer.index(max(4 * self._layout.state_size, 4))
        answer = writer.check(b, state, b.icmp_unsigned("<", size, least))
        good = function.append_basic_block("good")
        b.cbranch(b.icmp_signed("==", answer, ir.Constant(INT, 0)), good, bad)
        b.position_at_end(good)
        b.call(self._reset, [state])
        b.branch(bad)
        b.position_at_end(bad)
        b.ret(answer)

    def _write_step(self) -> Any:
        function, b = self._writer.function("step", ir.VoidType(), ["state", "scratch", "x", "y"])
        b.call(self._step, [self._writer.weights(b), *function.args])
        b.ret_void()
        return function

    def _write_run(self) -> None:
        writer = self._writer
        function, b = writer.function(
            "run", ir.VoidType(), ["state", "scratch", "x", "y", "steps"], steps=writer.kind
        )
        state, scratch, x, y, steps = function.args
        with rounds(b, writer.kind, steps) as at:
            given = writer.at(b, x, b.mul(at, writer.index(self._program.input.width)))
            found = writer.at(b, y, b.mul(at, writer.index(self._program.output.width)))
            b.call(self._step, [writer.weights(b), state, scratch, given, found])
        b.ret_void()

    def _write_transfer(self, name: str, *, to_state: bool) -> None:
        function, b = self._writer.function(name, ir.VoidType(), ["state", "values"])
        state, values = function.args
        self._writer.copy_states(b, values, state, to_state=to_state)
        b.ret_void()

    def _write_self_test(self) -> None:
        """Compare stored steps; return 0, or the number of the first step that differs, from 1."""
        test, program, writer = self._test, self._program, self._writer
        given, wanted = writer.test_numbers(test)
        function, b = writer.function("self_test", INT, ["state", "scratch"])
        state, scratch = function.args
        steps, shown = test.outputs.shape
        b.call(self._reset, [state])
        y = writer.at(b, scratch, self._layout.scratch_size)
        failed = function.append_basic_block("failed")
        passed = function.append_basic_block("passed")
        with rounds(b, writer.kind, writer.index(steps)) as step:
            x = writer.at(b, b.bitcast(given, POINTER), b.mul(step, writer.index(program.input.width)))
            b.call(self._step, [writer.weights(b), state, scratch, x, y])
            expected = writer.at(b, b.bitcast(wanted, POINTER), b.mul(step, writer.index(shown)))
            writer.compare(b, y, expected, shown, test.tolerance, failed)
            found = step
        b.branch(passed)
        b.position_at_end(failed)
        number = writer.number_of(b, found)
        b.call(self._reset, [state])
        b.ret(number)
        b.position_at_end(passed)
        b.call(self._reset, [state])
        b.ret(ir.Constant(INT, 0))
