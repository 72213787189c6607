"""The functions of an exported model around its step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from nabi.native import Machine
from nabi.native.vectors import POINTER
from nabi.shipping._code._instructions import index_of, rounds
from nabi.shipping._code._step_function import add_step, function_of
from nabi.shipping._memory import ALIGNMENT, Layout
from nabi.shipping._program import Numbers, StepProgram
from nabi.shipping._weights_file import ABI_VERSION, HEADER_BYTES, Weights

__all__ = [
    "SelfTest",
    "compare",
    "constant",
    "constants_of",
    "finish",
    "misfits",
    "model_module",
    "scratch_bytes",
    "stored_weights",
    "weights_module",
]

_INT = ir.IntType(32)
_FLOAT = ir.FloatType()


@dataclass(frozen=True)
class SelfTest:
    """A few steps with what the model in Python gave.

    Attributes:
        inputs: `[steps, input numbers]`.
        outputs: `[steps, numbers]`, the first few outputs of each step.
        tolerance: the largest difference that is no fault.
    """

    inputs: Numbers
    outputs: Numbers
    tolerance: float


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


def weights_module(program: StepProgram, weights: Weights, machine: Machine) -> ir.Module:
    """Return a module with nothing but the weights, as the constant `NAME_weights`."""
    module = ir.Module(f"{program.name}_weights")
    constant(module, f"{program.name}_weights", weights.content, machine, internal=False)
    return module


def constant(
    module: ir.Module, name: str, content: bytes, machine: Machine, *, internal: bool, align: int = ALIGNMENT
) -> Any:
    """Add constant bytes to a module."""
    kind = ir.ArrayType(ir.IntType(8), len(content))
    found = ir.GlobalVariable(module, kind, name)
    found.global_constant, found.align = True, align
    if internal:
        found.linkage = "internal"
    found.initializer = ir.Constant(kind, bytearray(content))
    if _is_elf(machine):
        found.section = f".rodata.{name}"
    return found


def compare(
    b: ir.IRBuilder, kind: Any, found: Any, wanted: Any, count: int, tolerance: float, failed: Any
) -> None:
    """Write a comparison of numbers, which goes to the block `failed` at the first that differs."""
    with rounds(b, kind, ir.Constant(kind, count)) as at:
        one, other = (
            b.load(b.gep(pointer, [at], source_etype=_FLOAT), align=4, typ=_FLOAT)
            for pointer in (found, wanted)
        )
        difference, bound = b.fsub(one, other), ir.Constant(_FLOAT, tolerance)
        below = b.fcmp_ordered("<", difference, bound)
        above = b.fcmp_ordered(">", difference, b.fneg(bound))
        following = b.append_basic_block("equal")
        b.cbranch(b.and_(below, above), following, failed)
        b.position_at_end(following)


def misfits(b: ir.IRBuilder, kind: Any, data: Any, layout: int) -> Any:
    """Return whether the weights that the program was linked with belong to another model."""
    wrong = None
    for place, value in enumerate([int.from_bytes(b"nabi", "little"), ABI_VERSION, layout]):
        at = b.gep(data, [ir.Constant(kind, place)], source_etype=_INT)
        differs = b.icmp_signed("!=", b.load(at, align=4, typ=_INT), ir.Constant(_INT, value))
        wrong = differs if wrong is None else b.or_(wrong, differs)
    return wrong


def stored_weights(module: ir.Module, name: str, weights: Weights, machine: Machine, *, apart: bool) -> Any:
    """Return the weights with their header, in this module or in another object."""
    if not apart:
        return constant(module, name, weights.content, machine, internal=True)
    found = ir.GlobalVariable(module, ir.ArrayType(ir.IntType(8), len(weights.content)), name)
    found.global_constant, found.align = True, ALIGNMENT
    return found


def finish(module: ir.Module, machine: Machine) -> None:
    """Give all functions of a module their sections, and ask for small code on bare processors."""
    for function in module.functions:
        if function.is_declaration:
            continue
        if "-none-" in machine.triple:
            function.attributes.add("optsize")
        if _is_elf(machine):
            function.section = f".text.{function.name}"


def _is_elf(machine: Machine) -> bool:
    return not any(word in machine.triple for word in ("windows", "macos", "wasm"))


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
        self.module = ir.Module(program.name)
        self._data = stored_weights(self.module, f"{program.name}_weights", weights, machine, apart=apart)
        self._step = add_step(self.module, f"{program.name}_compute", program, layout, machine, shares=shares)
        self._step.linkage = "internal"
        self._label = weights.layout if apart else None
        for name, value in constants_of(program, layout, weights).items():
            self._number(f"{program.name}_{name.lower()}", value)
        self._reset = self._write_reset()
        self._write_init()
        self._public_step = self._write_step()
        self._write_run()
        self._write_transfer("get_state", to_state=False)
        self._write_transfer("set_state", to_state=True)
        self._write_self_test()
        finish(self.module, machine)

    def _function(self, name: str, result: Any, arguments: Sequence[str], **kinds: Any) -> tuple[Any, Any]:
        function = function_of(self.module, f"{self._program.name}_{name}", result, list(arguments), kinds)
        return function, ir.IRBuilder(function.append_basic_block("entry"))

    def _number(self, name: str, value: int) -> None:
        function = function_of(self.module, name, _INT, [])
        ir.IRBuilder(function.append_basic_block("entry")).ret(ir.Constant(_INT, value))

    def _index(self, number: int) -> Any:
        return ir.Constant(self._kind, number)

    def _at(self, b: ir.IRBuilder, pointer: Any, place: Any) -> Any:
        place = self._index(place) if isinstance(place, int) else place
        return b.gep(pointer, [place], source_etype=_FLOAT)

    def _numbers(self, b: ir.IRBuilder) -> Any:
        """Return the address of the weights behind their header."""
        return b.gep(b.bitcast(self._data, POINTER), [self._index(HEADER_BYTES)], source_etype=ir.IntType(8))

    def _copy(self, b: ir.IRBuilder, source: Any, result: Any, count: int) -> None:
        with rounds(b, self._kind, self._index(count)) as at:
            number = b.load(self._at(b, source, at), align=4, typ=_FLOAT)
            b.store(number, self._at(b, result, at), align=4)

    def _write_reset(self) -> Any:
        layout, program = self._layout, self._program
        function, b = self._function("reset", ir.VoidType(), ["state"])
        (state,) = function.args
        if layout.initial is None:
            with rounds(b, self._kind, self._index(layout.state_size)) as at:
                b.store(ir.Constant(_FLOAT, 0.0), self._at(b, state, at), align=4)
        else:
            source = self._at(b, self._numbers(b), layout.initial)
            self._each_state(b, source, state, to_state=True)
        b.ret_void()
        assert program.states or not layout.state_size
        return function

    def _each_state(self, b: ir.IRBuilder, plain: Any, state: Any, *, to_state: bool) -> None:
        """Copy all states to or from numbers without gaps; those without gaps in the state are one copy."""
        at, runs = 0, list[list[int]]()
        for one in self._program.states:
            place = self._layout.place(one.value)
            if runs and place == runs[-1][0] + runs[-1][2]:
                runs[-1][2] += one.value.width
            else:
                runs.append([place, at, one.value.width])
            at += one.value.width
        for place, first, width in runs:
            inside, outside = self._at(b, state, place), self._at(b, plain, first)
            self._copy(b, *((outside, inside) if to_state else (inside, outside)), width)

    def _write_init(self) -> None:
        function, b = self._function("init", _INT, ["state", "bytes"], bytes=self._kind)
        state, size = function.args
        bad = function.append_basic_block("bad")
        least = self._index(max(4 * self._layout.state_size, 4))
        checks: list[tuple[Any, int]] = [(b.icmp_unsigned("<", size, least), 1)]
        number = b.ptrtoint(state, self._kind)
        checks.append((b.icmp_signed("!=", b.and_(number, self._index(3)), self._index(0)), 2))
        if self._label is not None:
            checks.append((misfits(b, self._kind, b.bitcast(self._data, POINTER), self._label), 3))
        answer = ir.Constant(_INT, 0)
        for failed, code in reversed(checks):
            answer = b.select(failed, ir.Constant(_INT, code), answer)
        good = function.append_basic_block("good")
        b.cbranch(b.icmp_signed("==", answer, ir.Constant(_INT, 0)), good, bad)
        b.position_at_end(good)
        b.call(self._reset, [state])
        b.branch(bad)
        b.position_at_end(bad)
        b.ret(answer)

    def _write_step(self) -> Any:
        function, b = self._function("step", ir.VoidType(), ["state", "scratch", "x", "y"])
        b.call(self._step, [self._numbers(b), *function.args])
        b.ret_void()
        return function

    def _write_run(self) -> None:
        function, b = self._function(
            "run", ir.VoidType(), ["state", "scratch", "x", "y", "steps"], steps=self._kind
        )
        state, scratch, x, y, steps = function.args
        with rounds(b, self._kind, steps) as at:
            given = self._at(b, x, b.mul(at, self._index(self._program.input.width)))
            found = self._at(b, y, b.mul(at, self._index(self._program.output.width)))
            b.call(self._step, [self._numbers(b), state, scratch, given, found])
        b.ret_void()

    def _write_transfer(self, name: str, *, to_state: bool) -> None:
        function, b = self._function(name, ir.VoidType(), ["state", "values"])
        state, values = function.args
        self._each_state(b, values, state, to_state=to_state)
        b.ret_void()

    def _write_self_test(self) -> None:
        """Compare stored steps; return 0, or the number of the first step that differs, from 1."""
        test, program = self._test, self._program
        name = program.name
        given = constant(self.module, f"{name}_test_inputs", test.inputs.tobytes(), self._machine,
                          internal=True, align=4)  # fmt: skip
        wanted = constant(self.module, f"{name}_test_outputs", test.outputs.tobytes(), self._machine,
                           internal=True, align=4)  # fmt: skip
        function, b = self._function("self_test", _INT, ["state", "scratch"])
        state, scratch = function.args
        steps, shown = test.outputs.shape
        b.call(self._reset, [state])
        y = self._at(b, scratch, self._layout.scratch_size)
        failed = function.append_basic_block("failed")
        passed = function.append_basic_block("passed")
        with rounds(b, self._kind, self._index(steps)) as step:
            x = self._at(b, b.bitcast(given, POINTER), b.mul(step, self._index(program.input.width)))
            b.call(self._step, [self._numbers(b), state, scratch, x, y])
            expected = self._at(b, b.bitcast(wanted, POINTER), b.mul(step, self._index(shown)))
            compare(b, self._kind, y, expected, shown, test.tolerance, failed)
            found = step
        b.branch(passed)
        b.position_at_end(failed)
        number = b.add(found, self._index(1))
        number = number if self._kind.width == 32 else b.trunc(number, _INT)
        b.call(self._reset, [state])
        b.ret(number)
        b.position_at_end(passed)
        b.call(self._reset, [state])
        b.ret(ir.Constant(_INT, 0))
